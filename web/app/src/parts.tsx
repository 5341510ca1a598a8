/** Small parts of all screens. */

import {
  type AnchorHTMLAttributes,
  type ButtonHTMLAttributes,
  type ReactNode,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { useName, useProfile } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
import { go, pathOf, type Route } from "./router.ts";

const PATHS = {
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6L6 18",
  chats: "M5 7a3 3 0 0 1 3-3h8a3 3 0 0 1 3 3v6a3 3 0 0 1-3 3h-5l-4 4v-4a3 3 0 0 1-2-3z",
  people:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20c.4-3.6 2.700-5.500 6-5.500s5.600 1.900 6 5.500M16 4.500a3.200 3.200 0 0 1 0 6.200M17.500 15c2 .700 3.200 2.400 3.500 5",
  settings:
    "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM12 3v2.500M12 18.500V21M3 12h2.500M18.500 12H21M5.600 5.600l1.800 1.800M16.600 16.600l1.800 1.800M18.400 5.600l-1.800 1.800M7.400 16.600l-1.800 1.800",
  send: "M5 12h13M12 5.500l6.500 6.500-6.500 6.500",
  down: "M12 5v14M6 13l6 6 6-6",
  reply: "M9 6L4 11l5 5M4 11h9c4 0 7 2.500 7 7",
  copy: "M9 9h10v11H9zM5 15V4h10",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.700-5.700l-1.300 1.300M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.700 5.700l1.300-1.300",
  more: "M5 11.500a.5.5 0 1 0 0 1 .5.5 0 0 0 0-1zM12 11.500a.5.5 0 1 0 0 1 .5.5 0 0 0 0-1zM19 11.500a.5.5 0 1 0 0 1 .5.5 0 0 0 0-1z",
  info: "M12 11v6M12 7.500v.1M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  clock: "M12 7v5l3 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  check: "M5 12.500l4.500 4.500L19 7",
  checks: "M2 12.500L6.500 17 15 7.500M10.500 15.500L12 17l9-9.500",
  pin: "M12 16v5M8 3h8l-1 7 3 3v2H6v-2l3-3z",
  mute: "M5 5l14 14M8 9v5l-2 3h9M10 5.500a5 5 0 0 1 7 4v4",
  alert: "M12 8v5M12 16.500v.1M12 3l10 17.500H2z",
} as const;

export type IconName = keyof typeof PATHS;

/** Directions that turn with the direction of the text. */
const TURNING: ReadonlySet<IconName> = new Set<IconName>(["back", "send", "reply"]);

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className={TURNING.has(name) ? "icon turning" : "icon"} viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function IconButton({
  icon,
  label,
  ...props
}: { icon: IconName; label: string } & ButtonHTMLAttributes<HTMLButtonElement>) {
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} {...props}>
      <Icon name={icon} />
    </button>
  );
}

/** Leads to a place in the app; in another tab, where the person asks the browser for one. */
export function Link({
  to,
  label,
  children,
  ...props
}: { to: Route; label?: string | undefined } & Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href" | "onClick">) {
  return (
    <a
      href={pathOf(to)}
      aria-label={label}
      onClick={(event) => {
        if (!(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)) {
          event.preventDefault();
          go(to);
        }
      }}
      {...props}
    >
      {children}
    </a>
  );
}

/** A name as others wrote it, which must not turn the text around it. */
export function Name({ userId }: { userId: string }) {
  return <bdi className="name">{useName(userId)}</bdi>;
}

const HUES = 8;
const letters = new Intl.Segmenter();

export function Avatar({ userId, isLarge = false }: { userId: string; isLarge?: boolean }) {
  const profile = useProfile(userId);
  return <Picture id={userId} name={profile?.displayName ?? userId} url={profile?.avatarUrl ?? ""} isLarge={isLarge} />;
}

/** A picture, or a letter on a colour that stays. */
export function Picture({
  id,
  name,
  url,
  isLarge = false,
  isGroup = false,
}: {
  id: string;
  name: string;
  url: string;
  isLarge?: boolean;
  isGroup?: boolean;
}) {
  const [broken, setBroken] = useState<string>();
  const hue = [...id].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973, 7) % HUES;
  const initial = letters.segment(name.trim())[Symbol.iterator]().next().value?.segment ?? "?";
  const className = `avatar hue-${hue}${isGroup ? " group" : ""}${isLarge ? " large" : ""}`;
  if (url && url !== broken) {
    return (
      <img
        className={className}
        src={url}
        alt=""
        referrerPolicy="no-referrer"
        loading="lazy"
        onError={() => setBroken(url)}
      />
    );
  }
  return (
    <span className={className} aria-hidden="true">
      {initial.toUpperCase()}
    </span>
  );
}

