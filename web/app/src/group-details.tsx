/** What a group is, and who is in it, beside its conversation; and all that may be changed of that. */

import type { ConversationState, Group, GroupPermission, GroupRole, GroupSettings } from "chat-client";
import { lazy, Suspense, useRef, useState } from "react";
import { useAction, useChat, useName } from "./chat.tsx";
import { GroupAvatar, hasManyMembers, may } from "./group.tsx";
import { useI18n } from "./i18n.tsx";
import { useNames } from "./names.ts";
import { ADDED_MAX, DESCRIPTION_MAX, MEMBERS_MAX, NAME_MAX, NotAdded, Pick, useFriendIds } from "./new-group.tsx";
import { Answers, Avatar, Confirm, Dialog, Fault, Form, IconButton, Name, PictureField } from "./parts.tsx";
import { go } from "./router.ts";

const ManageInvites = lazy(() => import("./invites.tsx"));

const RANKS: Record<GroupRole, number> = { member: 1, admin: 2, owner: 3 };

/** A group, with all of it that there is to know. */
interface Shown {
  readonly conversation: ConversationState;
  readonly group: Group;
}

/** All about a group: what it is, who is in it, and what the person may change. */
export function GroupDetails({ conversation, group }: Shown) {
  const { texts, number } = useI18n();
  const shown = { conversation, group };
  return (
    <>
      <GroupAvatar id={conversation.conversationId} group={group} isLarge />
      <h2>
        <bdi>{group.name}</bdi>
      </h2>
      {group.description && (
        <p className="description quiet" dir="auto">
          {group.description}
        </p>
      )}
      {may(group, "editInfo") && <Edit {...shown} />}
      {may(group, "manageInvites") && (
        <Suspense>
          <ManageInvites id={conversation.conversationId} version={group.stateRevision} />
        </Suspense>
      )}
      <div className="members-top">
        <h3>
          {texts.membersTitle} <span className="quiet">{number.format(group.memberCount)}</span>
        </h3>
        {may(group, "addMembers") && <AddMembers {...shown} />}
      </div>
      <Members {...shown} />
      {may(group, "changeSettings") && <Rights {...shown} />}
      <Leaving {...shown} />
    </>
  );
}

/** A button that changes what the group is called and shows. */
function Edit({ conversation, group }: Shown) {
  const { texts } = useI18n();
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <button type="button" className="button" onClick={() => setIsOpen(true)}>
        {texts.editGroup}
      </button>
      {isOpen && <EditDialog conversation={conversation} group={group} onClose={() => setIsOpen(false)} />}
    </>
  );
}

function EditDialog({ conversation, group, onClose }: Shown & { onClose: () => void }) {
  const { texts } = useI18n();
  const { client } = useChat();
  // As it was when the person began: others may change the rest meanwhile.
  const [before] = useState(group);
  const [name, setName] = useState(before.name);
  const [description, setDescription] = useState(before.description);
  const [avatarUrl, setAvatarUrl] = useState(before.avatarUrl);
  const { run, isBusy, error } = useAction(async () => {
    const update = {
      ...(name !== before.name && { name }),
      ...(description !== before.description && { description }),
      ...(avatarUrl !== before.avatarUrl && { avatarUrl }),
    };
    if (Object.keys(update).length > 0) {
      await client.updateGroup(conversation.conversationId, update);
    }
    onClose();
  });
  return (
    <Dialog title={texts.editGroup} onClose={onClose}>
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
        <label className="field">
          <span>{texts.groupDescription}</span>
          <textarea
            value={description}
            onChange={({ target }) => setDescription(target.value)}
            maxLength={DESCRIPTION_MAX}
            rows={3}
            dir="auto"
          />
        </label>
        <PictureField label={texts.groupPicture} value={avatarUrl} onChange={setAvatarUrl} />
        <Answers action={texts.save} isDisabled={isBusy || !name.trim()} error={error} onCancel={onClose} />
      </Form>
    </Dialog>
  );
}

/** The members that are known, those first who look after the group, and a way to know more. */
function Members({ conversation, group }: Shown) {
  const nameOf = useNames(conversation.memberIds);
  const roleOf = (userId: string) => conversation.roles.get(userId) ?? "member";
  const isPartial = hasManyMembers(group);
  // Many come by user id, and each page stands below the one before.
  const sorted = conversation.memberIds.toSorted(
    (one, other) =>
      RANKS[roleOf(other)] - RANKS[roleOf(one)] || (isPartial ? 0 : nameOf(one).localeCompare(nameOf(other))),
  );
  return (
    <>
      <ul className="list">
        {sorted.map((userId) => (
          <MemberLine
            key={userId}
            id={conversation.conversationId}
            group={group}
            userId={userId}
            role={roleOf(userId)}
          />
        ))}
      </ul>
      {isPartial && <MoreMembers conversation={conversation} group={group} />}
    </>
  );
}

