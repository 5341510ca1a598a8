/** Making a group, and picking those who are to be in it. */

import type { GroupAdded } from "chat-client";
import { useStore } from "chat-client/react";
import { useState } from "react";
import { useAction, useChat } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
import { useNames } from "./names.ts";
import { Answers, Avatar, Dialog, Fault, Form, Name } from "./parts.tsx";
import { go } from "./router.ts";

export const NAME_MAX = 100;
export const DESCRIPTION_MAX = 1_000;
/** Members of a group, at most. */
export const MEMBERS_MAX = 10_000;
/** Users that one call adds, at most; who makes a group is one of them. */
export const ADDED_MAX = 100;
/** From so many on, one may search among them. */
const SEARCHED_FROM = 8;

export function useFriendIds(): readonly string[] {
  const friends = useStore(useChat().client.friends());
  return friends.filter((friend) => friend.state === "accepted").map((friend) => friend.userId);
}

/** Friends to pick from, so many at most; `fullText` says why no more. */
export function Pick({
  label,
  userIds,
  picked,
  pickedMax,
  fullText,
  onPick,
}: {
  label: string;
  userIds: readonly string[];
  picked: ReadonlySet<string>;
  pickedMax: number;
  fullText: string;
  onPick: (picked: ReadonlySet<string>) => void;
}) {
  const { texts } = useI18n();
  const [wanted, setWanted] = useState("");
  const nameOf = useNames(userIds);
  const search = wanted.trim().toLowerCase();
  const found = userIds.filter((userId) => nameOf(userId).toLowerCase().includes(search) || userId === wanted.trim());
  const isFull = picked.size >= pickedMax;
  return (
    <fieldset className="pick">
      <legend>{label}</legend>
      {userIds.length >= SEARCHED_FROM && (
        <input
          type="search"
          value={wanted}
          onChange={({ target }) => setWanted(target.value)}
          aria-label={texts.search}
          placeholder={texts.search}
          dir="auto"
        />
      )}
      <ul>
        {found.map((userId) => (
          <li key={userId}>
            <label className="person">
              <input
                type="checkbox"
                checked={picked.has(userId)}
                disabled={isFull && !picked.has(userId)}
                onChange={({ target }) => {
                  const next = new Set(picked);
                  next[target.checked ? "add" : "delete"](userId);
                  onPick(next);
                }}
              />
              <Avatar userId={userId} />
              <Name userId={userId} />
            </label>
          </li>
        ))}
      </ul>
      <p className="quiet" role="status">
        {found.length === 0 && texts.nobodyFound}
        {isFull && fullText}
      </p>
    </fieldset>
  );
}

/** Who could not be added, by name. */
export function NotAdded({ userIds }: { userIds: readonly string[] }) {
  const { texts, list } = useI18n();
  const nameOf = useNames(userIds);
  return <Fault text={texts.notAdded(list.format(userIds.map(nameOf)))} />;
}

/** A button that makes a group of friends. */
export function NewGroup() {
  const { texts } = useI18n();
  const hasFriends = useFriendIds().length > 0;
  const [isOpen, setIsOpen] = useState(false);
  if (!hasFriends) {
    return undefined;
  }
  return (
    <>
      <button type="button" className="button" onClick={() => setIsOpen(true)}>
        {texts.newGroup}
      </button>
      {isOpen && <NewGroupDialog onClose={() => setIsOpen(false)} />}
    </>
  );
}

function NewGroupDialog({ onClose }: { onClose: () => void }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const friendIds = useFriendIds();
  const [name, setName] = useState("");
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [added, setAdded] = useState<GroupAdded>();
  const open = ({ conversationId }: GroupAdded) => {
    onClose();
    go({ kind: "conversation", id: conversationId });
  };
  const { run, isBusy, error } = useAction(async () => {
    const made = await client.createGroup({ name, userIds: [...picked] });
    if (made.notAddedUserIds.length > 0) {
      setAdded(made);
    } else {
      open(made);
    }
  });
  if (added) {
    return (
      <Dialog title={name} onClose={() => open(added)}>
        <NotAdded userIds={added.notAddedUserIds} />
        <div className="buttons">
          <button type="button" className="button primary" onClick={() => open(added)}>
            {texts.toGroup}
          </button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={texts.newGroup} onClose={onClose}>
      <Form className="profile-form" onSubmit={run}>
        <label className="field">
          <span>{texts.groupName}</span>
          <input
            value={name}
            onChange={({ target }) => setName(target.value)}
            maxLength={NAME_MAX}
            dir="auto"
            autoComplete="off"
            required
          />
        </label>
        <Pick
          label={texts.whoIsIn}
          userIds={friendIds}
          picked={picked}
          pickedMax={ADDED_MAX - 1}
          fullText={texts.noMoreAtOnce}
          onPick={setPicked}
        />
        <Answers action={texts.create} isDisabled={isBusy || !name.trim()} error={error} onCancel={onClose} />
      </Form>
    </Dialog>
  );
}
