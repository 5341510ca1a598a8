/** How a group changed, between what was said in it. */

import type { GroupChange } from "chat-client";
import { useChat } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
import { useNames } from "./names.ts";
import type { Texts } from "./texts/en.ts";

export function ChangeLine({ change }: { change: GroupChange }) {
  const { texts, full } = useI18n();
  const { userId } = useChat();
  const nameOf = useNames([change.actorId, ...change.userIds]);
  const called = (id: string) => (id === userId ? texts.you : isolated(nameOf(id)));
  const text = said(change, texts, called);
  return (
    text && (
      <p className="change" title={full.format(change.changedAt)}>
        {text}
      </p>
    )
  );
}

/** What happened, in words; nothing where this version does not know. */
function said(change: GroupChange, { changes }: Texts, called: (userId: string) => string): string | undefined {
  const actor = called(change.actorId);
  const users = change.userIds.map(called).join(", ");
  switch (change.action) {
    case "unknown":
      return undefined;
    case "roleChanged":
      return change.role === "admin" ? changes.madeAdmin(actor, users) : changes.madeMember(actor, users);
    case "renamed":
      return changes.renamed(actor, isolated(change.name));
    default:
      return changes[change.action](actor, users);
  }
}

/** A name within a sentence, which must not turn the text around it. */
function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}
