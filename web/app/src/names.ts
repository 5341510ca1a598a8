/** What several people are called. */

import { useCallback, useMemo, useSyncExternalStore } from "react";
import { useChat } from "./chat.tsx";

/** Answers what each of these users is called: as they say, or by their id. */
export function useNames(userIds: readonly string[]): (userId: string) => string {
  const { client } = useChat();
  const key = userIds.join("\n");
  const profiles = useMemo(() => key.split("\n").map((userId) => client.profile(userId)), [client, key]);
  const subscribe = useCallback(
    (changed: () => void) => {
      const ends = profiles.map((profile) => profile.subscribe(changed));
      return () => {
        for (const end of ends) {
          end();
        }
      };
    },
    [profiles],
  );
  // A text, so that it is the same as long as the names are.
  const names = useSyncExternalStore(subscribe, () =>
    JSON.stringify(profiles.map((profile) => profile.getSnapshot()?.displayName ?? null)),
  );
  return useMemo(() => {
    const known = JSON.parse(names) as readonly (string | null)[];
    const ids = key.split("\n");
    return (userId) => known[ids.indexOf(userId)] ?? userId;
  }, [names, key]);
}
