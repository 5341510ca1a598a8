/** What a conversation is to the person alone: silent, on top, put away, flagged as unread, hidden, cleared. */

import type { ConversationState, SettingsUpdate } from "chat-client";
import { useState } from "react";
import { useAction, useChat } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
import { Confirm, Fault } from "./parts.tsx";
import { go } from "./router.ts";

const HOUR = 3_600_000;
/** For how long one is left in peace, in milliseconds. The longest is for ever, as people go. */
const TIMES = { hour: HOUR, day: 24 * HOUR, week: 7 * 24 * HOUR, ever: 100 * 365 * 24 * HOUR } as const;

/** Whether nothing that is said there makes a sound now. */
function untilWhen(mutedUntil: number): "on" | "muted" | "ever" {
  const left = mutedUntil - Date.now();
  if (left <= 0) {
    return "on";
  }
  return left > TIMES.ever / 2 ? "ever" : "muted";
}

export function ForOneself({ conversation }: { conversation: ConversationState }) {
  const { texts, day, time } = useI18n();
  const { client } = useChat();
  const { conversationId: id, settings } = conversation;
  const { isPinned, isArchived, mutedUntil } = settings;
  const [isAsked, setIsAsked] = useState(false);
  const { run, isBusy, error } = useAction((action: () => Promise<unknown>) => action());
  const set = (update: SettingsUpdate) => run(() => client.updateConversationSettings(id, update));
  const away = (action: () => Promise<unknown>) =>
    run(async () => {
      // Who looks at it reads it, and has it in their list.
      go({ kind: "chats" });
      await action();
    });
  const muted = untilWhen(mutedUntil);
  return (
    <fieldset className="own-settings" disabled={isBusy}>
      <legend>{texts.forYou}</legend>
      <label className="field">
        <span>{texts.notifications}</span>
        <select
          value={muted}
          onChange={({ target }) => {
            const length = TIMES[target.value as keyof typeof TIMES] ?? 0;
            set({ mutedUntil: length && Date.now() + length });
          }}
        >
          <option value="on">{texts.mute.on}</option>
          {muted === "muted" && (
            <option value="muted">{texts.mute.until(`${day.format(mutedUntil)} ${time.format(mutedUntil)}`)}</option>
          )}
          <option value="hour">{texts.mute.hour}</option>
          <option value="day">{texts.mute.day}</option>
          <option value="week">{texts.mute.week}</option>
          <option value="ever">{texts.mute.ever}</option>
        </select>
      </label>
      <button type="button" className="button" onClick={() => set({ isPinned: !isPinned })}>
        {isPinned ? texts.unpin : texts.pin}
      </button>
      <button type="button" className="button" onClick={() => set({ isArchived: !isArchived })}>
        {isArchived ? texts.unarchive : texts.archive}
      </button>
      <button type="button" className="button" onClick={() => away(() => client.markUnread(id))}>
        {texts.markUnread}
      </button>
      <button type="button" className="button" onClick={() => away(() => client.hideConversation(id))}>
        {texts.hide}
      </button>
      <button type="button" className="button" onClick={() => setIsAsked(true)}>
        {texts.clear}
      </button>
      {error && <Fault text={error} />}
      {isAsked && (
        <Confirm
          title={texts.clear}
          text={texts.clearText}
          action={texts.clear}
          onAnswer={(isConfirmed) => {
            setIsAsked(false);
            if (isConfirmed) {
              run(() => client.clearHistory(id));
            }
          }}
        />
      )}
    </fieldset>
  );
}
