/** When a client syncs. */

import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Book } from "../src/book.ts";
import { Follower } from "../src/follower.ts";
import { SyncConversationsResponseSchema } from "../src/generated/chat/v1/conversation_pb.ts";
import type { LiveEvent } from "../src/model.ts";
import type { Service } from "../src/service.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const OPTIONS = { gapWait: 300, pollInterval: 30_000 };

/** How long it takes from an event above a gap to a sync, in milliseconds, in groups of so many members. */
async function gapWait(...memberCounts: readonly number[]): Promise<number> {
  let hasGap = false;
  let syncs = 0;
  const book = {
    takeEvent: () => {
      hasGap = true;
      return "gapSync";
    },
    conversation: (id: string) => ({ group: { memberCount: Number(id) } }),
    get hasGap() {
      return hasGap;
    },
    beginSync: () => {
      syncs += 1;
    },
    nextCall: () => ({ request: { cursors: [], feed: { epoch: 0, revision: 0, listingThrough: 0 } } }),
    nextLoad: () => undefined,
    takeAnswer: () => {
      hasGap = false;
      return true;
    },
  };
  const service = { call: async () => create(SyncConversationsResponseSchema) };
  const nothing = () => undefined;
  const follower = new Follower(service as unknown as Service, book as unknown as Book, OPTIONS, nothing, nothing);
  follower.start();
  follower.live();
  await vi.advanceTimersByTimeAsync(0);
  expect(syncs).toBe(1);
  const heardAt = performance.now();
  for (const memberCount of memberCounts) {
    follower.event({ conversationId: String(memberCount) } as LiveEvent);
  }
  while (syncs === 1) {
    await vi.advanceTimersToNextTimerAsync();
  }
  follower.stop();
  return performance.now() - heardAt;
}

test.each([
  [0, [2], 300],
  [0.5, [100], 300],
  [0, [101], 300],
  [0.5, [101], 1_650],
  [1, [10_000], 3_000],
  // The others do not wait for it, whichever gap was seen first.
  [1, [10_000, 100], 300],
  [1, [100, 10_000], 300],
])("at luck %f, a gap in groups of %o members is waited for %i ms", async (luck, memberCounts, wait) => {
  vi.spyOn(Math, "random").mockReturnValue(luck);
  expect(await gapWait(...memberCounts)).toBeCloseTo(wait, 0);
});
