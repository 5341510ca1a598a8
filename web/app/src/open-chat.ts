/** How a person's chat begins and ends. */

import { ChatClient } from "chat-client";
import { type Auth, type Session, SignedOut } from "./auth.ts";
import type { Chat } from "./chat.tsx";
import { forgetDrafts } from "./composer.tsx";
import type { Config } from "./config.ts";
import { notificationsAreOn } from "./notifier.tsx";

/** How long a page may be hidden before it lets its connection go, in milliseconds. */
const HIDDEN_FOR = 300_000;

/** Opens a person's chat. What the device has kept is being read from here on, whatever is shown meanwhile. */
export function openChat(auth: Auth, config: Config, session: Session): Chat {
  let end: (isWanted: boolean) => void = () => {};
  const ended = new Promise<boolean>((resolve) => {
    end = resolve;
  });
  const client = new ChatClient({
    url: config.serviceUrl,
    userId: session.userId,
    // Who wants to be notified is, for as long as the page is open.
    hiddenFor: () => (notificationsAreOn() ? Number.POSITIVE_INFINITY : HIDDEN_FOR),
    token: async (refused) => {
      try {
        return await auth.token(refused);
      } catch (cause) {
        if (cause instanceof SignedOut) {
          client.stop();
          end(false);
        }
        throw cause;
      }
    },
  });
  const signOut = () => {
    client.stop({ forget: true }).finally(() => {
      forgetDrafts(session.userId);
      end(true);
    });
  };
  auth.onSignedOut(signOut);
  return { client, userId: session.userId, signOut, ended };
}
