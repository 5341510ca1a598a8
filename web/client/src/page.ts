/** What happens to the page that a client is in. */

import { TIMER_MAX } from "./time.ts";

/** What a client does then. */
export interface PageListener {
  /** The page is looked at, or the network is there, again. */
  back(): void;
  /** The network is gone. */
  offline(): void;
  /** The page is not looked at any more. */
  hidden(): void;
  /** Nobody has looked at it for long, or it is left. */
  away(): void;
}

/** Follows the page until the signal ends that. Without a page, nothing happens. */
export function watchPage(listener: PageListener, hiddenFor: () => number, signal: AbortSignal): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const { document } = globalThis;
  globalThis.addEventListener?.("online", () => listener.back(), { signal });
  globalThis.addEventListener?.("offline", () => listener.offline(), { signal });
  globalThis.addEventListener?.("pagehide", () => listener.away(), { signal });
  globalThis.addEventListener?.(
    "pageshow",
    (event) => {
      if (event.persisted) {
        listener.back();
      }
    },
    { signal },
  );
  document?.addEventListener(
    "visibilitychange",
    () => {
      clearTimeout(timer);
      if (document.visibilityState === "visible") {
        listener.back();
      } else {
        listener.hidden();
        const wait = hiddenFor();
        if (wait <= TIMER_MAX) {
          timer = setTimeout(() => listener.away(), wait);
        }
      }
    },
    { signal },
  );
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
}
