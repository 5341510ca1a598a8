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
  /** Conversations whose marks are being told. */
  readonly #telling = new Set<string>();

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
    if (this.#book.markRead(conversationId, seq) !== undefined) {
      this.#changed();
      this.#start(conversationId);
    } else if (this.#book.conversation(conversationId)?.settings.isMarkedUnread) {
      this.#start(conversationId);
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

  #start(conversationId: string): void {
    if (!this.#telling.has(conversationId)) {
      this.#telling.add(conversationId);
      this.#tell(conversationId)
        .catch(() => undefined)
        .finally(() => this.#telling.delete(conversationId));
    }
  }

  /** Tells the service of a conversation's marks until it knows the last one. */
  async #tell(conversationId: string): Promise<void> {
    const mark = () => {
      const timeline = this.#book.timeline(conversationId);
      // What the service knows takes off the flag.
      const flagged = timeline?.state.settings.isMarkedUnread ? Math.max(timeline.state.readSeq, 1) : 0;
      return timeline?.unsentMark ?? flagged;
    };
    let told = 0;
    for (let failures = 0; mark() > told; ) {
      const next = sleep(this.#interval, this.#stopped.signal);
      next.catch(() => undefined);
      const readSeq = mark();
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
          await sleep(Math.max(backoff(failures), error.retryAfter ?? 0), this.#stopped.signal);
        }
      }
      await next;
    }
  }
}
