/** Says to screen readers what happens elsewhere on the screen. */

import { createContext, type ReactNode, use, useCallback, useState } from "react";

const AnnounceContext = createContext<(text: string) => void>(() => undefined);

export function useAnnounce(): (text: string) => void {
  return use(AnnounceContext);
}

export function Announcer({ children }: { children: ReactNode }) {
  const [said, setSaid] = useState({ text: "", turn: 0 });
  const announce = useCallback((text: string) => setSaid(({ turn }) => ({ text, turn: turn + 1 })), []);
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
    </AnnounceContext>
  );
}
