/** The running service that tests talk to: `CHAT_URL` names it. */

import { ChatClient, type ChatClientOptions } from "../src/index.ts";

export const URL_OF_SERVICE = process.env.CHAT_URL ?? "http://127.0.0.1:8080";

let counter = 0;

/** A user that no other test has. */
export function newUser(name: string): string {
  counter += 1;
  return `${name}-${process.pid}-${Date.now().toString(36)}-${counter}`;
}

export async function tokenOf(user: string): Promise<string> {
  const response = await fetch(`${URL_OF_SERVICE}/dev/token?user=${encodeURIComponent(user)}`);
  if (!response.ok) {
    throw new Error(`no token for ${user}: ${await response.text()}`);
  }
  return (await response.text()).trim();
}

export function clientOf(user: string, options: Partial<ChatClientOptions> = {}): ChatClient {
  return new ChatClient({ url: URL_OF_SERVICE, token: () => tokenOf(user), storage: false, ...options });
}

/** Two friends, and the conversation that they opened. */
export async function friends(one: ChatClient, other: ChatClient, names: [string, string]): Promise<string> {
  await one.requestFriend(names[1]);
  await other.acceptFriendRequest(names[0]);
  return one.openDirectConversation(names[1]);
}
