/** What users show of themselves, read together for all that are looked at. */

import type { Profile as ProfileProto } from "./generated/chat/v1/user_pb.ts";
import { type Profile, toProfile } from "./model.ts";
import type { Service } from "./service.ts";
import { Cell, type Store } from "./store.ts";

/** Users in one call, at most. */
const BATCH_MAX = 100;
/** How long a profile is not read again, in milliseconds. */
const FRESH_FOR = 300_000;

export class Profiles {
  readonly #service: Service;
  readonly #keep: (profiles: readonly Profile[]) => void;
  readonly #cells = new Map<string, Cell<Profile | undefined>>();
  readonly #readAt = new Map<string, number>();
  readonly #wanted = new Set<string>();

  constructor(service: Service, keep: (profiles: readonly Profile[]) => void) {
    this.#service = service;
    this.#keep = keep;
  }

  /** Whoever subscribes has it read, unless that was done lately. */
  of(userId: string): Store<Profile | undefined> {
    return this.#cell(userId);
  }

  restore(profiles: readonly Profile[]): void {
    for (const profile of profiles) {
      this.#cell(profile.userId).set(profile);
    }
  }

  take(proto: ProfileProto): Profile {
    const profile = toProfile(proto);
    const cell = this.#cell(profile.userId);
    const before = cell.getSnapshot();
    this.#readAt.set(profile.userId, Date.now());
    if (before?.displayName === profile.displayName && before.avatarUrl === profile.avatarUrl) {
      return before;
    }
    cell.set(profile);
    this.#keep([profile]);
    return profile;
  }

  /** Reads profiles now. */
  async read(userIds: readonly string[]): Promise<readonly Profile[]> {
    const profiles: Profile[] = [];
    for (let begin = 0; begin < userIds.length; begin += BATCH_MAX) {
      const batch = userIds.slice(begin, begin + BATCH_MAX);
      const answer = await this.#service.call((call) => this.#service.users.getProfiles({ userIds: batch }, call));
      for (const id of batch) {
        this.#readAt.set(id, Date.now());
      }
      profiles.push(...answer.profiles.map((profile) => this.take(profile)));
    }
    return profiles;
  }

  #cell(userId: string): Cell<Profile | undefined> {
    let cell = this.#cells.get(userId);
    if (!cell) {
      cell = new Cell<Profile | undefined>(undefined, (isWatched) => {
        if (isWatched) {
          this.#want(userId);
        }
      });
      this.#cells.set(userId, cell);
    }
    return cell;
  }

  #want(userId: string): void {
    if (Date.now() - (this.#readAt.get(userId) ?? 0) < FRESH_FOR) {
      return;
    }
    this.#wanted.add(userId);
    if (this.#wanted.size === 1) {
      // After all that is shown together has asked.
      setTimeout(() => {
        const wanted = [...this.#wanted];
        this.#wanted.clear();
        // It is asked for again when it is looked at again.
        this.read(wanted).catch(() => undefined);
      });
    }
  }
}
