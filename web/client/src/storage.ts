/** What a device keeps of a user's chat: by IndexedDB where there is one, else in memory. */

import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { KeptConversation } from "./book.ts";
import type { ErrorCode } from "./errors.ts";
import type { Friend, Message, Profile } from "./model.ts";

/** A message on its way to the service. */
export interface Outgoing {
  readonly clientMessageId: string;
  readonly conversationId: string;
  readonly text: string;
  readonly replyToMessageId: string;
  /** Its place among all that this device sends. */
  readonly place: number;
  /** When it was written, in milliseconds since 1970. */
  readonly createdAt: number;
  /**
   * Waiting for the service; refused, until someone retries or drops it; or answered, and not seen to be told to others yet.
   */
  readonly status: "pending" | "failed" | "sent";
  /** Whether an attempt may have reached the service. */
  readonly isAttempted: boolean;
  /** Why it failed. */
  readonly failure?: { readonly code: ErrorCode; readonly reason?: string; readonly message: string };
  /** What the service answered, and when. */
  readonly sent?: { readonly message: Message; readonly at: number };
}

/** All that is shown before the network answers. */
export interface Kept {
  readonly friends: readonly Friend[];
  readonly conversations: readonly KeptConversation[];
  readonly profiles: readonly Profile[];
  readonly outgoing: readonly Outgoing[];
}

/** Where a user's chat is kept on this device. */
export interface Storage {
  load(): Promise<Kept>;
  putFriends(friends: readonly Friend[]): Promise<void>;
  putConversations(kept: readonly KeptConversation[], removed: readonly string[]): Promise<void>;
  putProfiles(profiles: readonly Profile[]): Promise<void>;
  outgoing(): Promise<readonly Outgoing[]>;
  putOutgoing(outgoing: Outgoing): Promise<void>;
  removeOutgoing(clientMessageId: string): Promise<void>;
  /** Forgets everything, such as when the user signs out. */
  clear(): Promise<void>;
  close(): void;
}

/** Keeps nothing beyond the life of the page. */
export class MemoryStorage implements Storage {
  readonly #conversations = new Map<string, KeptConversation>();
  readonly #profiles = new Map<string, Profile>();
  readonly #outgoing = new Map<string, Outgoing>();
  #friends: readonly Friend[] = [];

  async load(): Promise<Kept> {
    return {
      friends: this.#friends,
      conversations: [...this.#conversations.values()],
      profiles: [...this.#profiles.values()],
      outgoing: await this.outgoing(),
    };
  }

  async putFriends(friends: readonly Friend[]): Promise<void> {
    this.#friends = friends;
  }

  async putConversations(kept: readonly KeptConversation[], removed: readonly string[]): Promise<void> {
    for (const it of kept) {
      const id = it.conversation.conversationId;
      const timeline = it.timeline === undefined ? this.#conversations.get(id)?.timeline : it.timeline;
      this.#conversations.set(id, { ...it, timeline });
    }
    for (const id of removed) {
      this.#conversations.delete(id);
    }
  }

  async putProfiles(profiles: readonly Profile[]): Promise<void> {
    for (const profile of profiles) {
      this.#profiles.set(profile.userId, profile);
    }
  }

  async outgoing(): Promise<readonly Outgoing[]> {
    return [...this.#outgoing.values()].sort(byPlace);
  }

  async putOutgoing(outgoing: Outgoing): Promise<void> {
    this.#outgoing.set(outgoing.clientMessageId, outgoing);
  }

  async removeOutgoing(clientMessageId: string): Promise<void> {
    this.#outgoing.delete(clientMessageId);
  }

  async clear(): Promise<void> {
    this.#friends = [];
    this.#conversations.clear();
    this.#profiles.clear();
    this.#outgoing.clear();
  }

  close(): void {
    // There is nothing to let go.
  }
}

interface Schema extends DBSchema {
  friends: { key: string; value: Friend };
  conversations: { key: string; value: KeptConversation };
  profiles: { key: string; value: Profile };
  outgoing: { key: string; value: Outgoing };
}

const STORES = ["friends", "conversations", "profiles", "outgoing"] as const;

/** Keeps a user's chat in a database of their own. */
class IndexedStorage implements Storage {
  readonly #database: IDBPDatabase<Schema>;

  private constructor(database: IDBPDatabase<Schema>) {
    this.#database = database;
  }

  static async open(name: string): Promise<IndexedStorage> {
    const database = await openDB<Schema>(name, 1, {
      upgrade(upgraded) {
        for (const store of STORES) {
          upgraded.createObjectStore(store);
        }
      },
      blocking(_current, _blocked, event) {
        // Another tab deletes it, or has a newer version.
        (event.target as IDBDatabase).close();
      },
    });
    return new IndexedStorage(database);
  }

  async load(): Promise<Kept> {
    const transaction = this.#database.transaction(STORES, "readonly");
    const [friends, conversations, profiles, outgoing] = await Promise.all([
      transaction.objectStore("friends").getAll(),
      transaction.objectStore("conversations").getAll(),
      transaction.objectStore("profiles").getAll(),
      transaction.objectStore("outgoing").getAll(),
    ]);
    return { friends, conversations, profiles, outgoing: outgoing.sort(byPlace) };
  }

  async putFriends(friends: readonly Friend[]): Promise<void> {
    const transaction = this.#database.transaction("friends", "readwrite");
    const puts = friends.map((friend) => transaction.store.put(friend, friend.userId));
    await Promise.all([transaction.store.clear(), ...puts, transaction.done]);
  }

  async putConversations(kept: readonly KeptConversation[], removed: readonly string[]): Promise<void> {
    const transaction = this.#database.transaction("conversations", "readwrite");
    const puts = kept.map(async (it) => {
      const id = it.conversation.conversationId;
      // Of what this tab has closed, another one may have history; it is dropped when many others were opened since.
      const timeline = it.timeline === undefined ? (await transaction.store.get(id))?.timeline : it.timeline;
      await transaction.store.put({ ...it, timeline }, id);
    });
    const deletes = removed.map((id) => transaction.store.delete(id));
    await Promise.all([...puts, ...deletes, transaction.done]);
  }

  async putProfiles(profiles: readonly Profile[]): Promise<void> {
    const transaction = this.#database.transaction("profiles", "readwrite");
    const puts = profiles.map((profile) => transaction.store.put(profile, profile.userId));
    await Promise.all([...puts, transaction.done]);
  }

  async outgoing(): Promise<readonly Outgoing[]> {
    return (await this.#database.getAll("outgoing")).sort(byPlace);
  }

  async putOutgoing(outgoing: Outgoing): Promise<void> {
    await this.#database.put("outgoing", outgoing, outgoing.clientMessageId);
  }

  async removeOutgoing(clientMessageId: string): Promise<void> {
    await this.#database.delete("outgoing", clientMessageId);
  }

  async clear(): Promise<void> {
    const transaction = this.#database.transaction(STORES, "readwrite");
    await Promise.all([...STORES.map((store) => transaction.objectStore(store).clear()), transaction.done]);
  }

  close(): void {
    this.#database.close();
  }
}

/** The storage of this platform; in memory where the browser keeps nothing, as in some private windows. */
export async function openStorage(name: string): Promise<Storage> {
  if (typeof indexedDB === "undefined") {
    return new MemoryStorage();
  }
  try {
    return await IndexedStorage.open(name);
  } catch {
    return new MemoryStorage();
  }
}

function byPlace(one: Outgoing, other: Outgoing): number {
  return one.place - other.place;
}
