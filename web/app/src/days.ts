/** Days are those of the person's clock. */
export function isSameDay(one: number, other: number): boolean {
  return dayOf(one) === dayOf(other);
}

const MINUTE = 60_000;
const DAY = 86_400_000;

function dayOf(time: number): number {
  return Math.floor((time - new Date(time).getTimezoneOffset() * MINUTE) / DAY);
}
