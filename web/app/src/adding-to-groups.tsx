/** Who may make the person a member of groups. */

import type { GroupAdders } from "chat-client";
import { useCallback, useId, useState } from "react";
import { useAction, useAsked, useChat } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
import { Fault, NotRead } from "./parts.tsx";

export default function AddingToGroups() {
  const { texts } = useI18n();
  const { client } = useChat();
  const id = useId();
  const { answer, take, fault, again } = useAsked(useCallback(() => client.getUserSettings(), [client]));
  // As the person wants it, until the service has answered.
  const [wanted, setWanted] = useState<GroupAdders>();
  const [isSaved, setIsSaved] = useState(false);
  const { run, isBusy, error } = useAction(async (groupAdders: GroupAdders) => {
    setWanted(groupAdders);
    setIsSaved(false);
    try {
      take(await client.updateUserSettings({ groupAdders }));
      setIsSaved(true);
    } finally {
      setWanted(undefined);
    }
  });
  const chosen = wanted ?? answer?.groupAdders;
  return (
    <div className="field">
      <label htmlFor={id}>{texts.groupAdders}</label>
      <select
        id={id}
        value={chosen ?? ""}
        disabled={!answer}
        aria-describedby={`${id}-text`}
        // One after the other; what is disabled meanwhile would lose the focus.
        onChange={({ target }) => !isBusy && run(target.value as GroupAdders)}
      >
        {!chosen && <option value="">{answer || fault ? "" : texts.loading}</option>}
        {Object.entries(texts.groupAdderChoices).map(([adders, text]) => (
          <option key={adders} value={adders}>
            {text}
          </option>
        ))}
      </select>
      <p className="quiet" id={`${id}-text`}>
        {texts.groupAddersText}
      </p>
      <p className="quiet" role="status">
        {isSaved && texts.saved}
      </p>
      {error && <Fault text={error} />}
      <NotRead fault={fault} again={again} />
    </div>
  );
}
