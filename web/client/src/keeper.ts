/** Keeps on the device what a book knows, a moment after it has changed. */

import type { Book, KeptConversation } from "./book.ts";
import type { Storage } from "./storage.ts";

/** Messages of an opened conversation that a device keeps, at most. */
const MESSAGES_MAX = 200;
/** How long changes may wait to be kept, in milliseconds. */
const WAIT = 300;

export class Keeper {
  readonly #book: Book;
  readonly #storage: Storage;
  readonly #openedAt = new Map<string, number>();
  readonly #changed = new Set<string>();
  readonly #forgotten = new Set<string>();
  #friendsChanged = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(book: Book, storage: Storage) {
    this.#book = book;
    this.#storage = storage;
  }

  /** Takes when conversations were opened, from what was kept before, and forgets the history of those that are left out. */
  restore(kept: readonly KeptConversation[], left: ReadonlySet<KeptConversation>): void {
    for (const it of kept) {
      const { conversationId } = it.conversation;
      this.#openedAt.set(conversationId, it.openedAt);
      if (left.has(it)) {
        this.#forgotten.add(conversationId);
        this.#changed.add(conversationId);
      }
    }
  }

  opened(conversationId: string): void {
    this.#openedAt.set(conversationId, Date.now());
  }

  changed(conversationIds: Iterable<string>, friends: boolean): void {
    for (const id of conversationIds) {
      this.#changed.add(id);
    }
    this.#friendsChanged ||= friends;
    if (this.#changed.size > 0 || this.#friendsChanged) {
      this.#timer ??= setTimeout(() => this.keep(), WAIT);
    }
  }

  /** Keeps what has changed, now. A device that is full, or forbids it, keeps nothing more; all of it is still shown. */
  async keep(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const kept: KeptConversation[] = [];
    const removed: string[] = [];
    for (const id of this.#changed) {
      const timeline = this.#book.timeline(id);
      if (timeline) {
        kept.push({
          ...timeline.line,
          timeline: timeline.keep(MESSAGES_MAX) ?? (this.#forgotten.has(id) ? null : undefined),
          openedAt: this.#openedAt.get(id) ?? 0,
        });
      } else {
        removed.push(id);
      }
    }
    this.#changed.clear();
    this.#forgotten.clear();
    const friends = this.#friendsChanged ? [...this.#book.friends.values()] : undefined;
    this.#friendsChanged = false;
    await Promise.all([
      this.#storage.putConversations(kept, removed).catch(() => undefined),
      friends && this.#storage.putFriends(friends).catch(() => undefined),
    ]);
  }

  /** Keeps nothing more. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
