/** Where in the app one is: the address, so that back, reload and links work. */

import { useSyncExternalStore } from "react";

export type Route =
  | { readonly kind: "chats" }
  | { readonly kind: "people" }
  | { readonly kind: "settings" }
  | { readonly kind: "join"; readonly token: string }
  | {
      readonly kind: "conversation";
      readonly id: string;
      readonly messageId?: string | undefined;
      /** Whether what it is, and who is in it, stands beside it. */
      readonly hasDetails?: boolean;
    };

export function parse(path: string): Route {
  const [, first, id, third, messageId] = path.split("/");
  if (first === "c" && id) {
    // Ids are UUIDs: nothing in them is encoded.
    return {
      kind: "conversation",
      id,
      messageId: third === "m" && messageId ? messageId : undefined,
      hasDetails: third === "details",
    };
  }
  if (first === "join" && id) {
    return { kind: "join", token: id };
  }
  if (first === "people" || first === "settings") {
    return { kind: first };
  }
  return { kind: "chats" };
}

export function pathOf(route: Route): string {
  switch (route.kind) {
    case "chats":
      return "/";
    case "conversation":
      if (route.hasDetails) {
        return `/c/${route.id}/details`;
      }
      return `/c/${route.id}${route.messageId ? `/m/${route.messageId}` : ""}`;
    case "join":
      return `/join/${route.token}`;
    default:
      return `/${route.kind}`;
  }
}

const listeners = new Set<() => void>();

function tell(): void {
  for (const listener of listeners) {
    listener();
  }
}

addEventListener("popstate", tell);

export function go(route: Route, { isReplaced = false } = {}): void {
  const path = pathOf(route);
  if (path !== location.pathname || isReplaced) {
    history[isReplaced ? "replaceState" : "pushState"](null, "", path);
    tell();
  }
}

export function usePath(): string {
  return useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    () => location.pathname,
  );
}
