/** A part of a conversation's history that is read, not followed: what stands around a message of long ago. */

import type { PagePosition } from "./follower.ts";
import type { GroupChange, Message, Page } from "./model.ts";
import { Cell, type Store } from "./store.ts";

/** What was read. */
export interface HistoryState {
  readonly messages: readonly Message[];
  readonly hasOlder: boolean;
  /** Whether more follows; what follows the end is the conversation's newest history. */
  readonly hasNewer: boolean;
  /** How the group changed meanwhile, by increasing revision. */
  readonly changes: readonly GroupChange[];
}

export class History implements Store<HistoryState | undefined> {
  readonly subscribe: Store<HistoryState | undefined>["subscribe"];
  readonly getSnapshot: () => HistoryState | undefined;
  readonly #state = new Cell<HistoryState | undefined>(undefined);
  readonly #read: (position: PagePosition) => Promise<Page>;
  readonly #around: number;
  #reading: Promise<void> | undefined;

  constructor(read: (position: PagePosition) => Promise<Page>, around: number) {
    this.#read = read;
    this.#around = around;
    this.subscribe = this.#state.subscribe;
    this.getSnapshot = this.#state.getSnapshot;
  }

  /** Reads the page around the message. */
  load(): Promise<void> {
    return this.#once(async () => {
      const { messages, changes, hasMoreBefore, hasMoreAfter } = await this.#read({ around: this.#around });
      this.#state.set({ messages, changes, hasOlder: hasMoreBefore, hasNewer: hasMoreAfter });
    });
  }

  loadOlder(): Promise<void> {
    return this.#once(async () => {
      const state = this.#state.getSnapshot();
      const first = state?.messages[0];
      if (state?.hasOlder && first) {
        const page = await this.#read({ before: first.seq });
        this.#state.set({
          messages: [...page.messages, ...state.messages],
          changes: [...page.changes, ...state.changes],
          hasOlder: page.hasMoreBefore,
          hasNewer: state.hasNewer,
        });
      }
    });
  }

  loadNewer(): Promise<void> {
    return this.#once(async () => {
      const state = this.#state.getSnapshot();
      const last = state?.messages.at(-1);
      if (state?.hasNewer && last) {
        const page = await this.#read({ after: last.seq });
        this.#state.set({
          messages: [...state.messages, ...page.messages],
          changes: [...state.changes, ...page.changes],
          hasOlder: state.hasOlder,
          hasNewer: page.hasMoreAfter,
        });
      }
    });
  }

  /** One page at a time. */
  #once(read: () => Promise<void>): Promise<void> {
    this.#reading ??= read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }
}
