/** How a group changed, between what was said in it. */

import type { GroupChange } from "chat-client";
import { Fragment } from "react";
import { useChat } from "./chat.tsx";
import { Day } from "./days.tsx";
import { type I18n, useI18n } from "./i18n.tsx";
import { useNames } from "./names.ts";

/** Users whom a sentence names, at most. Of more, the others are counted. */
const NAMED_MAX = 4;

/** Changes in their order, under the days of theirs. `since` is when what stands before them was. */
export function Changes({ changes, since }: { changes: readonly GroupChange[]; since: number | undefined }) {
  return changes.map((change, place) => (
    <Fragment key={change.revision}>
      <Day since={changes[place - 1]?.changedAt ?? since} at={change.changedAt} />
      <ChangeLine change={change} />
    </Fragment>
  ));
}

function ChangeLine({ change }: { change: GroupChange }) {
  const i18n = useI18n();
  const { userId } = useChat();
  const nameOf = useNames([change.actorId, ...change.userIds]);
  return (
    <p className="change" title={i18n.full.format(change.changedAt)}>
      {sentence(change, i18n, userId, nameOf)}
    </p>
  );
}

/** What happened, in words for this user. */
export function sentence(
  change: GroupChange,
  { texts, list, number }: I18n,
  userId: string,
  nameOf: (userId: string) => string,
): string {
  const { changes } = texts;
  const { actorId, userIds } = change;
  const actor = actorId === userId ? undefined : isolated(nameOf(actorId));
  // Who reads it looks for themselves first.
  const ordered = userIds.toSorted((one, other) => Number(other === userId) - Number(one === userId));
  const named = ordered.slice(0, ordered.length > NAMED_MAX ? NAMED_MAX - 1 : NAMED_MAX);
  const names = named.map((id) => (id === userId ? texts.youToo : isolated(nameOf(id))));
  const left = ordered.length - named.length;
  const users = list.format(left > 0 ? [...names, texts.others(left, number.format(left))] : names);
  const updated = list.format(
    (change.updated ?? []).flatMap((path) =>
      path in texts.parts ? texts.parts[path as keyof typeof texts.parts] : [],
    ),
  );
  switch (change.action) {
    case "created":
      return changes.created(actor, users, isolated(change.name));
    case "renamed":
      return changes.renamed(actor, isolated(change.name), updated);
    case "membersAdded":
      return changes.membersAdded(actor, users);
    case "memberRemoved":
      return changes.memberRemoved(actor, users);
    case "memberJoined":
      return changes.memberJoined(actor);
    case "memberLeft":
      return changes.memberLeft(actor);
    case "roleChanged":
      return change.role === "admin" ? changes.madeAdmin(actor, users) : changes.madeMember(actor, users);
    case "ownershipTransferred":
      return changes.madeOwner(actor, users);
    default:
      // Also what a later version of the service did.
      return changes.updated(actor, updated || texts.theGroup);
  }
}

/** A name within a sentence, which must not turn the text around it. */
function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}
