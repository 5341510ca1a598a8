/** Tells of new messages that the person does not look at: by the system while the page is in the background. */

import { useEffect } from "react";
import { useChat } from "./chat.tsx";
import { go, parse } from "./router.ts";

const KEPT = "chat-notifications";

export function notificationsAreOn(): boolean {
  return "Notification" in window && Notification.permission === "granted" && localStorage.getItem(KEPT) === "on";
}

export async function turnNotifications(isOn: boolean): Promise<void> {
  localStorage.setItem(KEPT, isOn ? "on" : "off");
  if (isOn) {
    await Notification.requestPermission();
  }
}

export function Notifier() {
  const { client } = useChat();
  useEffect(
    () =>
      client.onMessage((message) => {
        const route = parse(location.pathname);
        const isLookedAt = document.hasFocus() && route.kind === "conversation" && route.id === message.conversationId;
        if (isLookedAt || !notificationsAreOn()) {
          return;
        }
        const name = client.profile(message.senderId).getSnapshot()?.displayName ?? message.senderId;
        const notification = new Notification(name, {
          body: message.text.slice(0, 140),
          icon: "/icon.svg",
          // Of several tabs, each tells; the system shows one of the same tag.
          tag: message.messageId,
        });
        notification.onclick = () => {
          window.focus();
          go({ kind: "conversation", id: message.conversationId, messageId: undefined });
          notification.close();
        };
      }),
    [client],
  );
  return undefined;
}