/** What stands where there is nothing else yet, under a title that is the screen's where there is no other. */
export function Empty({
  title,
  text,
  isScreen = false,
  children,
}: {
  title: string;
  text?: string;
  isScreen?: boolean;
  children?: ReactNode;
}) {
  const Title = isScreen ? "h1" : "p";
  return (
    <div className="empty">
      <Title className="empty-title">{title}</Title>
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}

export function Fault({ text }: { text: string | undefined }) {
  return (
    <p className="fault" role="alert">
      {text}
    </p>
  );
}

/** What went wrong with what is asked of the service, and a way to ask again. */
export function NotRead({ fault, again }: { fault: string | undefined; again: () => void }) {
  const { texts } = useI18n();
  return (
    fault && (
      <>
        <Fault text={fault} />
        <button type="button" className="link" onClick={again}>
          {texts.tryAgain}
        </button>
      </>
    )
  );
}

/** The end of a form that may be given up. */
export function Answers({
  action,
  isDisabled,
  error,
  onCancel,
}: {
  action: string;
  isDisabled: boolean;
  error: string | undefined;
  onCancel: () => void;
}) {
  const { texts } = useI18n();
  return (
    <>
      {error && <Fault text={error} />}
      <div className="buttons">
        <button type="button" className="button" onClick={onCancel}>
          {texts.cancel}
        </button>
        <button type="submit" className="button primary" disabled={isDisabled}>
          {action}
        </button>
      </div>
    </>
  );
}

/** The address of a picture, which has to begin with https. */
export function PictureField({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
}) {
  const { texts } = useI18n();
  const id = useId();
  const [isRefused, setIsRefused] = useState(false);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="url"
        pattern="[hH][tT][tT][pP][sS]://.+"
        value={value}
        onChange={({ target }) => {
          setIsRefused(false);
          onChange(target.value);
        }}
        onInvalid={(event) => {
          // In the person's language, and what is wrong with it.
          event.preventDefault();
          event.currentTarget.focus();
          setIsRefused(true);
        }}
        aria-invalid={isRefused}
        aria-describedby={`${id}-fault`}
        maxLength={512}
        placeholder="https://"
        dir="ltr"
      />
      <p id={`${id}-fault`} className="fault" role="alert">
        {isRefused && texts.fields.avatar_url}
      </p>
    </div>
  );
}

/** Grey lines in the place of what is on its way. */
export function Waiting({ rows }: { rows: number }) {
  const { texts } = useI18n();
  return (
    <div className="waiting" role="status" aria-label={texts.loading}>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="waiting-row" />
      ))}
    </div>
  );
}

/** What has to be answered before anything else. */
export function Dialog({
  title,
  children,
  onClose,
}: {
  title: string;
  children: ReactNode;
  /** Without it, it stays until it is answered. */
  onClose?: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // It is closed while it is still on the page: then the focus goes back to where it was.
  useLayoutEffect(() => {
    const { current } = dialog;
    current?.showModal();
    return () => current?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

/** A question before something that cannot be undone. */
export function Confirm({
  title,
  text,
  action,
  refusal,
  onAnswer,
}: {
  title: string;
  text: string;
  action: string;
  /** What is answered by who does not want it; else that they cancel. */
  refusal?: string | undefined;
  onAnswer: (isConfirmed: boolean) => void;
}) {
  const { texts } = useI18n();
  return (
    <Dialog title={title} onClose={() => onAnswer(false)}>
      <p>{text}</p>
      <div className="buttons">
        <button type="button" className="button" onClick={() => onAnswer(false)}>
          {refusal ?? texts.cancel}
        </button>
        <button type="button" className="button primary" onClick={() => onAnswer(true)}>
          {action}
        </button>
      </div>
    </Dialog>
  );
}

/** A form that is sent by the page itself: by its button, or by Enter in a field. */
export function Form({
  className,
  onSubmit,
  children,
}: {
  className: string;
  onSubmit: () => void;
  children: ReactNode;
}) {
  return (
    <form
      className={className}
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      {children}
    </form>
  );
}
