/** Days are those of the person's clock. */

import { useI18n } from "./i18n.tsx";

export function isSameDay(one: number, other: number): boolean {
  return dayOf(one) === dayOf(other);
}

const MINUTE = 60_000;
const DAY = 86_400_000;

function dayOf(time: number): number {
  return Math.floor((time - new Date(time).getTimezoneOffset() * MINUTE) / DAY);
}

/** The day of something, where what stands before it is of another one. */
export function Day({ since, at }: { since: number | undefined; at: number }) {
  const { texts, day } = useI18n();
  if (since !== undefined && isSameDay(since, at)) {
    return undefined;
  }
  const now = Date.now();
  let text = day.format(at);
  if (isSameDay(at, now)) {
    text = texts.today;
  } else if (isSameDay(at, now - DAY)) {
    text = texts.yesterday;
  }
  return (
    <p className="day">
      <time dateTime={new Date(at).toISOString().slice(0, 10)}>{text}</time>
    </p>
  );
}