/** A button that reads the next page of members, as long as there is one. */
function MoreMembers({ conversation, group }: Shown) {
  const { texts } = useI18n();
  const { client } = useChat();
  const { conversationId, memberIds } = conversation;
  const [pageToken, setPageToken] = useState<string>();
  const button = useRef<HTMLButtonElement>(null);
  const { run, isBusy, error } = useAction(async () => {
    const around = button.current?.closest("aside");
    let next = pageToken;
    let isNews = false;
    // The first ones are known already.
    while (next !== "" && !isNews) {
      const page = await client.listGroupMembers(conversationId, next);
      isNews = page.members.some(({ userId }) => !memberIds.includes(userId));
      next = page.nextPageToken;
      setPageToken(next);
    }
    if (next === "") {
      // The button goes, and the focus with it.
      around?.focus({ preventScroll: true });
    }
  });
  if (pageToken === "" || memberIds.length >= group.memberCount) {
    return undefined;
  }
  // One page after the other; a button that is disabled meanwhile would lose the focus.
  return (
    <>
      {error && <Fault text={error} />}
      <button ref={button} type="button" className="button" aria-busy={isBusy} onClick={() => !isBusy && run()}>
        {texts.showMoreMembers}
      </button>
    </>
  );
}

interface MemberOf {
  readonly id: string;
  readonly group: Group;
  readonly userId: string;
  readonly role: GroupRole;
}

function MemberLine(member: MemberOf) {
  const { texts } = useI18n();
  const { userId: self } = useChat();
  const { group, userId, role } = member;
  const name = useName(userId);
  const [isOpen, setIsOpen] = useState(false);
  const isBelow = RANKS[role] < RANKS[group.role ?? "member"];
  return (
    <li className="person member">
      <Avatar userId={userId} />
      <span className="person-text">
        <Name userId={userId} />
        {userId === self && <span className="quiet">{texts.you}</span>}
      </span>
      {role !== "member" && <span className="role">{texts.roles[role]}</span>}
      {isBelow && (may(group, "manageRoles") || may(group, "removeMembers")) && (
        <IconButton icon="more" label={texts.memberActions(name)} onClick={() => setIsOpen(true)} />
      )}
      {isOpen && <MemberDialog {...member} name={name} onClose={() => setIsOpen(false)} />}
    </li>
  );
}

/** What the person may do with a member; what cannot be undone is asked once more. */
function MemberDialog({ id, group, userId, role, name, onClose }: MemberOf & { name: string; onClose: () => void }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const [asking, setAsking] = useState<"remove" | "handOver">();
  const { run, isBusy, error } = useAction(async (act: () => Promise<void>) => {
    await act();
    onClose();
  });
  if (asking) {
    const isRemoval = asking === "remove";
    const action = isRemoval ? texts.removeMember : texts.handOver;
    return (
      <Confirm
        title={action}
        text={isRemoval ? texts.removeMemberText(name) : texts.handOverText(name)}
        action={action}
        onAnswer={(isConfirmed) => {
          setAsking(undefined);
          if (isConfirmed) {
            run(() => (isRemoval ? client.removeGroupMember(id, userId) : client.transferGroupOwnership(id, userId)));
          }
        }}
      />
    );
  }
  const turned = role === "admin" ? "member" : "admin";
  return (
    <Dialog title={name} onClose={onClose}>
      <div className="choices">
        {may(group, "manageRoles") && (
          <button
            type="button"
            className="button"
            disabled={isBusy}
            onClick={() => run(() => client.setGroupMemberRole(id, userId, turned))}
          >
            {turned === "admin" ? texts.makeAdmin : texts.makeMember}
          </button>
        )}
        {group.role === "owner" && (
          <button type="button" className="button" disabled={isBusy} onClick={() => setAsking("handOver")}>
            {texts.handOver}
          </button>
        )}
        {may(group, "removeMembers") && (
          <button type="button" className="button" disabled={isBusy} onClick={() => setAsking("remove")}>
            {texts.removeMember}
          </button>
        )}
        {error && <Fault text={error} />}
        <button type="button" className="button" onClick={onClose}>
          {texts.cancel}
        </button>
      </div>
    </Dialog>
  );
}

