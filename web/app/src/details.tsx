/** What a conversation is, beside it. */

import type { ConversationState } from "chat-client";
import { useEffect, useRef } from "react";
import { GroupDetails } from "./group-details.tsx";
import { useI18n } from "./i18n.tsx";
import { ForOneself } from "./own.tsx";
import { Avatar, IconButton, Name } from "./parts.tsx";
import { RemoveFriend } from "./people.tsx";

export default function Details({
  conversation,
  other,
  isFriend,
  onClose,
}: {
  conversation: ConversationState;
  other: string;
  isFriend: boolean;
  onClose: () => void;
}) {
  const { texts } = useI18n();
  const { group } = conversation;
  const aside = useRef<HTMLElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    aside.current?.focus();
    return () => {
      if (before instanceof HTMLElement) {
        before.focus();
      }
    };
  }, []);
  useEffect(() => {
    // Wherever the focus is, but in a question that is asked above it, and where Escape means something else.
    const keys = ({ key, target, defaultPrevented, isComposing }: globalThis.KeyboardEvent) => {
      if (key === "Escape" && !defaultPrevented && !isComposing && !(target as Element).closest("dialog")) {
        onClose();
      }
    };
    document.addEventListener("keydown", keys);
    return () => document.removeEventListener("keydown", keys);
  }, [onClose]);
  return (
    <aside ref={aside} className="details" aria-label={texts.details} tabIndex={-1}>
      <IconButton icon="close" label={texts.close} onClick={onClose} />
      {group ? (
        <GroupDetails conversation={conversation} group={group} />
      ) : (
        <>
          <Avatar userId={other} isLarge />
          <h2>
            <Name userId={other} />
          </h2>
          <p className="quiet">
            <bdi>{other}</bdi>
          </p>
          {isFriend && <RemoveFriend userId={other} />}
        </>
      )}
      <ForOneself conversation={conversation} />
    </aside>
  );
}
