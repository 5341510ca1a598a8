/** The calls of the contract, with the caller's token, deadlines and bounded repeats. */

import type { DescMethodUnary, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { ChatError, gatewayError } from "./errors.ts";
import { ConversationService } from "./generated/chat/v1/conversation_pb.ts";
import { FriendService } from "./generated/chat/v1/friend_pb.ts";
import { GroupService } from "./generated/chat/v1/group_service_pb.ts";
import { LiveService } from "./generated/chat/v1/live_pb.ts";
import { MessageService } from "./generated/chat/v1/message_pb.ts";
import { UserService } from "./generated/chat/v1/user_pb.ts";
import { backoff, sleep } from "./time.ts";

/**
 * Gives the token to call with. `refused` is a token that the service did not accept: answer another one, or fail.
 */
export type TokenSource = (refused?: string) => string | Promise<string>;

/** Where and as whom to call. */
export interface ServiceOptions {
  /** The service's URL, such as `https://chat.example.com`. Without one: where the page came from. */
  readonly url?: string;
  readonly token: TokenSource;
  /** How long a call may take, in milliseconds. */
  readonly timeout?: number;
  /** Calls with this instead of the platform's `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
}

/** How long a call may take when the options do not say. API Gateway gives up after 29 s. */
const TIMEOUT_DEFAULT = 30_000;
/** How often a call is attempted, at most. */
const ATTEMPTS_MAX = 4;

/** How a call is made. */
export interface CallOptions {
  readonly signal: AbortSignal;
  readonly headers: Record<string, string>;
  readonly timeoutMs: number;
}

/** The calls of one of the contract's services, by their names. */
export type Calls<S extends DescService> = {
  readonly [M in keyof S["method"]]: (
    request: MessageInitShape<S["method"][M]["input"]>,
    options: CallOptions,
  ) => Promise<MessageShape<S["method"][M]["output"]>>;
};

/** All services of the contract. */
export class Service {
  readonly conversations: Calls<typeof ConversationService>;
  readonly friends: Calls<typeof FriendService>;
  readonly groups: Calls<typeof GroupService>;
  readonly live: Calls<typeof LiveService>;
  readonly messages: Calls<typeof MessageService>;
  readonly users: Calls<typeof UserService>;
  readonly #options: ServiceOptions;
  readonly #stopped = new AbortController();

  constructor(options: ServiceOptions) {
    this.#options = options;
    const transport = newTransport(options);
    this.conversations = callsOf(ConversationService, transport);
    this.friends = callsOf(FriendService, transport);
    this.groups = callsOf(GroupService, transport);
    this.live = callsOf(LiveService, transport);
    this.messages = callsOf(MessageService, transport);
    this.users = callsOf(UserService, transport);
  }

  /** Ends what is under way; later calls fail at once. */
  stop(): void {
    this.#stopped.abort(new ConnectError("the client was stopped", Code.Canceled));
  }

  /** Makes a call. All of the contract's can be repeated, so it is while that may help. */
  async call<T>(attempt: (options: CallOptions) => Promise<T>, attemptsMax = ATTEMPTS_MAX): Promise<T> {
    let isAttemptLost = false;
    let refused: string | undefined;
    for (let attempts = 1; ; attempts += 1) {
      let token: string | undefined;
      try {
        token = await this.#token(refused);
        return await attempt({
          signal: this.#stopped.signal,
          headers: { authorization: `Bearer ${token}` },
          timeoutMs: this.#options.timeout ?? TIMEOUT_DEFAULT,
        });
      } catch (cause) {
        const error: ChatError = new ChatError(cause, { isAttemptLost });
        // A token is refreshed once: one that is refused as well will be again.
        if (error.code === "Unauthenticated" && token !== undefined && refused === undefined) {
          refused = token;
          continue;
        }
        isAttemptLost ||= !error.isNotDone;
        if (error.code !== "Unavailable" || attempts >= attemptsMax || this.#stopped.signal.aborted) {
          throw error;
        }
        await sleep(Math.max(backoff(attempts), error.retryAfter ?? 0), this.#stopped.signal);
      }
    }
  }

  async #token(refused: string | undefined): Promise<string> {
    const timeout = this.#options.timeout ?? TIMEOUT_DEFAULT;
    const over = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(timeout)]);
    try {
      return await new Promise<string>((resolve, reject) => {
        over.addEventListener("abort", () => reject(new TypeError("no token in time")), { once: true });
        Promise.resolve(this.#options.token(refused)).then(resolve, reject);
      });
    } catch (cause) {
      this.#stopped.signal.throwIfAborted();
      // Where tokens come from may be out of reach as well.
      const code = cause instanceof TypeError ? Code.Unavailable : Code.Unauthenticated;
      throw new ConnectError("there is no token to call with", code, undefined, undefined, cause);
    }
  }
}

/** A service's calls. All of the contract's are unary, so that a client of streams as well would only weigh. */
function callsOf<S extends DescService>(service: S, transport: Transport): Calls<S> {
  const calls = service.methods.map((method) => [
    method.localName,
    async (request: MessageInitShape<typeof method.input>, { signal, timeoutMs, headers }: CallOptions) =>
      (await transport.unary(method as DescMethodUnary, signal, timeoutMs, headers, request)).message,
  ]);
  return Object.fromEntries(calls) as Calls<S>;
}

/** A browser says that it aborted a call after its time: nobody asked for that. */
const deadlines: Interceptor = (next) => async (request) => {
  try {
    return await next(request);
  } catch (cause) {
    const error = ConnectError.from(cause);
    const { signal } = request;
    const isOver = error.code === Code.Canceled && !(signal.reason instanceof ConnectError);
    throw isOver ? new ConnectError("no answer in time", Code.DeadlineExceeded) : error;
  }
};

function newTransport(options: ServiceOptions): Transport {
  const fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  return createGrpcWebTransport({
    baseUrl: options.url ?? globalThis.location.origin,
    useBinaryFormat: true,
    interceptors: [deadlines],
    fetch: async (input, init) => {
      let response: Response;
      try {
        // A token is all that a call needs: no cookies, and nothing of it is kept by the browser.
        response = await fetch(input, {
          ...init,
          credentials: "omit",
          cache: "no-store",
          referrerPolicy: "no-referrer",
        });
      } catch (cause) {
        if (init?.signal?.aborted) {
          throw cause;
        }
        throw new ConnectError("the service cannot be reached", Code.Unavailable, undefined, undefined, cause);
      }
      const type = response.headers.get("content-type") ?? "";
      if (!type.startsWith("application/grpc-web")) {
        throw await gatewayError(response);
      }
      return response;
    },
  });
}
