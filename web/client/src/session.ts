/**
 * One live connection for all tabs of a user.
 *
 * The tab that holds a Web Lock has the socket, and hands each frame on to the others by a BroadcastChannel. When it goes,
 * the lock does, and the next tab connects: whoever was without a connection for a moment syncs, as after any other break.
 * Without locks (an insecure page, a server), a tab has a socket of its own.
 */

import { LiveConnection, type LiveOptions, readFrame } from "./live.ts";
import type { LiveEvent } from "./model.ts";
import type { Service } from "./service.ts";
import { backoff, sleep } from "./time.ts";

/** What a session tells its owner. */
export interface SessionListener {
  /** A connection stands: pushes arrive from now on, and a sync has to follow. */
  live(): void;
  /** There is none any more. */
  notLive(): void;
  event(event: LiveEvent): void;
  /** What was tried and failed. */
  failed(error: unknown): void;
}

/** What the tabs of a user tell each other. */
type Word =
  | { readonly kind: "live" | "notLive" }
  | { readonly kind: "frame"; readonly frame: string }
  /** A tab that has just come asks whether there is a connection. */
  | { readonly kind: "who" };

/** How long before its end a connection is replaced, at most, in milliseconds. */
const RENEWAL_MARGIN_MAX = 60_000;
/** A connection that does not say when it ends is replaced after an hour. */
const LEASE_UNKNOWN = 3_600_000;
/** A connection that ends before is a failure like one that could not be opened. */
const LIFE_MIN = 30_000;
/** How often the tab with the connection says so, and how long another one believes it, in milliseconds. */
const WORD_INTERVAL = 20_000;
// Browsers let timers of hidden pages go off once a minute.
const WORD_LIFE = 130_000;

export class Session {
  readonly #service: Service;
  readonly #options: LiveOptions;
  readonly #listener: SessionListener;
  readonly #name: string;
  readonly #stopped = new AbortController();
  #channel: BroadcastChannel | undefined;
  /** Ends this tab's wish to have, or to hear of, a connection. */
  #listening: AbortController | undefined;
  #connection: LiveConnection | undefined;
  #isLeader = false;
  /** Of a tab that listens to another one: whether that one has a connection, and how long its word counts. */
  #isLive = false;
  #believing: ReturnType<typeof setTimeout> | undefined;

  /** Tabs share the connection of what has the same name. */
  constructor(name: string, service: Service, options: LiveOptions, listener: SessionListener) {
    this.#name = name;
    this.#service = service;
    this.#options = options;
    this.#listener = listener;
  }

  /** Wants live events, until `pause` or `stop`. */
  listen(): void {
    if (this.#listening || this.#stopped.signal.aborted) {
      return;
    }
    const listening = new AbortController();
    this.#listening = listening;
    const signal = AbortSignal.any([listening.signal, this.#stopped.signal]);
    const locks = globalThis.navigator?.locks;
    if (locks && typeof BroadcastChannel !== "undefined") {
      this.#join(signal);
      locks
        .request(`chat-live:${this.#name}`, { signal }, () => this.#lead(signal))
        // Where a browser forbids locks, a tab has a connection of its own.
        .catch(() => (signal.aborted || this.#isLeader ? undefined : this.#lead(signal)))
        .catch(() => {
          // This tab does not want it any more.
        });
    } else {
      this.#lead(signal).catch(() => {
        // Likewise.
      });
    }
  }

  /** Lets the connection go, such as when nobody has looked for long. */
  pause(): void {
    this.#listening?.abort();
    this.#listening = undefined;
  }

  stop(): void {
    this.#stopped.abort();
    this.pause();
  }

  /**
   * Asks the service whether this tab's connection still stands, such as after the machine slept. Answers whether there is
   * one to ask about; the answer makes its owner sync.
   */
  check(): boolean {
    this.#connection?.check().catch(() => {
      // It was closed, which whoever runs it sees.
    });
    return this.#connection !== undefined;
  }

  #join(signal: AbortSignal): void {
    const channel = new BroadcastChannel(`chat-live:${this.#name}`);
    this.#channel = channel;
    channel.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    signal.addEventListener(
      "abort",
      () => {
        // Before the channel is closed, for the other tabs to hear.
        if (this.#connection) {
          this.#say({ kind: "notLive" });
        }
        this.#channel = undefined;
        channel.close();
        this.#doubt();
      },
      { once: true },
    );
    this.#say({ kind: "who" });
  }

