/** Groups: making one, and who may do what in it. */

import type { ConversationState, Group, GroupPermission, GroupRole } from "chat-client";
import { useStore } from "chat-client/react";
import { useId, useState } from "react";
import { useAction, useChat, useName } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
import { useNames } from "./names.ts";
import { Avatar, Confirm, Dialog, Fault, Name, Picture } from "./parts.tsx";
import { go } from "./router.ts";

const NAME_MAX = 100;
const DESCRIPTION_MAX = 1_000;
const RANKS: Record<GroupRole, number> = { member: 1, admin: 2, owner: 3 };

/** Whether the person may do something in a group. */
export function may({ role, settings }: Group, permission: GroupPermission): boolean {
  const { memberPermissions, adminPermissions } = settings;
  return (
    role === "owner" ||
    memberPermissions.includes(permission) ||
    (role === "admin" && adminPermissions.includes(permission))
  );
}

/** The first letter of a group's name, or its picture. */
export function GroupAvatar({ id, group, isLarge = false }: { id: string; group: Group; isLarge?: boolean }) {
  return <Picture id={id} name={group.name} url={group.avatarUrl} isLarge={isLarge} />;
}

/** Friends to pick from. */
function Pick({
  userIds,
  picked,
  onPick,
}: {
  userIds: readonly string[];
  picked: ReadonlySet<string>;
  onPick: (picked: ReadonlySet<string>) => void;
}) {
  return (
    <ul className="list pick">
      {userIds.map((userId) => (
        <li key={userId}>
          <label className="person">
            <input
              type="checkbox"
              checked={picked.has(userId)}
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
  );
}

function useFriendIds(): readonly string[] {
  const friends = useStore(useChat().client.friends());
  return friends.filter((friend) => friend.state === "accepted").map((friend) => friend.userId);
}

/** A button that makes a group of friends. */
export function NewGroup() {
  const { texts } = useI18n();
  const { client } = useChat();
  const friendIds = useFriendIds();
  const [isOpen, setIsOpen] = useState(false);
  const [name, setName] = useState("");
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const id = useId();
  const { run, isBusy, error } = useAction(async () => {
    const { conversationId } = await client.createGroup([...picked], { name });
    setIsOpen(false);
    setName("");
    setPicked(new Set());
    go({ kind: "conversation", id: conversationId, messageId: undefined });
  });
  if (friendIds.length === 0) {
    return undefined;
  }
  return (
    <>
      <button type="button" className="button" onClick={() => setIsOpen(true)}>
        {texts.newGroup}
      </button>
      {isOpen && (
        <Dialog title={texts.newGroup} onClose={() => setIsOpen(false)}>
          <form
            className="profile-form"
            onSubmit={(event) => {
              event.preventDefault();
              run();
            }}
          >
            <label htmlFor={id}>{texts.groupName}</label>
            <input
              id={id}
              value={name}
              onChange={({ target }) => setName(target.value)}
              maxLength={NAME_MAX}
              dir="auto"
              required
            />
            <p>{texts.newGroupText}</p>
            <Pick userIds={friendIds} picked={picked} onPick={setPicked} />
            {error && <Fault text={error} />}
            <div className="buttons">
              <button type="button" className="button" onClick={() => setIsOpen(false)}>
                {texts.cancel}
              </button>
              <button type="submit" className="button primary" disabled={isBusy || !name.trim()}>
                {texts.create}
              </button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}

/** All about a group: what it is, who is in it, and what the person may change. */
export function GroupDetails({ conversation, group }: { conversation: ConversationState; group: Group }) {
  const { texts, number } = useI18n();
  return (
    <>
      <GroupAvatar id={conversation.conversationId} group={group} isLarge />
      <h2>
        <bdi>{group.name}</bdi>
      </h2>
      {group.description && (
        <p className="quiet" dir="auto">
          {group.description}
        </p>
      )}
      {may(group, "editInfo") && <Info key={group.stateRevision} conversation={conversation} group={group} />}
      <h3>
        {texts.membersTitle} <span className="quiet">{number.format(group.memberCount)}</span>
      </h3>
      <ul className="list">
        {conversation.memberIds.map((userId) => (
          <MemberLine key={userId} conversation={conversation} group={group} userId={userId} />
        ))}
      </ul>
      {may(group, "addMembers") && <AddMembers conversation={conversation} />}
      {may(group, "changeSettings") && <Rights conversation={conversation} group={group} />}
      <Leaving conversation={conversation} group={group} />
    </>
  );
}

function Info({ conversation, group }: { conversation: ConversationState; group: Group }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const [name, setName] = useState(group.name);
  const [description, setDescription] = useState(group.description);
  const ids = [useId(), useId()] as const;
  const { run, isBusy, error } = useAction(() =>
    client.updateGroup(conversation.conversationId, { name, description: description.trim() }),
  );
  const isChanged = name !== group.name || description.trim() !== group.description;
  return (
    <form
      className="profile-form"
      onSubmit={(event) => {
        event.preventDefault();
        run();
      }}
    >
      <label htmlFor={ids[0]}>{texts.groupName}</label>
      <input
        id={ids[0]}
        value={name}
        onChange={({ target }) => setName(target.value)}
        maxLength={NAME_MAX}
        dir="auto"
        required
      />
      <label htmlFor={ids[1]}>{texts.groupDescription}</label>
      <textarea
        id={ids[1]}
        value={description}
        onChange={({ target }) => setDescription(target.value)}
        maxLength={DESCRIPTION_MAX}
        rows={2}
        dir="auto"
      />
      {error && <Fault text={error} />}
      {isChanged && (
        <button type="submit" className="button primary" disabled={isBusy || !name.trim()}>
          {texts.save}
        </button>
      )}
    </form>
  );
}

function MemberLine({
  conversation,
  group,
  userId,
}: {
  conversation: ConversationState;
  group: Group;
  userId: string;
}) {
  const { texts } = useI18n();
  const { client, userId: self } = useChat();
  const name = useName(userId);
  const role = conversation.roles.get(userId) ?? "member";
  const id = conversation.conversationId;
  const [asking, setAsking] = useState<"remove" | "handOver">();
  const { run, isBusy, error } = useAction((act: () => Promise<void>) => act());
  const isBelow = userId !== self && RANKS[role] < RANKS[group.role ?? "member"];
  return (
    <li className="person member">
      <Avatar userId={userId} />
      <span className="person-text">
        <Name userId={userId} />
        {role !== "member" && <span className="quiet">{texts.roles[role]}</span>}
      </span>
      {isBelow && (
        <fieldset className="member-actions" disabled={isBusy} aria-label={texts.memberActions(name)}>
          {may(group, "manageRoles") && (
            <button
              type="button"
              className="link"
              onClick={() => run(() => client.setGroupMemberRole(id, userId, role === "admin" ? "member" : "admin"))}
            >
              {role === "admin" ? texts.makeMember : texts.makeAdmin}
            </button>
          )}
          {group.role === "owner" && (
            <button type="button" className="link" onClick={() => setAsking("handOver")}>
              {texts.handOver}
            </button>
          )}
          {may(group, "removeMembers") && (
            <button type="button" className="link" onClick={() => setAsking("remove")}>
              {texts.removeMember}
            </button>
          )}
        </fieldset>
      )}
      {error && <Fault text={error} />}
      {asking && (
        <Confirm
          title={asking === "remove" ? texts.removeMember : texts.handOver}
          text={asking === "remove" ? texts.removeMemberText(name) : texts.handOverText(name)}
          action={asking === "remove" ? texts.removeMember : texts.handOver}
          onAnswer={(isConfirmed) => {
            setAsking(undefined);
            if (isConfirmed) {
              run(() =>
                asking === "remove" ? client.removeGroupMember(id, userId) : client.transferGroupOwnership(id, userId),
              );
            }
          }}
        />
      )}
    </li>
  );
}

function AddMembers({ conversation }: { conversation: ConversationState }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const friendIds = useFriendIds();
  const [isOpen, setIsOpen] = useState(false);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [notAdded, setNotAdded] = useState<readonly string[]>([]);
  const nameOf = useNames(notAdded);
  const others = friendIds.filter((userId) => !conversation.memberIds.includes(userId));
  const { run, isBusy, error } = useAction(async () => {
    const added = await client.addGroupMembers(conversation.conversationId, [...picked]);
    setNotAdded(added.notAddedUserIds);
    setPicked(new Set());
    setIsOpen(false);
  });
  return (
    <>
      <button type="button" className="button" onClick={() => setIsOpen(true)}>
        {texts.addMembers}
      </button>
      {notAdded.length > 0 && <Fault text={texts.notAdded(notAdded.map(nameOf).join(", "))} />}
      {isOpen && (
        <Dialog title={texts.addMembers} onClose={() => setIsOpen(false)}>
          {others.length > 0 ? (
            <Pick userIds={others} picked={picked} onPick={setPicked} />
          ) : (
            <p className="quiet">{texts.nobodyToAdd}</p>
          )}
          {error && <Fault text={error} />}
          <div className="buttons">
            <button type="button" className="button" onClick={() => setIsOpen(false)}>
              {texts.cancel}
            </button>
            <button type="button" className="button primary" disabled={isBusy || picked.size === 0} onClick={run}>
              {texts.add}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function Rights({ conversation, group }: { conversation: ConversationState; group: Group }) {
  const { texts } = useI18n();
  const { client } = useChat();
  // As the person wants it, until the service has answered.
  const [wanted, setWanted] = useState<Group["settings"]>();
  const settings = wanted ?? group.settings;
  const { run, isBusy, error } = useAction((changed: Partial<Group["settings"]>) => {
    const next = { ...settings, ...changed };
    setWanted(next);
    return client.updateGroup(conversation.conversationId, { settings: next }).finally(() => setWanted(undefined));
  });
  const rights = [
    ["sendMessages", texts.maySend],
    ["addMembers", texts.mayAdd],
    ["editInfo", texts.mayEdit],
  ] as const;
  return (
    <fieldset className="rights" disabled={isBusy}>
      <legend>{texts.groupRights}</legend>
      {rights.map(([permission, label]) => (
        <label key={permission}>
          <input
            type="checkbox"
            checked={settings.memberPermissions.includes(permission)}
            onChange={({ target }) => {
              const others = settings.memberPermissions.filter((other) => other !== permission);
              run({ memberPermissions: target.checked ? [...others, permission] : others });
            }}
          />
          {label}
        </label>
      ))}
      <label>
        <input
          type="checkbox"
          checked={settings.showsHistory}
          onChange={({ target }) => run({ showsHistory: target.checked })}
        />
        {texts.showsHistory}
      </label>
      {error && <Fault text={error} />}
    </fieldset>
  );
}

function Leaving({ conversation, group }: { conversation: ConversationState; group: Group }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const [isAsking, setIsAsking] = useState(false);
  const isOwner = group.role === "owner";
  const { run, error } = useAction(async () => {
    await (isOwner ? client.deleteGroup(conversation.conversationId) : client.leaveGroup(conversation.conversationId));
    go({ kind: "chats" });
  });
  const action = isOwner ? texts.deleteGroup : texts.leaveGroup;
  return (
    <>
      <button type="button" className="button" onClick={() => setIsAsking(true)}>
        {action}
      </button>
      {error && <Fault text={error} />}
      {isAsking && (
        <Confirm
          title={action}
          text={isOwner ? texts.deleteGroupText : texts.leaveGroupText}
          action={action}
          onAnswer={(isConfirmed) => {
            setIsAsking(false);
            if (isConfirmed) {
              run();
            }
          }}
        />
      )}
    </>
  );
}
