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
  live(userId: string): void;
  /** There is none any more. */
  notLive(): void;
  event(event: LiveEvent): void;
  /** What was tried and failed. */
  failed(error: unknown): void;
}

/** What the tabs of a user tell each other. */
type Word =
  | { readonly kind: "live"; readonly userId: string }
  | { readonly kind: "notLive" }
  | { readonly kind: "frame"; readonly frame: string }
  /** A tab that has just come asks whether there is a connection. */
  | { readonly kind: "who" };

/** How long before its end a connection is replaced, at most, in milliseconds. */
const RENEWAL_MARGIN_MAX = 60_000;
/** A connection that does not say when it ends is replaced after an hour. */
const LEASE_UNKNOWN = 3_600_000;

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

  /** Tabs share the connection of what has the same name. */
  constructor(name: string, service: Service, options: LiveOptions, listener: SessionListener) {
    this.#name = name;
    this.#service = service;
    this.#options = options;
    this.#listener = listener;
  }

  /** Whether this tab has the socket. */
  get isLeader(): boolean {
    return this.#isLeader;
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

  /** Asks the service whether the connection still stands, such as after the machine slept. */
  check(): void {
    this.#connection?.check().catch(() => {
      // It was closed, which whoever runs it sees.
    });
  }

  #join(signal: AbortSignal): void {
    const channel = new BroadcastChannel(`chat-live:${this.#name}`);
    this.#channel = channel;
    channel.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    signal.addEventListener(
      "abort",
      () => {
        channel.close();
        this.#listener.notLive();
      },
      { once: true },
    );
    this.#say({ kind: "who" });
  }

  #hear(word: Word): void {
    if (word.kind === "who") {
      if (this.#connection) {
        this.#say({ kind: "live", userId: this.#connection.userId });
      }
    } else if (this.#isLeader) {
      // Words of a leader that was before, still on their way.
    } else if (word.kind === "live") {
      this.#listener.live(word.userId);
    } else if (word.kind === "notLive") {
      this.#listener.notLive();
    } else {
      this.#listener.event(readFrame(word.frame));
    }
  }

  #say(word: Word): void {
    this.#channel?.postMessage(word);
  }

  /** Connects, and connects again, until the signal says that nobody wants it. */
  async #lead(signal: AbortSignal): Promise<void> {
    this.#isLeader = true;
    let failures = 0;
    try {
      while (!signal.aborted) {
        try {
          const connection = await LiveConnection.open(this.#service, this.#options, signal);
          failures = 0;
          await this.#serve(connection, signal);
        } catch (error) {
          failures += 1;
          this.#listener.failed(error);
        }
        if (!signal.aborted) {
          failures ||= 1;
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
    signal.addEventListener("abort", close, { once: true });
    try {
      for (let next: LiveConnection | undefined = first; next && !signal.aborted; ) {
        const connection: LiveConnection = next;
        this.#connection = connection;
        this.#listener.live(connection.userId);
        this.#say({ kind: "live", userId: connection.userId });
        next = undefined;
        const over = new AbortController();
        // The new one is there before the old one goes: what comes meanwhile comes twice, and once is enough.
        const renewal = sleep(untilRenewal(connection), AbortSignal.any([signal, over.signal]))
          .then(() => LiveConnection.open(this.#service, this.#options, signal))
          .then((renewed) => {
            next = renewed;
            connection.close();
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
      signal.removeEventListener("abort", close);
      close();
      this.#connection = undefined;
      this.#listener.notLive();
      this.#say({ kind: "notLive" });
    }
  }
}

function untilRenewal({ expiresAt }: LiveConnection): number {
  const left = expiresAt > 0 ? Math.max(expiresAt - Date.now(), 0) : LEASE_UNKNOWN;
  // With a clock that is wrong by far, the service closes the connection first, or it is replaced often, not always.
  return Math.min(Math.max(left - Math.min(RENEWAL_MARGIN_MAX, left / 4), 1_000), LEASE_UNKNOWN * 24);
}

/** Waits until the browser says that it has a network again. */
function online(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    globalThis.addEventListener?.("online", () => resolve(), { once: true, signal });
  });
}
