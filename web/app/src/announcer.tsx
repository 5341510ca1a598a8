/** Says to screen readers what happens elsewhere on the screen. */

import { createContext, type ReactNode, use, useCallback, useEffect, useState } from "react";
import { useI18n } from "./i18n.tsx";

/** Says something; with `isShown` it can be seen as well, for a moment. */
type Announce = (text: string, options?: { readonly isShown?: boolean }) => void;

const AnnounceContext = createContext<Announce>(() => undefined);

/** How long a notice can be seen, in milliseconds. */
const SHOWN_FOR = 3_000;

export function useAnnounce(): Announce {
  return use(AnnounceContext);
}

/** Copies a text, and says so. */
export function useCopy(): (text: string) => void {
  const { texts } = useI18n();
  const announce = useAnnounce();
  return (text) => {
    navigator.clipboard.writeText(text).then(
      () => announce(texts.copied, { isShown: true }),
      () => announce(texts.errors.other, { isShown: true }),
    );
  };
}

export function Announcer({ children }: { children: ReactNode }) {
  const [said, setSaid] = useState({ text: "", turn: 0 });
  const [shown, setShown] = useState({ text: "" });
  const announce = useCallback<Announce>((text, { isShown = false } = {}) => {
    setSaid(({ turn }) => ({ text, turn: turn + 1 }));
    if (isShown) {
      setShown({ text });
    }
  }, []);
  useEffect(() => {
    if (shown.text) {
      const timer = setTimeout(() => setShown({ text: "" }), SHOWN_FOR);
      return () => clearTimeout(timer);
    }
    return undefined;
  }, [shown]);
  return (
    <AnnounceContext value={announce}>
      {children}
      {/* In turns, so that the same text said twice is heard twice. */}
      <div className="for-readers" aria-live="polite">
        {said.turn % 2 === 0 && said.text}
      </div>
      <div className="for-readers" aria-live="polite">
        {said.turn % 2 === 1 && said.text}
      </div>
      {shown.text && (
        <p className="notice" aria-hidden="true">
          {shown.text}
        </p>
      )}
    </AnnounceContext>
  );
}
