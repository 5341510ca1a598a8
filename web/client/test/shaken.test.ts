/** Live events that are lost, doubled, late and out of order, against the running service. */

import { afterEach, expect, test, vi } from "vitest";
import { type ChatClient, waitFor } from "../src/index.ts";
import { clientOf, friends, newUser } from "./service.ts";

const clients: ChatClient[] = [];
const OPTIONS = { live: { heartbeat: 1_500, pongTimeout: 5_000 }, markInterval: 100, pushWait: 1_000 };

afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all(clients.splice(0).map((client) => client.stop()));
});

/** A random number generator that can be told where to begin (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Has every socket from now on lose, double, delay and reorder what it brings, and break now and then. */
function shake(seed: number): void {
  const next = random(seed);
  class ShakenSocket extends WebSocket {
    #handler: ((event: MessageEvent) => void) | null = null;

    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args);
      super.onmessage = (event) => this.#take(event);
    }

    override get onmessage() {
      return this.#handler;
    }

    override set onmessage(handler: ((event: MessageEvent) => void) | null) {
      this.#handler = handler;
    }

    #take(event: MessageEvent): void {
      const isAnswer = /"(?:welcome|pong)"/u.test(String(event.data));
      const luck = next();
      if (!isAnswer && luck < 0.3) {
        return;
      }
      const deliver = () => this.#handler?.(event);
      if (!isAnswer && luck < 0.5) {
        setTimeout(deliver, next() * 300);
      } else {
        deliver();
      }
      if (luck > 0.85) {
        setTimeout(deliver, next() * 200);
      }
      if (luck > 0.98) {
        this.close();
      }
    }
  }
  vi.stubGlobal("WebSocket", ShakenSocket);
}

test.each([1, 2, 3, 4])("what a shaken client shows is what was said, seed %i", async (seed) => {
  shake(seed);
  const [alice, bob] = [newUser("alice"), newUser("bob")];
  const [ofAlice, ofBob] = [clientOf(alice, OPTIONS), clientOf(bob, OPTIONS)];
  clients.push(ofAlice, ofBob);
  const conversation = await friends(ofAlice, ofBob, [alice, bob]);
  const both = [ofAlice.messages(conversation), ofBob.messages(conversation)] as const;
  const leave = both.map((messages) => messages.subscribe(() => undefined));
  const next = random(seed + 1_000);
  const said = { [alice]: 0, [bob]: 0 };
  for (let number = 1; number <= 60; number += 1) {
    const [client, name] = next() < 0.5 ? [ofAlice, alice] : [ofBob, bob];
    said[name] = (said[name] ?? 0) + 1;
    const sending = client.send(conversation, `${name} ${said[name]}`);
    if (next() < 0.3) {
      await sending;
    }
    if (next() < 0.15) {
      (next() < 0.5 ? ofAlice : ofBob).markRead(conversation);
    }
  }
  const states = await Promise.all(
    both.map((messages) =>
      waitFor(
        messages,
        ({ conversation: state, outgoing }) =>
          outgoing.length === 0 && state?.isWhole === true && state.messages.length === 60,
        AbortSignal.timeout(30_000),
      ),
    ),
  );
  const truth: string[] = [];
  for (let page = await ofAlice.getPage(conversation, { after: 0 }); ; ) {
    truth.push(...page.messages.map((message) => message.text));
    const last = page.messages.at(-1);
    if (!page.hasMoreAfter || !last) {
      break;
    }
    page = await ofAlice.getPage(conversation, { after: last.seq });
  }
  for (const { conversation: state } of states) {
    const texts = state?.messages.map((message) => message.text) ?? [];
    expect(texts).toEqual(truth);
    for (const name of [alice, bob]) {
      const own = texts.filter((text) => text.startsWith(`${name} `));
      expect(own).toEqual(Array.from({ length: said[name] ?? 0 }, (_, place) => `${name} ${place + 1}`));
    }
  }
  ofAlice.markRead(conversation);
  ofBob.markRead(conversation);
  await Promise.all(
    both.map((messages) =>
      waitFor(
        messages,
        ({ conversation: state }) => state?.unreadCount === 0 && state.readSeqs.get(alice) === state.readSeqs.get(bob),
        AbortSignal.timeout(15_000),
      ),
    ),
  );
  for (const stop of leave) {
    stop();
  }
});