function AddMembers({ conversation, group }: Shown) {
  const { texts } = useI18n();
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <button type="button" className="button" onClick={() => setIsOpen(true)}>
        {texts.addMembers}
      </button>
      {isOpen && <AddMembersDialog conversation={conversation} group={group} onClose={() => setIsOpen(false)} />}
    </>
  );
}

function AddMembersDialog({ conversation, group, onClose }: Shown & { onClose: () => void }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [notAdded, setNotAdded] = useState<readonly string[]>([]);
  const room = MEMBERS_MAX - group.memberCount;
  const others = useFriendIds().filter((userId) => !conversation.memberIds.includes(userId));
  const { run, isBusy, error } = useAction(async () => {
    const { notAddedUserIds } = await client.addGroupMembers(conversation.conversationId, [...picked]);
    setPicked(new Set());
    setNotAdded(notAddedUserIds);
    if (notAddedUserIds.length === 0) {
      onClose();
    }
  });
  return (
    <Dialog title={texts.addMembers} onClose={onClose}>
      <Form className="profile-form" onSubmit={run}>
        {others.length > 0 ? (
          <Pick
            label={texts.friends}
            userIds={others}
            picked={picked}
            pickedMax={Math.min(ADDED_MAX, room)}
            fullText={room > ADDED_MAX ? texts.noMoreAtOnce : texts.errors.GROUP_FULL}
            onPick={setPicked}
          />
        ) : (
          <p className="quiet">{texts.nobodyToAdd}</p>
        )}
        {notAdded.length > 0 && <NotAdded userIds={notAdded} />}
        <Answers action={texts.add} isDisabled={isBusy || picked.size === 0} error={error} onCancel={onClose} />
      </Form>
    </Dialog>
  );
}

function Rights({ conversation, group }: Shown) {
  const { texts } = useI18n();
  const { client } = useChat();
  // As the person wants it, until the service has answered.
  const [wanted, setWanted] = useState<GroupSettings>();
  const settings = wanted ?? group.settings;
  const { run, isBusy, error } = useAction(async (changed: Partial<GroupSettings>) => {
    setWanted({ ...group.settings, ...changed });
    try {
      await client.updateGroup(conversation.conversationId, { settings: changed });
    } finally {
      setWanted(undefined);
    }
  });
  // One after the other; switches that are disabled meanwhile would lose the focus.
  const change = (changed: Partial<GroupSettings>) => !isBusy && run(changed);
  return (
    <>
      <RightsOf
        title={texts.memberRights}
        rights={[
          ["sendMessages", texts.maySend],
          ["addMembers", texts.mayAdd],
          ["editInfo", texts.mayEdit],
        ]}
        given={settings.memberPermissions}
        onChange={(memberPermissions) => change({ memberPermissions })}
      />
      <RightsOf
        title={texts.adminRights}
        rights={[
          ["addMembers", texts.mayAdd],
          ["editInfo", texts.mayEdit],
          ["removeMembers", texts.mayRemove],
          ["manageInvites", texts.mayInvite],
          ["manageRoles", texts.mayAppoint],
          ["changeSettings", texts.mayChangeRights],
        ]}
        given={settings.adminPermissions}
        givenAnyway={settings.memberPermissions}
        onChange={(adminPermissions) => change({ adminPermissions })}
      />
      <fieldset className="rights">
        <legend>{texts.newMembers}</legend>
        <label>
          <input
            type="checkbox"
            checked={settings.showsHistory}
            onChange={({ target }) => change({ showsHistory: target.checked })}
          />
          {texts.showsHistory}
        </label>
      </fieldset>
      {error && <Fault text={error} />}
    </>
  );
}

/** What one of the roles may, of what it may be allowed. What it may anyway, as every member, cannot be taken from it. */
function RightsOf({
  title,
  rights,
  given,
  givenAnyway = [],
  onChange,
}: {
  title: string;
  rights: readonly (readonly [GroupPermission, string])[];
  given: readonly GroupPermission[];
  givenAnyway?: readonly GroupPermission[];
  onChange: (given: readonly GroupPermission[]) => void;
}) {
  return (
    <fieldset className="rights">
      <legend>{title}</legend>
      {rights.map(([permission, label]) => (
        <label key={permission}>
          <input
            type="checkbox"
            checked={given.includes(permission) || givenAnyway.includes(permission)}
            disabled={givenAnyway.includes(permission)}
            onChange={({ target }) => {
              const others = given.filter((other) => other !== permission);
              onChange(target.checked ? [...others, permission] : others);
            }}
          />
          {label}
        </label>
      ))}
    </fieldset>
  );
}

function Leaving({ conversation, group }: Shown) {
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
