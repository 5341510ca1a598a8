/** The few lines by which React shows a store. */

import { useSyncExternalStore } from "react";
import type { Store } from "./store.ts";

/** The value of a store, shown anew whenever it changes. */
export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
}
