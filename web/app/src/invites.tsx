/** Links into groups: making and ending them, and letting in who asks. */

import type { GroupInvite, JoinRequest } from "chat-client";
import { useCallback, useEffect, useRef, useState } from "react";
import { useAnnounce, useCopy } from "./announcer.tsx";
import { useAction, useAsked, useChat, useName } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
import { Answers, Avatar, Confirm, Dialog, Fault, Form, IconButton, Name, NotRead } from "./parts.tsx";
import { pathOf } from "./router.ts";

const HOUR = 3_600_000;
/** For how long links can be used, in milliseconds; 0: for ever. */
const TIMES = { hour: HOUR, day: 24 * HOUR, week: 7 * 24 * HOUR, month: 30 * 24 * HOUR, ever: 0 } as const;
/** How many may use a link; 0: any number. */
const USES = [0, 1, 5, 10, 25, 100] as const;

/** What those see of a group who manage its invites. `version` is another one once the group has changed. */
export default function ManageInvites({ id, version }: { id: string; version: number }) {
  return (
    <>
      <JoinRequests id={id} version={version} />
      <Invites id={id} version={version} />
    </>
  );
}

/** Those who ask to join, and whom the person may let in. */
function JoinRequests({ id, version }: { id: string; version: number }) {
  const { texts, number } = useI18n();
  const { client } = useChat();
  const heading = useRef<HTMLHeadingElement>(null);
  const {
    answer: items = [],
    fault,
    again,
  } = useAsked(
    useCallback(() => client.listJoinRequests(id), [client, id]),
    version,
  );
  useEffect(() => client.onJoinRequest(({ conversationId }) => conversationId === id && again()), [client, id, again]);
  if (items.length === 0) {
    return <NotRead fault={fault} again={again} />;
  }
  return (
    <>
      <div className="members-top">
        <h3 ref={heading}>
          {texts.joinRequests} <span className="quiet">{number.format(items.length)}</span>
        </h3>
      </div>
      <NotRead fault={fault} again={again} />
      <ul className="list">
        {items.map((request) => (
          <RequestLine
            key={request.userId}
            id={id}
            request={request}
            onAnswered={() => {
              // The buttons go, and the focus with them; with the last of them, all of this.
              heading.current?.closest("aside")?.focus({ preventScroll: true });
              again();
            }}
          />
        ))}
      </ul>
    </>
  );
}

function RequestLine({ id, request, onAnswered }: { id: string; request: JoinRequest; onAnswered: () => void }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const announce = useAnnounce();
  const { userId } = request;
  const name = useName(userId);
  const { run, isBusy, error } = useAction(async (isLetIn: boolean) => {
    await client.answerJoinRequest(id, userId, isLetIn);
    announce(isLetIn ? texts.letIn(name) : texts.turnedAway(name), { isShown: true });
    onAnswered();
  });
  return (
    <li className="person request">
      <Avatar userId={userId} />
      <Name userId={userId} />
      <button type="button" className="button" disabled={isBusy} onClick={() => run(false)}>
        {texts.decline}
      </button>
      <button type="button" className="button primary" disabled={isBusy} onClick={() => run(true)}>
        {texts.accept}
      </button>
      {error && <Fault text={error} />}
    </li>
  );
}

/** The links that can be used, and a way to make one. */
function Invites({ id, version }: { id: string; version: number }) {
  const { texts } = useI18n();
  const { client } = useChat();
  const heading = useRef<HTMLHeadingElement>(null);
  const [isOpen, setIsOpen] = useState(false);
  const {
    answer: items = [],
    fault,
    again,
  } = useAsked(
    useCallback(() => client.listGroupInvites(id), [client, id]),
    version,
  );
  return (
    <>
      <div className="members-top">
        <h3 ref={heading} tabIndex={-1}>
          {texts.invites}
        </h3>
        <button type="button" className="button" onClick={() => setIsOpen(true)}>
          {texts.newInvite}
        </button>
      </div>
      <NotRead fault={fault} again={again} />
      {items.length > 0 && (
        <ul className="list">
          {items.map((invite) => (
            <InviteLine
              key={invite.inviteId}
              id={id}
              invite={invite}
              onRevoked={() => {
                heading.current?.focus();
                again();
              }}
            />
          ))}
        </ul>
      )}
      {isOpen && <NewInviteDialog id={id} onMade={again} onClose={() => setIsOpen(false)} />}
    </>
  );
}

function InviteLine({ id, invite, onRevoked }: { id: string; invite: GroupInvite; onRevoked: () => void }) {
  const { texts, moment, number } = useI18n();
  const { client } = useChat();
  const copy = useCopy();
  const [isAsking, setIsAsking] = useState(false);
  const { run, error } = useAction(async () => {
    await client.revokeGroupInvite(id, invite.inviteId);
    onRevoked();
  });
  const { token, expiresAt, maxUses, uses, needsApproval } = invite;
  const used = number.format(uses);
  return (
    <li className="person invite">
      <span className="person-text">
        <span>{expiresAt === undefined ? texts.validForEver : texts.validUntil(moment.format(expiresAt))}</span>
        <span className="quiet">
          {maxUses > 0 ? texts.usedOf(used, number.format(maxUses)) : texts.used(used)}
          {needsApproval && ` · ${texts.needsApproval}`}
        </span>
      </span>
      <IconButton
        icon="copy"
        label={texts.copyLink}
        onClick={() => copy(`${location.origin}${pathOf({ kind: "join", token })}`)}
      />
      <IconButton icon="close" label={texts.revoke} onClick={() => setIsAsking(true)} />
      {error && <Fault text={error} />}
      {isAsking && (
        <Confirm
          title={texts.revoke}
          text={texts.revokeText}
          action={texts.revoke}
          onAnswer={(isConfirmed) => {
            setIsAsking(false);
            if (isConfirmed) {
              run();
            }
          }}
        />
      )}
    </li>
  );
}

function NewInviteDialog({ id, onMade, onClose }: { id: string; onMade: () => void; onClose: () => void }) {
  const { texts, number } = useI18n();
  const { client } = useChat();
  const [time, setTime] = useState<keyof typeof TIMES>("week");
  const [maxUses, setMaxUses] = useState(0);
  const [needsApproval, setNeedsApproval] = useState(false);
  const { run, isBusy, error } = useAction(async () => {
    const validFor = TIMES[time];
    await client.createGroupInvite(id, { maxUses, needsApproval, ...(validFor > 0 && { validFor }) });
    onMade();
    onClose();
  });
  return (
    <Dialog title={texts.newInvite} onClose={onClose}>
      <Form className="profile-form" onSubmit={run}>
        <label className="field">
          <span>{texts.validFor}</span>
          <select value={time} onChange={({ target }) => setTime(target.value as keyof typeof TIMES)}>
            {Object.keys(TIMES).map((one) => (
              <option key={one} value={one}>
                {texts.times[one as keyof typeof TIMES]}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          <span>{texts.maxUses}</span>
          <select value={maxUses} onChange={({ target }) => setMaxUses(Number(target.value))}>
            {USES.map((uses) => (
              <option key={uses} value={uses}>
                {uses === 0 ? texts.anyNumber : number.format(uses)}
              </option>
            ))}
          </select>
        </label>
        <div className="rights">
          <label>
            <input
              type="checkbox"
              checked={needsApproval}
              onChange={({ target }) => setNeedsApproval(target.checked)}
            />
            {texts.approve}
          </label>
        </div>
        <Answers action={texts.create} isDisabled={isBusy} error={error} onCancel={onClose} />
      </Form>
    </Dialog>
  );
}
