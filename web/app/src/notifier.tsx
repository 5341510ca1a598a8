/** Tells of new messages that the person does not look at: by the system while the page is in the background. */

import { useEffect } from "react";
import { useAnnounce } from "./announcer.tsx";
import { useChat } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
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
        const { conversation } = client.messages(message.conversationId).getSnapshot();
        const isMuted = (conversation?.settings.mutedUntil ?? 0) > Date.now();
        if (isLookedAt || isMuted || !notificationsAreOn()) {
          return;
        }
        const sender = client.profile(message.senderId).getSnapshot()?.displayName ?? message.senderId;
        const group = conversation?.group;
        const name = group ? `${sender} · ${group.name}` : sender;
        // Of several tabs, each tells; the system shows one of the same tag. Phones show those of service workers alone.
        const options = {
          body: message.excerpt,
          icon: "/icon.svg",
          tag: message.messageId,
          data: message.conversationId,
        };
        navigator.serviceWorker?.ready.then((worker) => worker.showNotification(name, options)).catch(() => undefined);
      }),
    [client],
  );
  useEffect(() => {
    const open = ({ data }: MessageEvent) => {
      if (typeof data?.openConversation === "string") {
        go({ kind: "conversation", id: data.openConversation });
      }
    };
    navigator.serviceWorker?.addEventListener("message", open);
    return () => navigator.serviceWorker?.removeEventListener("message", open);
  }, []);
  return undefined;
}

/** Says who asks to join, wherever in the app the person is. */
export function JoinNotices() {
  const { texts } = useI18n();
  const { client } = useChat();
  const announce = useAnnounce();
  useEffect(
    () =>
      client.onJoinRequest(async ({ conversationId, userId }) => {
        const [profile] = await client.readProfiles([userId]).catch(() => []);
        const { group } = client.messages(conversationId).getSnapshot().conversation ?? {};
        announce(texts.asksToJoin(profile?.displayName ?? userId, group?.name ?? ""), { isShown: true });
      }),
    [client, announce, texts],
  );
  return undefined;
}
