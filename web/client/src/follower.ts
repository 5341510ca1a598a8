/**
 * Keeps a book up to date: takes live events as hints, and syncs at start, on a gap, with every heartbeat, whenever the
 * service says so, and on a timer while there is no live connection.
 */

import { create } from "@bufbuild/protobuf";
import type { Asked, Book, Load } from "./book.ts";
import { ChatError } from "./errors.ts";
import { ListMessagesRequestSchema } from "./generated/chat/v1/message_pb.ts";
import { fromSyncRequest, type LiveEvent, NAMED_MEMBERS_MAX, type Page, toPage, toSyncAnswer } from "./model.ts";
import type { Service } from "./service.ts";
import { backoff, jittered, sleep } from "./time.ts";

/** How it follows. All in milliseconds. */
export interface FollowOptions {
  /** How long to wait for a missing live event before syncing; in a large group, up to ten times as long. */
  readonly gapWait: number;
  /** How often to sync while there is no live connection. */
  readonly pollInterval: number;
}

export const FOLLOW_DEFAULTS: FollowOptions = { gapWait: 300, pollInterval: 30_000 };

/**
 * How many times as long the wait for a gap is in a large group, at most, at random. Live events come in no order there, and
 * thousands see the same gap: they are not to sync at once because two events have swapped places.
 */
const LARGE_GAP_FACTOR_MAX = 10;
/** How often the wait for a gap is doubled, at most. */
const GAP_DOUBLINGS_MAX = 7;
/** Calls of one sync, at most; what is left follows after a pause. */
const CALLS_MAX = 1_000;
const CALLS_PAUSE = 100;
/** Conversations whose history is loaded at the same time, at most. */
const LOADS_MAX = 8;
/** Messages on a page of history. */
const PAGE_SIZE = 100;

/** Where on a history a page is; the newest one when nothing is said. */
export interface PagePosition {
  readonly before?: number | undefined;
  readonly after?: number | undefined;
  readonly around?: number | undefined;
}

