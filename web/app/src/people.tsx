/** Friends, requests, and how to find somebody. */

import type { Friend } from "chat-client";
import { useStore } from "chat-client/react";
import { useState } from "react";
import { useCopy } from "./announcer.tsx";
import { useAction, useChat, useName } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
import { Avatar, Confirm, Empty, Fault, Form, IconButton, Name, Waiting } from "./parts.tsx";
import { go } from "./router.ts";

export function People() {
  const { texts } = useI18n();
  const { client } = useChat();
  const friends = useStore(client.friends());
  const { isStale } = useStore(client.status);
  const of = (state: Friend["state"]) => friends.filter((friend) => friend.state === state);
  const [received, sent, accepted] = [of("requestReceived"), of("requestSent"), of("accepted")];
  return (
    <>
      <h1 className="side-title">{texts.people}</h1>
      <AddFriend />
      {received.length + sent.length > 0 && (
        <>
          <h2 className="side-heading">{texts.requests}</h2>
          <ul className="list">
            {received.map(({ userId }) => (
              <Received key={userId} userId={userId} />
            ))}
            {sent.map(({ userId }) => (
              <Sent key={userId} userId={userId} />
            ))}
          </ul>
        </>
      )}
      <h2 className="side-heading">{texts.friends}</h2>
      {accepted.length > 0 ? (
        <ul className="list">
          {accepted.map(({ userId }) => (
            <Accepted key={userId} userId={userId} />
          ))}
        </ul>
      ) : isStale ? (
        <Waiting rows={3} />
      ) : (
        <Empty title={texts.noFriends} />
      )}
    </>
  );
}

/** What was said of a request, as it stood then, and whether the list of friends has shown it so. */
interface Said {
  readonly userId: string;
  readonly state: Friend["state"];
  readonly text: string;
  readonly isListed: boolean;
}

function AddFriend() {
  const { texts } = useI18n();
  const { client, userId } = useChat();
  const copy = useCopy();
  const [id, setId] = useState("");
  const [said, setSaid] = useState<Said>();
  const { run, isBusy, error } = useAction(async () => {
    setSaid(undefined);
    const asked = id.trim();
    const { state } = await client.requestFriend(asked);
    const isKnown = (await client.readProfiles([asked])).length > 0;
    const answer = state === "accepted" ? texts.nowFriends(asked) : texts.requested(asked);
    setSaid({ userId: asked, state, text: isKnown ? answer : `${answer} ${texts.unknownUser}`, isListed: false });
    setId("");
  });
  // What was said of a request is over once that is answered, or withdrawn.
  const now = useStore(client.friends()).find((friend) => friend.userId === said?.userId)?.state;
  if (said && said.isListed !== (now === said.state)) {
    setSaid(said.isListed ? undefined : { ...said, isListed: true });
  }
  return (
    <Form className="add-friend" onSubmit={run}>
      <label htmlFor="friend-id">{texts.addFriend}</label>
      <div className="row">
        <input
          id="friend-id"
          value={id}
          onChange={(event) => {
            setId(event.target.value);
            setSaid(undefined);
          }}
          placeholder={texts.userIdHint}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={128}
          required
        />
        <button type="submit" className="button primary" disabled={isBusy || !id.trim()}>
          {texts.add}
        </button>
      </div>
      {error && <Fault text={error} />}
      <p className="said" role="status">
        {said?.text}
      </p>
      <div className="own-id quiet">
        <p>
          {texts.ownId} <bdi>{userId}</bdi>
        </p>
        <IconButton icon="copy" label={texts.copyOwnId} onClick={() => copy(userId)} />
      </div>
    </Form>
  );
}

function Received({ userId }: { userId: string }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const answer = useAction((isAccepted: boolean) =>
    isAccepted ? client.acceptFriendRequest(userId) : client.declineFriendRequest(userId),
  );
  return (
    <li className="person">
      <Avatar userId={userId} />
      <Name userId={userId} />
      <button type="button" className="button" disabled={answer.isBusy} onClick={() => answer.run(false)}>
        {texts.decline}
      </button>
      <button type="button" className="button primary" disabled={answer.isBusy} onClick={() => answer.run(true)}>
        {texts.accept}
      </button>
      {answer.error && <Fault text={answer.error} />}
    </li>
  );
}

function Sent({ userId }: { userId: string }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const withdraw = useAction(() => client.removeFriend(userId));
  return (
    <li className="person">
      <Avatar userId={userId} />
      <span className="person-text">
        <Name userId={userId} />
        <span className="quiet">{texts.waiting}</span>
      </span>
      <button type="button" className="button" disabled={withdraw.isBusy} onClick={() => withdraw.run()}>
        {texts.withdraw}
      </button>
      {withdraw.error && <Fault text={withdraw.error} />}
    </li>
  );
}

function Accepted({ userId }: { userId: string }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const open = useAction(async () => {
    const id = await client.openDirectConversation(userId);
    go({ kind: "conversation", id });
  });
  return (
    <li className="person">
      <Avatar userId={userId} />
      <Name userId={userId} />
      <button type="button" className="button primary" disabled={open.isBusy} onClick={() => open.run()}>
        {texts.openChat}
      </button>
      {open.error && <Fault text={open.error} />}
    </li>
  );
}

/** A button that asks before it ends a friendship. */
export function RemoveFriend({ userId }: { userId: string }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const name = useName(userId);
  const [isAsking, setIsAsking] = useState(false);
  const { run, error } = useAction(() => client.removeFriend(userId));
  return (
    <>
      <button type="button" className="button" onClick={() => setIsAsking(true)}>
        {texts.removeFriend}
      </button>
      {isAsking && (
        <Confirm
          title={texts.removeFriend}
          text={texts.removeFriendText(name)}
          action={texts.removeFriend}
          onAnswer={(isConfirmed) => {
            setIsAsking(false);
            if (isConfirmed) {
              run();
            }
          }}
        />
      )}
      {error && <Fault text={error} />}
    </>
  );
}
