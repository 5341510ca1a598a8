/** Read positions on their way to the service. */

import type { Book } from "./book.ts";
import { ChatError } from "./errors.ts";
import { toSettings } from "./model.ts";
import type { Service } from "./service.ts";
import { backoff, sleep } from "./time.ts";

export class Marks {
  readonly #service: Service;
  readonly #book: Book;
  readonly #changed: () => void;
  /** How far apart two marks of a conversation are told, at least, in milliseconds. */
  readonly #interval: number;
  readonly #stopped = new AbortController();
  /**
   * Conversations whose marks are being told, each with whether the user has read what they had flagged as unread since that was
   * told last.
   */
  readonly #telling = new Map<string, boolean>();

  constructor(service: Service, book: Book, interval: number, changed: () => void) {
    this.#service = service;
    this.#book = book;
    this.#interval = interval;
    this.#changed = changed;
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Marks messages as read. The book counts so at once; the service is told. */
  mark(conversationId: string, seq: number): void {
    const isFlagged = this.#book.conversation(conversationId)?.settings.isMarkedUnread === true;
    const isNews = this.#book.markRead(conversationId, seq) !== undefined;
    if (isNews) {
      this.#changed();
    }
    if (isNews || isFlagged) {
      this.#start(conversationId, isFlagged);
    }
  }

  /** Tells what was marked before and is not known to have been told, such as without a network. */
  resume(): void {
    for (const id of this.#book.conversationIds()) {
      if (this.#book.timeline(id)?.unsentMark !== undefined) {
        this.#start(id);
      }
    }
  }

  #start(conversationId: string, takesOff = false): void {
    const isAtWork = this.#telling.has(conversationId);
    this.#telling.set(conversationId, takesOff || this.#telling.get(conversationId) === true);
    if (!isAtWork) {
      this.#tell(conversationId)
        .catch(() => undefined)
        .finally(() => this.#telling.delete(conversationId));
    }
  }

  /** Tells the service of a conversation's marks until it knows the last one. */
  async #tell(conversationId: string): Promise<void> {
    let told = 0;
    const mark = () => {
      const timeline = this.#book.timeline(conversationId);
      const unsent = timeline?.unsentMark ?? 0;
      if (unsent > told) {
        return unsent;
      }
      // What the service knows takes off the flag.
      const takesOff = this.#telling.get(conversationId) && timeline?.state.settings.isMarkedUnread;
      return takesOff ? Math.max(timeline.state.readSeq, 1) : 0;
    };
    for (let failures = 0; mark() > 0; ) {
      const next = sleep(this.#interval, this.#stopped.signal);
      next.catch(() => undefined);
      const readSeq = mark();
      const takesOff = this.#telling.get(conversationId) === true;
      this.#telling.set(conversationId, false);
      try {
        const request = { conversationId, readSeq: BigInt(readSeq) };
        const answer = await this.#service.call(
          (call) => this.#service.conversations.markConversationRead(request, call),
          1,
        );
        [told, failures] = [readSeq, 0];
        const { readSeq: stands, unreadCount, countedSeq } = answer;
        this.#book.takeMark(conversationId, Number(stands), Number(unreadCount), Number(countedSeq));
        if (answer.settings) {
          this.#book.takeSettings(conversationId, toSettings(answer.settings, false));
        }
        this.#changed();
      } catch (cause) {
        const error = ChatError.from(cause);
        failures += 1;
        if (!error.mayMend(failures)) {
          // Refused for good: the conversation is not the user's any more.
          told = readSeq;
        } else {
          this.#telling.set(conversationId, takesOff || this.#telling.get(conversationId) === true);
          await sleep(Math.max(backoff(failures), error.retryAfter ?? 0), this.#stopped.signal);
        }
      }
      await next;
    }
  }
}