export class Follower {
  readonly #service: Service;
  readonly #book: Book;
  readonly #options: FollowOptions;
  /** Tells that the book may have changed. */
  readonly #changed: () => void;
  readonly #failed: (error: ChatError) => void;
  readonly #stopped = new AbortController();
  #isStarted = false;
  #isPaused = false;
  #isLive = false;
  #isSyncing = false;
  #loads = 0;
  #syncAt: number | undefined;
  #gapAt: number | undefined;
  #pollAt = 0;
  #failedSyncs = 0;
  #gapSyncs = 0;
  #advancesBefore = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    service: Service,
    book: Book,
    options: FollowOptions,
    changed: () => void,
    failed: (error: ChatError) => void,
  ) {
    this.#service = service;
    this.#book = book;
    this.#options = options;
    this.#changed = changed;
    this.#failed = failed;
  }

  /** Starts to follow. Who has no live connection within a moment asks without one. */
  start(): void {
    this.#isStarted = true;
    this.#pollAt = now() + 1_000;
    this.#plan();
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  /** Asks for a sync now. */
  sync(): void {
    this.#syncAt = now();
    this.#plan();
  }

  /** Asks for nothing until it is resumed: nobody looks, and nothing is heard. */
  pause(): void {
    this.#isPaused = true;
    clearTimeout(this.#timer);
  }

  /** Goes on. */
  resume(): void {
    if (this.#isPaused) {
      this.#isPaused = false;
      this.sync();
    }
  }

  live(): void {
    this.#isLive = true;
    this.#syncAt = now();
    this.#changed();
    this.#plan();
  }

  notLive(): void {
    this.#isLive = false;
    this.#pollAt = now() + jittered(this.#options.pollInterval);
    this.#plan();
  }

  event(event: LiveEvent): void {
    const wants = this.#book.takeEvent(event);
    if (wants === "sync") {
      this.#syncAt = now();
    } else if (wants === "gapSync") {
      const { memberCount = 0 } = this.#book.conversation(event.conversationId)?.group ?? {};
      const factor = memberCount > NAMED_MEMBERS_MAX ? 1 + Math.random() * (LARGE_GAP_FACTOR_MAX - 1) : 1;
      this.#gapAt = earliest(this.#gapAt, now() + this.#options.gapWait * factor);
    }
    this.#changed();
    this.#plan();
  }

  /** A page of a conversation's history. */
  async page(conversationId: string, position: PagePosition, restartRevision = 0): Promise<Page> {
    const { before, after, around } = position;
    const request = create(ListMessagesRequestSchema, {
      conversationId,
      pageSize: PAGE_SIZE,
      restartRevision: BigInt(restartRevision),
    });
    if (before !== undefined) {
      request.position = { case: "beforeSeq", value: BigInt(before) };
    } else if (after !== undefined) {
      request.position = { case: "afterSeq", value: BigInt(after) };
    } else if (around !== undefined) {
      request.position = { case: "aroundSeq", value: BigInt(around) };
    }
    return toPage(await this.#service.call((call) => this.#service.messages.listMessages(request, call)));
  }

  /** Starts what is due, and sets the timer for what is due next. */
  #plan(): void {
    clearTimeout(this.#timer);
    if (!this.#isStarted || this.#isPaused || this.#stopped.signal.aborted) {
      return;
    }
    for (let load = this.#nextLoad(); load; load = this.#nextLoad()) {
      this.#load(load);
    }
    // A call that is under way was asked before whatever happens now: a wanted sync waits for its turn.
    if (this.#isSyncing) {
      return;
    }
    const due = earliest(this.#syncAt, this.#gapAt, this.#isLive ? undefined : this.#pollAt);
    if (due === undefined) {
      return;
    }
    const wait = due - now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#plan(), wait);
    } else {
      this.#syncIfNeeded();
    }
  }

  #nextLoad(): Load | undefined {
    return this.#loads < LOADS_MAX ? this.#book.nextLoad() : undefined;
  }

  async #load(load: Load): Promise<void> {
    this.#loads += 1;
    let page: Page | undefined;
    for (let failures = 1; !this.#stopped.signal.aborted; failures += 1) {
      try {
        // Read as one that follows a restart: a page of an outdated server could lack what the cursor says is known.
        page = await this.page(load.conversationId, {}, load.cursor.revision);
        break;
      } catch (cause) {
        const error = ChatError.from(cause);
        if (error.code === "NotFound") {
          // Lost since the sync, which the next one will say as well.
          break;
        }
        this.#failed(error);
        await sleep(Math.max(backoff(failures), error.retryAfter ?? 0), this.#stopped.signal).catch(() => undefined);
      }
    }
    this.#loads -= 1;
    if (this.#stopped.signal.aborted) {
      return;
    }
    this.#book.takeHistory(load, page);
    if (this.#book.hasFresh) {
      this.#syncAt = earliest(this.#syncAt, now());
    }
    this.#changed();
    this.#plan();
  }

  #syncIfNeeded(): void {
    const isPolled = !this.#isLive && this.#pollAt <= now();
    const isWanted = isPolled || (this.#syncAt !== undefined && this.#syncAt <= now());
    this.#gapAt = undefined;
    if (!isWanted && !this.#book.hasGap) {
      this.#plan();
      return;
    }
    this.#syncAt = undefined;
    this.#pollAt = now() + jittered(this.#options.pollInterval);
    this.#isSyncing = true;
    this.#book.beginSync();
    this.#sync().finally(() => {
      this.#isSyncing = false;
      this.#plan();
    });
  }

  async #sync(): Promise<void> {
    let isComplete = false;
    for (let calls = 0; !isComplete && calls < CALLS_MAX; calls += 1) {
      const asked = this.#book.nextCall(now());
      if (!asked) {
        break;
      }
      try {
        isComplete = await this.#ask(asked);
      } catch (cause) {
        if (this.#stopped.signal.aborted) {
          return;
        }
        const error = ChatError.from(cause);
        this.#failedSyncs += 1;
        this.#syncAt = now() + Math.max(backoff(this.#failedSyncs), error.retryAfter ?? 0);
        this.#failed(error);
        return;
      }
    }
    this.#failedSyncs = 0;
    this.#synced(isComplete);
  }

  async #ask(asked: Asked): Promise<boolean> {
    const request = fromSyncRequest(asked.request);
    const answer = await this.#service.call((call) => this.#service.conversations.syncConversations(request, call), 1);
    this.#stopped.signal.throwIfAborted();
    const isComplete = this.#book.takeAnswer(asked, toSyncAnswer(answer), now());
    this.#changed();
    return isComplete;
  }

  #synced(isComplete: boolean): void {
    this.#syncAt = earliest(this.#syncAt, this.#book.waitEnds);
    if (!isComplete) {
      this.#syncAt = earliest(this.#syncAt, now() + CALLS_PAUSE);
    } else if (this.#book.hasGap) {
      // Should a gap stay although syncs succeed, then ask less and less often.
      const isStuck = this.#book.advances === this.#advancesBefore;
      this.#gapSyncs = isStuck ? this.#gapSyncs + 1 : 1;
      this.#advancesBefore = this.#book.advances;
      const doublings = Math.min(this.#gapSyncs, GAP_DOUBLINGS_MAX) - 1;
      this.#gapAt = earliest(this.#gapAt, now() + this.#options.gapWait * 2 ** doublings);
    }
  }
}

/** A clock that only goes forward. */
export function now(): number {
  return performance.now();
}

function earliest(...times: (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}
