/** How a call can fail, and what to do about it. */

import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./generated/google/rpc/error_details_pb.ts";

/** The name of a gRPC code, such as `NotFound`. */
export type ErrorCode = keyof typeof Code;

/** A field that was refused, and what is allowed. */
export interface Violation {
  readonly field: string;
  readonly description: string;
}

const NOT_DONE: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.PermissionDenied,
  Code.ResourceExhausted,
  Code.FailedPrecondition,
  Code.Aborted,
  Code.OutOfRange,
  Code.Unimplemented,
  Code.Unauthenticated,
]);

/** How often a failure is repeated of which nobody knows whether that helps. */
const UNCLEAR_MAX = 4;

/** A call that did not get its answer. */
export class ChatError extends Error {
  override readonly name = "ChatError";
  readonly code: ErrorCode;
  /** What is wrong, for a program: a constant in UPPER_SNAKE_CASE, if the service said one. */
  readonly reason: string | undefined;
  /** What the reason is about. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
  /** How long to wait before repeating the call, in milliseconds, if the service says. */
  readonly retryAfter: number | undefined;
  /** Whether the call did nothing and never will. Else it may have done all of it: repeat it with the same ids. */
  readonly isNotDone: boolean;

  constructor(cause: unknown, { isAttemptLost = false } = {}) {
    const error = ConnectError.from(cause, cause instanceof TypeError ? Code.Unavailable : Code.Unknown);
    super(error.rawMessage, { cause });
    this.code = Code[error.code] as ErrorCode;
    const [info] = error.findDetails(ErrorInfoSchema);
    this.reason = info?.reason || undefined;
    this.metadata = info?.metadata ?? {};
    this.violations = error
      .findDetails(BadRequestSchema)
      .flatMap(({ fieldViolations }) => fieldViolations)
      .map(({ field, description }) => ({ field, description }));
    this.retryAfter = retryAfter(error);
    this.isNotDone = !isAttemptLost && NOT_DONE.has(error.code);
  }

  /** Whatever was thrown, as such an error. */
  static from(cause: unknown): ChatError {
    return cause instanceof ChatError ? cause : new ChatError(cause);
  }

  /** Whether repeating the call, after so many failures, may mend this one: overload, outages and ended sessions end. */
  mayMend(failures: number): boolean {
    if (this.isTransient || this.code === "Unauthenticated") {
      return true;
    }
    if (this.code === "ResourceExhausted") {
      return this.retryAfter !== undefined || this.reason === "RATE_LIMITED";
    }
    // Perhaps a defect that every attempt meets, perhaps not.
    return !this.isNotDone && failures < UNCLEAR_MAX;
  }

  /** Whether another attempt may fare better. */
  get isTransient(): boolean {
    return this.code === "Unavailable" || this.code === "DeadlineExceeded";
  }
}

/** No longer than this is waited at once, whatever is said, in milliseconds. */
const RETRY_AFTER_MAX = 300_000;

function retryAfter(error: ConnectError): number | undefined {
  const wait = said(error);
  return wait === undefined ? undefined : Math.min(wait, RETRY_AFTER_MAX);
}

function said(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  if (delay) {
    return Number(delay.seconds) * 1_000 + delay.nanos / 1_000_000;
  }
  const header = error.metadata.get("retry-after");
  if (!header) {
    return undefined;
  }
  const seconds = Number(header);
  const wait = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1_000;
  return wait > 0 ? wait : undefined;
}

/**
 * What stands in front of the service answers with HTTP and JSON, not with gRPC: what it means, as the contract says.
 */
export async function gatewayError(response: Response): Promise<ConnectError> {
  const { status } = response;
  const codes: Record<number, Code> = {
    400: Code.Internal,
    401: Code.Unauthenticated,
    403: Code.PermissionDenied,
    404: Code.Unimplemented,
    413: Code.InvalidArgument,
    429: Code.Unavailable,
    502: Code.Unavailable,
    503: Code.Unavailable,
    504: Code.Unavailable,
  };
  const text = await response.text().catch(() => "");
  const message = `the gateway answered HTTP ${status}${text ? `: ${text.slice(0, 200)}` : ""}`;
  return new ConnectError(message, codes[status] ?? Code.Unknown, response.headers);
}
