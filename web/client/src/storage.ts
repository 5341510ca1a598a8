/** What a device keeps of a user's chat: by IndexedDB where there is one, else in memory. */

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

/** What is kept, by the name of its store. */
interface Schema {
  friends: Friend;
  conversations: KeptConversation;
  profiles: Profile;
  outgoing: Outgoing;
}

const STORES = ["friends", "conversations", "profiles", "outgoing"] as const;

/** Keeps a user's chat in a database of their own. */
class IndexedStorage implements Storage {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
    // Another tab deletes it, or has a newer version.
    database.onversionchange = () => database.close();
  }

  static async open(name: string): Promise<IndexedStorage> {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => {
      for (const store of STORES) {
        opening.result.createObjectStore(store);
      }
    };
    return new IndexedStorage(await answer(opening));
  }

  async load(): Promise<Kept> {
    const transaction = this.#database.transaction(STORES);
    const all = <S extends keyof Schema>(store: S): Promise<Schema[S][]> =>
      answer(transaction.objectStore(store).getAll());
    const [friends, conversations, profiles, outgoing] = await Promise.all([
      all("friends"),
      all("conversations"),
      all("profiles"),
      all("outgoing"),
    ]);
    return { friends, conversations, profiles, outgoing: outgoing.sort(byPlace) };
  }

  putFriends(friends: readonly Friend[]): Promise<void> {
    return this.#write("friends", (store) => {
      store.clear();
      for (const friend of friends) {
        store.put(friend, friend.userId);
      }
    });
  }

  putConversations(kept: readonly KeptConversation[], removed: readonly string[]): Promise<void> {
    return this.#write("conversations", (store) => {
      for (const it of kept) {
        const id = it.conversation.conversationId;
        if (it.timeline !== undefined) {
          store.put(it, id);
          continue;
        }
        // Of what this tab has closed, another one may have history; it is dropped when many others were opened since.
        const before: IDBRequest<KeptConversation | undefined> = store.get(id);
        before.onsuccess = () => store.put({ ...it, timeline: before.result?.timeline }, id);
      }
      for (const id of removed) {
        store.delete(id);
      }
    });
  }

  putProfiles(profiles: readonly Profile[]): Promise<void> {
    return this.#write("profiles", (store) => {
      for (const profile of profiles) {
        store.put(profile, profile.userId);
      }
    });
  }

  async outgoing(): Promise<readonly Outgoing[]> {
    const all: Outgoing[] = await answer(this.#database.transaction("outgoing").objectStore("outgoing").getAll());
    return all.sort(byPlace);
  }

  putOutgoing(outgoing: Outgoing): Promise<void> {
    return this.#write("outgoing", (store) => store.put(outgoing, outgoing.clientMessageId));
  }

  removeOutgoing(clientMessageId: string): Promise<void> {
    return this.#write("outgoing", (store) => store.delete(clientMessageId));
  }

  clear(): Promise<void> {
    return this.#write(STORES, (store) => store.clear());
  }

  close(): void {
    this.#database.close();
  }

  /** Changes each of these stores, all or nothing. Answers once it is kept; a request that fails undoes all of it. */
  async #write(
    names: keyof Schema | readonly (keyof Schema)[],
    change: (store: IDBObjectStore) => unknown,
  ): Promise<void> {
    const transaction = this.#database.transaction(names, "readwrite");
    for (const name of transaction.objectStoreNames) {
      change(transaction.objectStore(name));
    }
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

/** What a request of the database answers. */
function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
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