  #hear(word: Word): void {
    if (word.kind === "who") {
      if (this.#connection) {
        this.#say({ kind: "live" });
      }
    } else if (this.#isLeader) {
      // Words of a leader that was before, still on their way.
    } else if (word.kind === "live") {
      this.#believe();
      if (!this.#isLive) {
        this.#isLive = true;
        this.#listener.live();
      }
    } else if (word.kind === "notLive") {
      this.#doubt();
    } else if (word.kind === "frame") {
      this.#believe();
      this.#listener.event(readFrame(word.frame));
    }
  }

  /** Takes the word of the tab that has the connection, for a while: it may hang, and tell nothing any more. */
  #believe(): void {
    clearTimeout(this.#believing);
    this.#believing = setTimeout(() => this.#doubt(), WORD_LIFE);
  }

  #doubt(): void {
    clearTimeout(this.#believing);
    this.#isLive = false;
    this.#listener.notLive();
  }

  #say(word: Word): void {
    this.#channel?.postMessage(word);
  }

  /** Connects, and connects again, until the signal says that nobody wants it. */
  async #lead(signal: AbortSignal): Promise<void> {
    this.#isLeader = true;
    clearTimeout(this.#believing);
    // Whoever had the connection before is gone, with or without a word.
    this.#listener.notLive();
    let failures = 0;
    try {
      while (!signal.aborted) {
        try {
          const connection = await LiveConnection.open(this.#service, this.#options, signal);
          const openedAt = performance.now();
          await this.#serve(connection, signal);
          failures = performance.now() - openedAt < LIFE_MIN ? failures + 1 : 1;
        } catch (error) {
          failures += 1;
          this.#listener.failed(error);
        }
        if (!signal.aborted) {
          await Promise.race([sleep(backoff(failures), signal), online(signal)]);
        }
      }
    } finally {
      this.#isLeader = false;
    }
  }

  /** Uses a connection until it ends, and replaces it by another one before the service ends it. */
  async #serve(first: LiveConnection, signal: AbortSignal): Promise<void> {
    const close = () => this.#connection?.close();
    const word = setInterval(() => this.#say({ kind: "live" }), WORD_INTERVAL);
    signal.addEventListener("abort", close, { once: true });
    try {
      for (let next: LiveConnection | undefined = first; next && !signal.aborted; ) {
        const connection: LiveConnection = next;
        this.#connection = connection;
        this.#listener.live();
        this.#say({ kind: "live" });
        next = undefined;
        const over = new AbortController();
        // The new one is there before the old one goes: what comes meanwhile comes twice, and once is enough.
        const renewal = sleep(untilRenewal(connection), AbortSignal.any([signal, over.signal]))
          .then(() => LiveConnection.open(this.#service, this.#options, signal))
          .then((renewed) => {
            if (signal.aborted) {
              renewed.close();
            } else {
              next = renewed;
              connection.close();
            }
          })
          .catch(() => {
            // It stays until it ends, and is replaced then.
          });
        await connection.run((frame) => {
          this.#listener.event(readFrame(frame));
          this.#say({ kind: "frame", frame });
        });
        over.abort();
        await renewal;
      }
    } finally {
      clearInterval(word);
      signal.removeEventListener("abort", close);
      close();
      this.#connection = undefined;
      this.#listener.notLive();
      this.#say({ kind: "notLive" });
    }
  }
}

function untilRenewal({ lease }: LiveConnection): number {
  const left = lease || LEASE_UNKNOWN;
  return Math.max(left - Math.min(RENEWAL_MARGIN_MAX, left / 4), 1_000);
}

/** Waits until the browser says that it has a network again. */
function online(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    globalThis.addEventListener?.("online", () => resolve(), { once: true, signal });
  });
}
