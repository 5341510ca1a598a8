/** The person's chat, for all that is shown. */

import { type ChatClient, ChatError, type ConversationState, type Profile } from "chat-client";
import { useStore } from "chat-client/react";
import { createContext, use, useCallback, useEffect, useState } from "react";
import { useI18n } from "./i18n.tsx";
import type { Texts } from "./texts/en.ts";

export interface Chat {
  readonly client: ChatClient;
  readonly userId: string;
  readonly signOut: () => void;
  /** Answers once, when the person is no longer signed in: whether that was wanted. */
  readonly ended: Promise<boolean>;
}

export const ChatContext = createContext<Chat | undefined>(undefined);

export function useChat(): Chat {
  const chat = use(ChatContext);
  if (!chat) {
    throw new Error("nobody is signed in");
  }
  return chat;
}

export function useProfile(userId: string): Profile | undefined {
  return useStore(useChat().client.profile(userId));
}

/** What a user is called: as they say, or by their id. */
export function useName(userId: string): string {
  return useProfile(userId)?.displayName ?? userId;
}

/** The other one of a direct conversation. */
export function otherOf(conversation: ConversationState, userId: string): string {
  return conversation.memberIds.find((member) => member !== userId) ?? userId;
}

/** What went wrong, for the person. */
export function explain(cause: unknown, texts: Texts): string {
  const { errors, fields } = texts;
  const error = cause instanceof ChatError ? cause : undefined;
  if (error?.reason && error.reason in errors) {
    return errors[error.reason as keyof typeof errors];
  }
  if (error?.violations[0]) {
    // What the service says of a field is in English, and for programmers.
    const told = error.violations.map(({ field }) =>
      field in fields ? fields[field as keyof typeof fields] : errors.other,
    );
    return [...new Set(told)].join(" ");
  }
  return error?.isTransient ? errors.unavailable : errors.other;
}

/** Something that a person has started: whether it is under way, and what went wrong. */
export function useAction<A extends unknown[]>(action: (...args: A) => Promise<unknown>) {
  const { texts } = useI18n();
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<string>();
  const run = async (...args: A) => {
    setIsBusy(true);
    setError(undefined);
    try {
      await action(...args);
    } catch (cause) {
      setError(explain(cause, texts));
    } finally {
      setIsBusy(false);
    }
  };
  return { run, isBusy, error };
}

/**
 * What the service answers but does not tell of: it is asked now, whenever `version` is another one, and when somebody says so.
 * `take` is for what else it has answered.
 */
export function useAsked<T>(ask: () => Promise<T>, version = 0) {
  const { texts } = useI18n();
  const { connection } = useStore(useChat().client.status);
  const [answer, setAnswer] = useState<T>();
  const [failure, setFailure] = useState<unknown>();
  const [turn, setTurn] = useState(0);
  const take = useCallback((now: T) => {
    setAnswer(now);
    setFailure(undefined);
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: all of them are reasons to ask again
  useEffect(() => {
    let isOver = false;
    ask().then(
      (now) => !isOver && take(now),
      (cause) => !isOver && setFailure(cause),
    );
    return () => {
      isOver = true;
    };
  }, [ask, version, turn, connection]);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  return { answer, take, fault: failure === undefined ? undefined : explain(failure, texts), again };
}
