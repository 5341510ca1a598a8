/** One WebSocket that live events arrive on. */

import { fromJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { LiveEventSchema } from "./generated/chat/v1/live_pb.ts";
import { type LiveEvent, toLiveEvent } from "./model.ts";
import type { Service } from "./service.ts";
import { jittered, sleep } from "./time.ts";

/** How it keeps itself alive. All in milliseconds. */
export interface LiveOptions {
  /** The longest time between heartbeats; the service wants one every 8 minutes. */
  readonly heartbeat: number;
  /** How long the answer to a heartbeat may take before the connection counts as dead. */
  readonly pongTimeout: number;
}

export const LIVE_DEFAULTS: LiveOptions = { heartbeat: 240_000, pongTimeout: 10_000 };

/** How long it may take until events arrive: ticket, handshakes, and the answer to hello. */
const OPEN_TIMEOUT = 15_000;
const SUBPROTOCOL = "chat.v1";
/** How long a ticket is good for, as the contract says, in milliseconds. */
const TICKET_TIME = 30_000;

/** What a frame says. One that cannot be read, of a later version perhaps, makes a client sync. */
export function readFrame(data: unknown): LiveEvent {
  try {
    return toLiveEvent(fromJson(LiveEventSchema, JSON.parse(String(data)), { ignoreUnknownFields: true }));
  } catch {
    return {
      conversationId: "",
      revision: 0,
      previousRevision: 0,
      feedRevision: 0,
      happening: { kind: "unknown" },
    };
  }
}

/** An open connection. */
export class LiveConnection {
  /** How long after its opening the service stops pushing to it, in milliseconds; 0 when it does not say. */
  readonly lease: number;
  readonly #socket: WebSocket;
  readonly #options: LiveOptions;
  readonly #stopped = new AbortController();
  #pongIsDue = false;
  #ended: (() => void) | undefined;

  private constructor(socket: WebSocket, lease: number, options: LiveOptions) {
    this.#socket = socket;
    this.lease = lease;
    this.#options = options;
  }

  /** Gets a ticket, connects, says hello, and answers once the service has said welcome. */
  static async open(service: Service, options: LiveOptions, signal: AbortSignal): Promise<LiveConnection> {
    const ticket = await service.call((call) => service.live.createLiveTicket({}, call), 1);
    signal.throwIfAborted();
    // What the service's clock says, whatever this one does.
    const madeAt = ticket.expiresAt ? timestampMs(ticket.expiresAt) - TICKET_TIME : undefined;
    const url = new URL(ticket.url);
    // A ticket is as good as a token until it is used: from a page that is encrypted, it goes nowhere else.
    if (url.protocol !== "wss:" && globalThis.location?.protocol === "https:") {
      throw new Error(`the service says to connect to ${url.origin}, which is not encrypted`);
    }
    const socket = new WebSocket(url, [SUBPROTOCOL, `ticket.${ticket.ticket}`]);
    const within = AbortSignal.any([signal, AbortSignal.timeout(OPEN_TIMEOUT)]);
    try {
      return await new Promise<LiveConnection>((resolve, reject) => {
        within.addEventListener("abort", () => reject(within.reason), { once: true });
        socket.onopen = () => socket.send('{"hello":{}}');
        socket.onclose = ({ code }) => reject(new Error(`the live connection was closed with code ${code}`));
        socket.onmessage = ({ data }) => {
          // Events that overtake the welcome are dropped: the sync that follows brings what they tell.
          const { happening } = readFrame(data);
          if (happening.kind === "welcome") {
            const lease = madeAt === undefined ? 0 : Math.max(happening.expiresAt - madeAt, 0);
            resolve(new LiveConnection(socket, lease, options));
          }
        };
      });
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** Hands on each event until the connection ends, however it does. */
  async run(onEvent: (frame: string) => void): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#ended = resolve;
    });
    this.#socket.onmessage = ({ data }) => {
      const frame = String(data);
      this.#pongIsDue &&= readFrame(frame).happening.kind !== "pong";
      onEvent(frame);
    };
    this.#socket.onclose = () => this.close();
    if (this.#socket.readyState !== WebSocket.OPEN) {
      this.close();
    }
    this.#beat().catch(() => this.close());
    await ended;
  }

  close(): void {
    this.#stopped.abort(new Error("the live connection was closed"));
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close();
    this.#ended?.();
  }

  async #beat(): Promise<never> {
    for (;;) {
      await sleep(jittered(this.#options.heartbeat), this.#stopped.signal);
      await this.check();
    }
  }

  /** Fails, and closes the connection, unless the service answers a heartbeat in time. */
  async check(): Promise<void> {
    this.#pongIsDue = true;
    this.#socket.send('{"ping":{}}');
    await sleep(this.#options.pongTimeout, this.#stopped.signal);
    if (this.#pongIsDue) {
      this.close();
      throw new Error("no answer to a heartbeat");
    }
  }
}
