/** Where a link into a group leads: what group it is, and a way in. */

import { ChatError, type InvitedTo } from "chat-client";
import { useStore } from "chat-client/react";
import { useEffect, useState } from "react";
import { explain, useAction, useChat } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
import { Empty, Fault, Link, Picture, Waiting } from "./parts.tsx";
import { go } from "./router.ts";

export default function JoinScreen({ token }: { token: string }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const { connection } = useStore(client.status);
  const [invited, setInvited] = useState<InvitedTo>();
  const [failure, setFailure] = useState<unknown>();
  const [turn, setTurn] = useState(0);
  // Who waits to be let in is, once there is one more conversation.
  const count = useStore(client.conversations()).length;
  const version = invited?.hasAsked ? count : 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: all of them are reasons to look again
  useEffect(() => {
    let isOver = false;
    client.getGroupInvite(token).then(
      (now) => {
        if (!isOver) {
          setInvited(now);
          setFailure(undefined);
        }
      },
      (cause) => !isOver && setFailure(cause),
    );
    return () => {
      isOver = true;
    };
  }, [client, token, turn, connection, version]);
  const isDead = failure instanceof ChatError && ["NotFound", "InvalidArgument"].includes(failure.code);
  if (isDead) {
    return (
      <Empty isScreen title={texts.deadInvite} text={texts.errors.INVITE_NOT_FOUND}>
        <BackToChats />
      </Empty>
    );
  }
  if (invited) {
    return <Invited token={token} to={invited} onAsked={() => setInvited({ ...invited, hasAsked: true })} />;
  }
  if (failure !== undefined) {
    return (
      <Empty isScreen title={explain(failure, texts)}>
        <button type="button" className="button primary" onClick={() => setTurn(turn + 1)}>
          {texts.tryAgain}
        </button>
        <BackToChats />
      </Empty>
    );
  }
  return <Waiting rows={3} />;
}

function BackToChats() {
  const { texts } = useI18n();
  return (
    <Link className="button" to={{ kind: "chats" }}>
      {texts.backToChats}
    </Link>
  );
}

function Invited({ token, to, onAsked }: { token: string; to: InvitedTo; onAsked: () => void }) {
  const { texts, number } = useI18n();
  const { client } = useChat();
  const { run, isBusy, error } = useAction(async () => {
    const id = await client.joinGroup(token);
    if (id) {
      // Back leads to where one came from, and not to a link that has done its work.
      go({ kind: "conversation", id }, { isReplaced: true });
    } else {
      onAsked();
    }
  });
  const { name, description, avatarUrl, memberCount, needsApproval, hasAsked, conversationId } = to;
  const isOutside = conversationId === undefined && !hasAsked;
  let standing = needsApproval ? texts.mustAsk : "";
  if (conversationId !== undefined) {
    standing = texts.isMember;
  } else if (hasAsked) {
    standing = texts.hasAsked;
  }
  return (
    <div className="empty">
      <Picture id={name} name={name} url={avatarUrl} isLarge isGroup />
      <h1 className="empty-title">
        <bdi>{name}</bdi>
      </h1>
      <p>{texts.members(memberCount, number.format(memberCount))}</p>
      {description && (
        <p className="description" dir="auto">
          {description}
        </p>
      )}
      <p role="status">{standing}</p>
      {error && <Fault text={error} />}
      {isOutside && (
        <button type="button" className="button primary" disabled={isBusy} onClick={run}>
          {needsApproval ? texts.ask : texts.join}
        </button>
      )}
      {conversationId !== undefined && (
        <Link className="button primary" to={{ kind: "conversation", id: conversationId }}>
          {texts.toGroup}
        </Link>
      )}
      <BackToChats />
    </div>
  );
}
