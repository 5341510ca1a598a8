/**
 * Messages on their way to the service: kept on the device before the first attempt, sent in the order of each conversation
 * by whichever tab comes first, repeated under the same id until they are answered, and again until they come back as a
 * push, since whoever was to tell the others may have died after the answer.
 */

import { ChatError } from "./errors.ts";
import { type Message, toMessage } from "./model.ts";
import type { Service } from "./service.ts";
import type { Outgoing, Storage } from "./storage.ts";
import { backoff, sleep } from "./time.ts";

/** What an outbox tells its owner. */
export interface OutboxListener {
  /** What is to be sent has changed. */
  changed(conversationIds: ReadonlySet<string>): void;
  /** The service has answered a message, to this tab or to another one. */
  sent(message: Message): void;
  /** How far the user has read, if the service is not known to know. */
  unsentMark(conversationId: string): number | undefined;
}

/** What tabs tell each other. */
type Word =
  | { readonly kind: "changed"; readonly conversationId: string }
  | { readonly kind: "sent"; readonly message: Message };

export class Outbox {
  readonly #service: Service;
  readonly #storage: Storage;
  readonly #listener: OutboxListener;
  readonly #name: string;
  /** How long the push of a message may take to come back before the call is repeated, in milliseconds. */
  readonly #pushWait: number;
  readonly #stopped = new AbortController();
  readonly #channel: BroadcastChannel | undefined;
  #items = new Map<string, Outgoing>();
  /** Conversations that this tab is sending in, and whether to look again after. */
  readonly #sending = new Map<string, boolean>();
  /** Ids whose push came before the answer did. */
  readonly #heard = new Set<string>();
  readonly #watched = new Set<string>();
  /** What the device could not be told, since it is full: what has become of these, or nothing for those that are gone. */
  readonly #unsaved = new Map<string, Outgoing | undefined>();
  #wake = new AbortController();
  #place = 0;

  constructor(name: string, service: Service, storage: Storage, listener: OutboxListener, pushWait: number) {
    this.#name = name;
    this.#service = service;
    this.#storage = storage;
    this.#listener = listener;
    this.#pushWait = pushWait;
    if (typeof BroadcastChannel !== "undefined") {
      this.#channel = new BroadcastChannel(`chat-outbox:${name}`);
      this.#channel.onmessage = ({ data }: MessageEvent<Word>) => this.#hearTab(data);
    }
  }

  /** Takes what the device has kept, and sends it. */
  start(kept: readonly Outgoing[]): void {
    this.#replace(kept);
    for (const conversationId of new Set(kept.map((outgoing) => outgoing.conversationId))) {
      this.#send(conversationId);
    }
  }

  stop(): void {
    this.#stopped.abort();
    this.#channel?.close();
  }

  /** What is waiting or has failed in a conversation, in its order. */
  of(conversationId: string): readonly Outgoing[] {
    return this.all().filter((outgoing) => outgoing.conversationId === conversationId);
  }

  /** What is waiting or has failed in any conversation. */
  all(): readonly Outgoing[] {
    return [...this.#items.values()].filter((outgoing) => outgoing.status !== "sent");
  }

  /** Says something after all that was said before. It is shown at once, and goes out when it can. */
  async add(conversationId: string, text: string, replyToMessageId: string): Promise<Outgoing> {
    this.#place = Math.max(this.#place + 1, Date.now() * 1_000);
    const outgoing: Outgoing = {
      clientMessageId: newId(),
      conversationId,
      text,
      replyToMessageId,
      place: this.#place,
      createdAt: Date.now(),
      status: "pending",
      isAttempted: false,
    };
    await this.#put(outgoing);
    this.#send(conversationId);
    return outgoing;
  }

  /** Tries a failed message once more, as the last one. */
  async retry(clientMessageId: string): Promise<void> {
    const failed = this.#items.get(clientMessageId);
    if (failed?.status === "failed") {
      const { failure: _, ...outgoing } = failed;
      await this.#put({ ...outgoing, status: "pending" });
      this.#send(outgoing.conversationId);
    }
  }

  /** Gives a failed message up. One that is on its way may have arrived, and stays. */
  async drop(clientMessageId: string): Promise<void> {
    if (this.#items.get(clientMessageId)?.status === "failed") {
      await this.#remove(clientMessageId);
    }
  }

  /** Does not wait any longer, such as when the network is back. */
  hurry(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /** Hears of a message by a live event. */
  hear({ clientMessageId }: Message): void {
    const outgoing = this.#items.get(clientMessageId);
    if (outgoing?.status === "sent") {
      this.#remove(clientMessageId);
    } else if (outgoing) {
      this.#heard.add(clientMessageId);
    }
  }

  #hearTab(word: Word): void {
    if (word.kind === "sent") {
      this.#listener.sent(word.message);
    } else {
      this.#all().then((outgoing) => this.#replace(outgoing));
    }
  }

  #replace(kept: readonly Outgoing[]): void {
    const before = this.#items;
    this.#items = new Map(kept.map((outgoing) => [outgoing.clientMessageId, outgoing]));
    // Also after a clock that went back, what comes later stands behind what is there.
    this.#place = Math.max(this.#place, ...kept.map((outgoing) => outgoing.place));
    const all = [...before.values(), ...kept];
    this.#listener.changed(new Set(all.map((outgoing) => outgoing.conversationId)));
    for (const outgoing of kept) {
      this.#watch(outgoing);
    }
  }

