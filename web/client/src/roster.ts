/**
 * Who is in a conversation, and in which role. Lists of all members, lists of some, and changes about some come in any order:
 * each says as of which state of the group it is, and for each user the newest one holds. Of a large group, there are only
 * lists of some: those who are not on them are known by the changes alone.
 */

import { type Group, type GroupChange, type GroupRole, type Member, NAMED_MEMBERS_MAX } from "./model.ts";

interface Standing {
  readonly isMember: boolean;
  readonly role: GroupRole | undefined;
  /** The revision of the group as of which this is so. */
  readonly asOf: number;
}

export class Roster {
  #standings = new Map<string, Standing>();
  /** The revision of the group as of which a list told of all that are known. Older lists are no news. */
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

  /**
   * Takes a list of members, as of the group that comes with it: all of them, or the first ones by user id, and the user. None
   * at all is nothing that was said about them. At a start, nothing tells what became of those that it does not name.
   */
  takeList(members: readonly Member[], group: Group | undefined, selfId: string, isStart = false): void {
    const asOf = group?.stateRevision ?? 0;
    if (members.length === 0 || asOf < this.#listedAt) {
      return;
    }
    const isAll = isStart || !group || group.memberCount === members.length;
    const listed = new Set<string>();
    const isLarge = (group?.memberCount ?? 0) > NAMED_MEMBERS_MAX;
    // Whoever is not named although somebody behind them is, is no member. Where all can be named, a list of all follows.
    let through = "";
    for (const { userId, role } of members) {
      listed.add(userId);
      this.#put(userId, { isMember: true, role, asOf });
      if (userId !== selfId && userId > through) {
        through = userId;
      }
    }
    for (const userId of this.#standings.keys()) {
      if (!listed.has(userId) && (isAll || (isLarge && userId < through))) {
        this.#put(userId, { isMember: false, role: undefined, asOf });
      }
    }
    if (isAll) {
      this.#listedAt = asOf;
    }
    this.#tell();
  }

  /** Takes changes without the members that they are about: each is what it made of them, as of its own revision. */
  takeChanges(changes: readonly GroupChange[]): void {
    for (const change of changes) {
      const { action, actorId, userIds, revision: asOf } = change;
      const put = (ids: readonly string[], role: GroupRole | undefined, isMember = true) => {
        for (const userId of ids) {
          this.#put(userId, { isMember, role, asOf });
        }
      };
      put(gone(change), undefined, false);
      if (action === "created" || action === "membersAdded") {
        put(userIds, "member");
      } else if (action === "memberJoined") {
        put([actorId], "member");
      } else if (action === "roleChanged") {
        put(userIds, change.role);
      } else if (action === "ownershipTransferred") {
        put(userIds, "owner");
        put([actorId], "admin");
      }
      if (action === "created") {
        put([actorId], "owner");
      }
    }
    this.#tell();
  }

  /** Takes some of the members, which says nothing of the others. */
  takeSome(members: readonly Member[], asOf: number): void {
    for (const { userId, role } of members) {
      this.#put(userId, { isMember: true, role, asOf });
    }
    this.#tell();
  }

  /** Takes a change, with the members that it is about as they are as of then. */
  takeChange(change: GroupChange, members: readonly Member[], asOf: number): void {
    for (const userId of gone(change)) {
      this.#put(userId, { isMember: false, role: undefined, asOf });
    }
    // Who has come back by then is among them.
    this.takeSome(members, asOf);
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
