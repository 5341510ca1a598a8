/** What programs show: a value, and who is told when it is another one. */

/** A value that changes. `getSnapshot` answers the same object until it does, as React's `useSyncExternalStore` wants it. */
export interface Store<T> {
  /** Calls back after each change. Answers how to stop that. */
  subscribe(changed: () => void): () => void;
  getSnapshot(): T;
}

/** A store that its owner sets. */
export class Cell<T> implements Store<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();
  readonly #watched: ((isWatched: boolean) => void) | undefined;

  /** `watched` is told when the first one subscribes, and when the last one has left. */
  constructor(value: T, watched?: (isWatched: boolean) => void) {
    this.#value = value;
    this.#watched = watched;
  }

  readonly subscribe = (changed: () => void): (() => void) => {
    // The same function may subscribe twice.
    const listener = () => changed();
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      this.#watched?.(true);
    }
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) {
        this.#watched?.(false);
      }
    };
  };

  readonly getSnapshot = (): T => this.#value;

  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) {
      return;
    }
    this.#value = value;
    tellAll(this.#listeners);
  }
}

/** Calls all listeners; what one of them throws concerns neither the others nor whoever tells. */
export function tellAll<A extends unknown[]>(listeners: Iterable<(...args: A) => void>, ...args: A): void {
  for (const listener of [...listeners]) {
    try {
      listener(...args);
    } catch (error) {
      console.error(error);
    }
  }
}

/** Waits until a store's value fulfils a condition, and answers it. */
export function waitFor<T>(store: Store<T>, condition: (value: T) => boolean, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const look = () => {
      const value = store.getSnapshot();
      if (condition(value)) {
        leave();
        resolve(value);
      }
    };
    const abort = () => {
      leave();
      reject(signal?.reason);
    };
    const unsubscribe = store.subscribe(look);
    const leave = () => {
      unsubscribe();
      signal?.removeEventListener("abort", abort);
    };
    signal?.addEventListener("abort", abort, { once: true });
    look();
  });
}