  async #put(outgoing: Outgoing): Promise<void> {
    this.#items.set(outgoing.clientMessageId, outgoing);
    this.#listener.changed(new Set([outgoing.conversationId]));
    await this.#save(outgoing.clientMessageId, outgoing);
    this.#say({ kind: "changed", conversationId: outgoing.conversationId });
    this.#watch(outgoing);
  }

  async #remove(clientMessageId: string): Promise<void> {
    const outgoing = this.#items.get(clientMessageId);
    this.#items.delete(clientMessageId);
    this.#heard.delete(clientMessageId);
    if (outgoing) {
      this.#listener.changed(new Set([outgoing.conversationId]));
    }
    await this.#save(clientMessageId, undefined);
    if (outgoing) {
      this.#say({ kind: "changed", conversationId: outgoing.conversationId });
    }
  }

  /** Keeps what has become of a message, or that it is gone; in memory, on a device that keeps nothing any more. */
  async #save(clientMessageId: string, outgoing: Outgoing | undefined): Promise<void> {
    this.#unsaved.set(clientMessageId, outgoing);
    try {
      await (outgoing ? this.#storage.putOutgoing(outgoing) : this.#storage.removeOutgoing(clientMessageId));
      if (this.#unsaved.get(clientMessageId) === outgoing) {
        this.#unsaved.delete(clientMessageId);
      }
    } catch {
      // It stays in memory.
    }
  }

  /** All that the device has kept, by whichever tab, and what it could not keep. */
  async #all(): Promise<readonly Outgoing[]> {
    const kept = await this.#storage.outgoing().catch(() => [...this.#items.values()]);
    const all = new Map(kept.map((outgoing) => [outgoing.clientMessageId, outgoing]));
    for (const [id, outgoing] of this.#unsaved) {
      if (outgoing) {
        all.set(id, outgoing);
      } else {
        all.delete(id);
      }
    }
    return [...all.values()].sort((one, other) => one.place - other.place);
  }

  #say(word: Word): void {
    if (!this.#stopped.signal.aborted) {
      this.#channel?.postMessage(word);
    }
  }

  /** Sends what is waiting in a conversation, one message after the other, one tab at a time. */
  #send(conversationId: string): void {
    if (this.#stopped.signal.aborted || this.#sending.has(conversationId)) {
      this.#sending.set(conversationId, true);
      return;
    }
    this.#sending.set(conversationId, false);
    this.#locked(conversationId, () => this.#sendAll(conversationId))
      .catch(() => undefined)
      .finally(() => {
        const isWanted = this.#sending.get(conversationId);
        this.#sending.delete(conversationId);
        if (isWanted && !this.#stopped.signal.aborted) {
          this.#send(conversationId);
        }
      });
  }

  async #locked(conversationId: string, work: () => Promise<void>): Promise<void> {
    const locks = globalThis.navigator?.locks;
    let isAtWork = false;
    const atWork = () => {
      isAtWork = true;
      return work();
    };
    if (!locks) {
      return work();
    }
    try {
      await locks.request(`chat-outbox:${this.#name}:${conversationId}`, { signal: this.#stopped.signal }, atWork);
    } catch (error) {
      // Where a browser forbids locks, as it may with other storage, there is no other tab to wait for.
      if (isAtWork || this.#stopped.signal.aborted) {
        throw error;
      }
      await work();
    }
  }

  async #sendAll(conversationId: string): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      // Another tab may have sent, or dropped, what this one remembers.
      const next = (await this.#all()).find(
        (outgoing) => outgoing.conversationId === conversationId && outgoing.status === "pending",
      );
      if (!next) {
        return;
      }
      await this.#deliver(next);
    }
  }

  /** Repeats a call until it is answered, or fails in a way that repeating does not mend. */
  async #deliver(outgoing: Outgoing): Promise<void> {
    let { isAttempted } = outgoing;
    for (let failures = 1; ; failures += 1) {
      if (!isAttempted) {
        // Known before the attempt: whoever goes on after this tab's death says that it is a repeat.
        await this.#save(outgoing.clientMessageId, { ...outgoing, isAttempted: true });
      }
      try {
        const message = await this.#attempt(outgoing, isAttempted);
        // First, so that it is shown all the while: what is confirmed hides what is waiting.
        this.#listener.sent(message);
        this.#say({ kind: "sent", message });
        await this.#put({ ...outgoing, status: "sent", isAttempted: true, sent: { message, at: Date.now() } });
        if (this.#heard.has(outgoing.clientMessageId)) {
          await this.#remove(outgoing.clientMessageId);
        }
        return;
      } catch (cause) {
        this.#stopped.signal.throwIfAborted();
        const error = ChatError.from(cause);
        if (!error.mayMend(failures)) {
          const { code, reason, message } = error;
          const failure = { code, message, ...(reason !== undefined && { reason }) };
          await this.#put({ ...outgoing, status: "failed", isAttempted: true, failure });
          return;
        }
        isAttempted = true;
        const waiting = AbortSignal.any([this.#stopped.signal, this.#wake.signal]);
        await sleep(Math.max(backoff(failures), error.retryAfter ?? 0), waiting).catch(() => undefined);
        this.#stopped.signal.throwIfAborted();
      }
    }
  }

  async #attempt(outgoing: Outgoing, isRepeat: boolean): Promise<Message> {
    const { conversationId, clientMessageId, text, replyToMessageId } = outgoing;
    const request = {
      conversationId,
      clientMessageId,
      text,
      replyToMessageId,
      retry: isRepeat,
      readSeq: BigInt(this.#listener.unsentMark(conversationId) ?? 0),
    };
    const { message } = await this.#service.call((call) => this.#service.messages.sendMessage(request, call), 1);
    if (!message) {
      throw new Error("the answer has no message");
    }
    return toMessage(message);
  }

  /** Repeats the call of a message that was answered and does not come back as a push. */
  #watch({ clientMessageId, status, sent }: Outgoing): void {
    if (status !== "sent" || !sent || this.#watched.has(clientMessageId)) {
      return;
    }
    this.#watched.add(clientMessageId);
    const wait = Math.min(Math.max(sent.at + this.#pushWait - Date.now(), 0), this.#pushWait);
    sleep(wait, this.#stopped.signal)
      .then(() => this.#repeat(clientMessageId))
      .catch(() => undefined)
      .finally(() => this.#watched.delete(clientMessageId));
  }

  async #repeat(clientMessageId: string): Promise<void> {
    for (let failures = 1; ; failures += 1) {
      const outgoing = this.#items.get(clientMessageId);
      if (!outgoing) {
        return;
      }
      try {
        await this.#attempt(outgoing, true);
        break;
      } catch (cause) {
        this.#stopped.signal.throwIfAborted();
        const error = ChatError.from(cause);
        if (!error.mayMend(failures)) {
          break;
        }
        await sleep(Math.max(backoff(failures), error.retryAfter ?? 0), this.#stopped.signal);
      }
    }
    await this.#remove(clientMessageId);
  }
}

/** A UUID, also on a page that is not served securely. */
function newId(): string {
  if (globalThis.crypto.randomUUID) {
    return globalThis.crypto.randomUUID();
  }
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
