/** The rules, in the scenarios that the Rust client is held to as well. */

import { readdirSync, readFileSync } from "node:fs";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type Asked, Book, type Load } from "../src/book.ts";
import {
  MarkConversationReadResponseSchema,
  SyncConversationsResponseSchema,
} from "../src/generated/chat/v1/conversation_pb.ts";
import { LiveEventSchema } from "../src/generated/chat/v1/live_pb.ts";
import { ListMessagesResponseSchema, MessageSchema } from "../src/generated/chat/v1/message_pb.ts";
import { type GroupRole, toLiveEvent, toMessage, toPage, toSyncAnswer } from "../src/model.ts";

const FOLDER = new URL("../../../shared/client/scenarios/", import.meta.url);
/** How much later each step is than the one before, in milliseconds. */
const STEP = 200;

interface Step {
  readonly do: string;
  readonly conversation: string;
  readonly seq: number;
  readonly event: JsonValue;
  readonly answer: JsonValue;
  readonly page?: JsonValue;
  readonly message: JsonValue;
}

interface Scenario {
  readonly user: string;
  readonly steps: readonly { readonly step: Step; readonly then: string }[];
}

class Run {
  readonly #book = new Book();
  readonly #loads: Load[] = [];
  #now = 0;
  #asked: Asked | undefined;

  constructor(user: string) {
    this.#book.takeUserId(user);
  }

  step(step: Step): string {
    this.#now += STEP;
    const said = this.#do(step);
    return [said, this.#known()].filter(Boolean).join(" | ");
  }

  #do(step: Step): string {
    const book = this.#book;
    const id = step.conversation;
    switch (step.do) {
      case "hear":
        return book.takeEvent(toLiveEvent(fromJson(LiveEventSchema, step.event)));
      case "open":
        return String(book.open(id));
      case "close":
        book.close(id);
        return "";
      case "mark":
        return String(book.markRead(id, step.seq) ?? "-");
      case "marked": {
        const { readSeq, unreadCount, countedSeq } = fromJson(MarkConversationReadResponseSchema, step.answer);
        book.takeMark(id, Number(readSeq), Number(unreadCount), Number(countedSeq));
        return "";
      }
      case "sent":
        book.takeSent(toMessage(fromJson(MessageSchema, step.message)));
        return "";
      case "sync":
        book.beginSync();
        return this.#ask();
      case "ask":
        return this.#ask();
      case "answer": {
        const asked = this.#asked;
        this.#asked = undefined;
        const answer = toSyncAnswer(fromJson(SyncConversationsResponseSchema, step.answer));
        return asked ? String(book.takeAnswer(asked, answer, this.#now)) : "";
      }
      case "load": {
        for (let load = book.nextLoad(); load; load = book.nextLoad()) {
          this.#loads.push(load);
        }
        return this.#loads
          .map(({ conversationId, cursor }) => `${conversationId}@${cursor.revision}`)
          .sort()
          .join(",");
      }
      case "page": {
        const place = this.#loads.findIndex((load) => load.conversationId === id);
        if (place >= 0) {
          const [load] = this.#loads.splice(place, 1) as [Load];
          const { page } = step;
          book.takeHistory(load, page === undefined ? undefined : toPage(fromJson(ListMessagesResponseSchema, page)));
        }
        return String(book.hasFresh);
      }
      case "older":
        book.takeOlderPage(
          id,
          book.timeline(id)?.oldestSeq,
          toPage(fromJson(ListMessagesResponseSchema, step.page as JsonValue)),
        );
        return "";
      default:
        throw new Error(`there is no step ${step.do}`);
    }
  }

  #ask(): string {
    this.#asked = this.#book.nextCall(this.#now);
    if (!this.#asked) {
      return "no call";
    }
    const { cursors, feed } = this.#asked.request;
    const asked = cursors.map((it) => `${it.conversationId}@${it.revision}/${it.joinedRevision}/${it.epoch}`);
    return `ask ${asked.join(",")} feed ${feed.revision}/${feed.epoch}/${feed.listingThrough}`;
  }

  #known(): string {
    const friends = [...this.#book.friends.values()].map(({ userId, state }) => `${userId}:${state}`).sort();
    const ids = [...this.#book.conversationIds()].sort();
    return [`gap ${this.#book.hasGap} friends ${friends.join(",")}`, ...ids.map((id) => this.#described(id))].join(
      " | ",
    );
  }

  #described(id: string): string {
    const timeline = this.#book.timeline(id);
    if (!timeline) {
      return "";
    }
    const { state } = timeline;
    const shown = state.messages.map((message) => `${message.seq}^${message.stateRevision}`);
    const positions = state.memberIds.map((member) => {
      const read = state.readSeqs.get(member) ?? 0;
      return `${member}:${read}/${Math.max(read, state.deliveredSeqs.get(member) ?? 0)}`;
    });
    const { group } = state;
    const roles = state.memberIds.map((member) => `${member}:${roleNumber(state.roles.get(member))}`);
    const changes = state.changes.map((change) => change.revision);
    const { mutedUntil, isArchived, isPinned, isMarkedUnread, visibleFromSeq, revision } = state.settings;
    const flags = [
      isArchived ? " archived" : "",
      isPinned ? " pinned" : "",
      isMarkedUnread ? " flagged" : "",
      state.isHidden ? " hidden" : "",
    ].join("");
    const aboutGroup = group
      ? [
          `group ${group.name}^${group.stateRevision}/${group.memberCount} role ${roleNumber(group.role)}`,
          `roles ${roles.join(",")} changes [${changes.join(" ")}]`,
        ]
      : [];
    return [
      `${id} ${timeline.phase} cursor ${timeline.cursor.revision} head ${timeline.head} whole ${timeline.isWhole}`,
      `older ${state.hasOlder} from ${timeline.knownFrom} shows [${shown.join(" ")}] voids [${timeline.voids.join(" ")}]`,
      `last ${state.lastMessage?.seq ?? 0} unread ${state.unreadCount} read ${state.readSeq}`,
      `unsent ${timeline.unsentMark ?? 0} members ${positions.join(",")}`,
      `own ${mutedUntil / 1_000}${flags} above ${visibleFromSeq}^${revision}`,
      ...aboutGroup,
    ].join(" ");
  }
}

function roleNumber(role: GroupRole | undefined): number {
  return role ? ["member", "admin", "owner"].indexOf(role) + 1 : 0;
}

test("there are scenarios", () => {
  expect(readdirSync(FOLDER).length).toBeGreaterThan(10);
});

test.each(readdirSync(FOLDER))("%s ends as it says", (file) => {
  const { user, steps } = JSON.parse(readFileSync(new URL(file, FOLDER), "utf8")) as Scenario;
  const run = new Run(user);
  for (const [number, { step, then }] of steps.entries()) {
    expect(run.step(step), `step ${number}: ${JSON.stringify(step)}`).toBe(then);
  }
});
