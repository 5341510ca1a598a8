/**
 * Who is in a conversation, and in which role. Lists of all members, lists of some, and events about some come in any order:
 * each says as of which state of the group it is, and for each user the newest one holds.
 */

import type { Group, GroupChange, GroupRole, Member } from "./model.ts";

interface Standing {
  readonly isMember: boolean;
  readonly role: GroupRole | undefined;
  /** The revision of the group as of which this is so. */
  readonly asOf: number;
}

export class Roster {
  #standings = new Map<string, Standing>();
  /** The revision of the group as of which a list named all members. Older lists are no news. */
  #listedAt = 0;
  #memberIds: readonly string[] = [];
  #roles: ReadonlyMap<string, GroupRole> = new Map();

  /** The members, sorted. The same list as long as nothing changes. */
  get memberIds(): readonly string[] {
    return this.#memberIds;
  }

  /** Their roles, where there are roles. */
  get roles(): ReadonlyMap<string, GroupRole> {
    return this.#roles;
  }

  /** Takes a list of members, as of the group that comes with it. None at all is nothing that was said about them. */
  takeList(members: readonly Member[], group: Group | undefined): void {
    const asOf = group?.stateRevision ?? 0;
    if (members.length === 0 || asOf < this.#listedAt) {
      return;
    }
    for (const { userId, role } of members) {
      this.#put(userId, { isMember: true, role, asOf });
    }
    if (!group || group.memberCount === members.length) {
      this.#listedAt = asOf;
      const listed = new Set(members.map(({ userId }) => userId));
      for (const [userId, standing] of this.#standings) {
        if (standing.asOf <= asOf && !listed.has(userId)) {
          this.#standings.delete(userId);
        }
      }
    }
    this.#tell();
  }

  /** Takes a change, with the members that it is about as they are as of then. */
  takeChange(change: GroupChange, members: readonly Member[], asOf: number): void {
    const present = new Set<string>();
    for (const { userId, role } of members) {
      present.add(userId);
      this.#put(userId, { isMember: true, role, asOf });
    }
    for (const userId of gone(change)) {
      if (!present.has(userId)) {
        this.#put(userId, { isMember: false, role: undefined, asOf });
      }
    }
    this.#tell();
  }

  clear(): void {
    this.#standings.clear();
    this.#listedAt = 0;
    this.#tell();
  }

  #put(userId: string, standing: Standing): void {
    // Who was not on a list of all was no member by then.
    const known = this.#standings.get(userId)?.asOf ?? this.#listedAt;
    if (known <= standing.asOf) {
      this.#standings.set(userId, standing);
    }
  }

  #tell(): void {
    const members = [...this.#standings].filter(([, { isMember }]) => isMember);
    const ids = members.map(([userId]) => userId).sort();
    if (ids.length !== this.#memberIds.length || ids.some((id, place) => id !== this.#memberIds[place])) {
      this.#memberIds = ids;
    }
    const roles = new Map<string, GroupRole>();
    for (const [userId, { role }] of members) {
      if (role) {
        roles.set(userId, role);
      }
    }
    if (roles.size !== this.#roles.size || [...roles].some(([userId, role]) => this.#roles.get(userId) !== role)) {
      this.#roles = roles;
    }
  }
}

/** Whose membership a change ended. */
function gone(change: GroupChange): readonly string[] {
  switch (change.action) {
    case "memberRemoved":
      return change.userIds;
    case "memberLeft":
      return [change.actorId];
    default:
      return [];
  }
}
