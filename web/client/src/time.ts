/** Waits. */

/** The longest wait that a timer can be told, in milliseconds; more would end at once. */
export const TIMER_MAX = 2 ** 31 - 1;

const PAUSE = 500;
const PAUSE_MAX = 30_000;

/** How long to wait after so many failures, in milliseconds: any part of a bound that doubles (full jitter). */
export function backoff(failures: number): number {
  return Math.random() * Math.min(PAUSE * 2 ** (failures - 1), PAUSE_MAX);
}

/** Between four fifths and all of a period, so that clients that connected together do not beat together. */
export function jittered(period: number): number {
  return period * (0.8 + Math.random() * 0.2);
}

/** Waits, and fails as soon as the signal says so. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(
      () => {
        signal.removeEventListener("abort", abort);
        resolve();
      },
      Math.min(milliseconds, TIMER_MAX),
    );
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
  });
}
