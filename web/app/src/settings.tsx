/** The person's profile, how the app looks and speaks, and what others may do. */

import { lazy, Suspense, useState } from "react";
import { useAction, useChat, useProfile } from "./chat.tsx";
import { LANGUAGE_NAMES, type Language, useI18n } from "./i18n.tsx";
import { notificationsAreOn, turnNotifications } from "./notifier.tsx";
import { Avatar, Confirm, Fault, Form, PictureField, Waiting } from "./parts.tsx";
import { applyTheme, type Theme, theme } from "./theme.ts";

const AddingToGroups = lazy(() => import("./adding-to-groups.tsx"));

export function Settings() {
  const { texts, language, setLanguage, number } = useI18n();
  const { client, userId, signOut } = useChat();
  const [chosen, setChosen] = useState(theme);
  const speak = useAction(setLanguage);
  /** How many messages would be lost, for who is about to leave. */
  const [unsent, setUnsent] = useState<number>();
  const askToLeave = async () => {
    // Where the device cannot say, there is nothing.
    setUnsent((await client.outgoing().catch(() => [])).length);
  };
  return (
    <div className="settings">
      <h1 className="side-title">{texts.settings}</h1>
      <div className="own-profile">
        <Avatar userId={userId} isLarge />
        <p className="quiet">{texts.signedInAs(userId)}</p>
      </div>
      <h2 className="side-heading">{texts.profile}</h2>
      <ProfileForm action={texts.save} />
      <label className="field">
        <span>{texts.language}</span>
        <select value={language} onChange={(event) => speak.run(event.target.value as Language)}>
          {Object.entries(LANGUAGE_NAMES).map(([tag, name]) => (
            <option key={tag} value={tag} lang={tag}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {speak.error && <Fault text={speak.error} />}
      <label className="field">
        <span>{texts.appearance}</span>
        <select
          value={chosen}
          onChange={(event) => {
            const next = event.target.value as Theme;
            applyTheme(next);
            setChosen(next);
          }}
        >
          {Object.entries(texts.themes).map(([name, text]) => (
            <option key={name} value={name}>
              {text}
            </option>
          ))}
        </select>
      </label>
      <Notifications />
      <Suspense fallback={<Waiting rows={1} />}>
        <AddingToGroups />
      </Suspense>
      <button type="button" className="button" onClick={askToLeave}>
        {texts.signOut}
      </button>
      {unsent !== undefined && (
        <Confirm
          title={texts.signOut}
          text={unsent > 0 ? texts.signOutUnsent(unsent, number.format(unsent)) : texts.signOutText}
          action={unsent > 0 ? texts.signOutAnyway : texts.signOut}
          refusal={unsent > 0 ? texts.stay : undefined}
          onAnswer={(isConfirmed) => {
            setUnsent(undefined);
            if (isConfirmed) {
              signOut();
            }
          }}
        />
      )}
    </div>
  );
}

function Notifications() {
  const { texts } = useI18n();
  const [isOn, setIsOn] = useState(notificationsAreOn);
  const turn = useAction(async () => {
    await turnNotifications(!isOn);
    setIsOn(notificationsAreOn());
  });
  if (!("Notification" in window)) {
    return undefined;
  }
  return (
    <div className="field">
      <span>{texts.notifications}</span>
      <p className="quiet">
        {Notification.permission === "denied" ? texts.notificationsDenied : texts.notificationsText}
      </p>
      <button
        type="button"
        className="button"
        disabled={Notification.permission === "denied"}
        aria-pressed={isOn}
        onClick={() => turn.run()}
      >
        {isOn ? texts.turnOff : texts.turnOn}
      </button>
    </div>
  );
}

export function ProfileForm({
  action,
  isShort = false,
  onSaved,
}: {
  action: string;
  isShort?: boolean;
  onSaved?: () => void;
}) {
  const { texts } = useI18n();
  const { client, userId } = useChat();
  const profile = useProfile(userId);
  const [name, setName] = useState<string>();
  const [avatarUrl, setAvatarUrl] = useState<string>();
  const [isSaved, setIsSaved] = useState(false);
  const { run, isBusy, error } = useAction(async () => {
    setIsSaved(false);
    await client.updateProfile({
      displayName: (name ?? profile?.displayName ?? "").trim(),
      ...(avatarUrl !== undefined && { avatarUrl: avatarUrl.trim() }),
    });
    setIsSaved(true);
    onSaved?.();
  });
  const shownName = name ?? profile?.displayName ?? "";
  return (
    <Form className="profile-form" onSubmit={run}>
      <label className="field">
        <span>{texts.displayName}</span>
        <input
          value={shownName}
          onChange={(event) => setName(event.target.value)}
          autoComplete="nickname"
          maxLength={64}
          dir="auto"
          required
        />
      </label>
      {!isShort && (
        <PictureField label={texts.avatarUrl} value={avatarUrl ?? profile?.avatarUrl ?? ""} onChange={setAvatarUrl} />
      )}
      {error && <Fault text={error} />}
      <div className="buttons">
        <span role="status" className="quiet">
          {isSaved && texts.saved}
        </span>
        <button type="submit" className="button primary" disabled={isBusy || !shownName.trim()}>
          {action}
        </button>
      </div>
    </Form>
  );
}
