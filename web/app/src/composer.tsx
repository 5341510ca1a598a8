/** Where one writes. */

import type { Message } from "chat-client";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useChat } from "./chat.tsx";
import { useI18n } from "./i18n.tsx";
import { Form, IconButton, Name } from "./parts.tsx";

/** Characters of a message, at most, as the service counts them. */
const TEXT_MAX = 4_000;

/** What was begun and not sent is kept on the device, under this and the user and conversation. */
const DRAFTS = "chat-draft:";

function keepDraft(draft: string, text: string): void {
  try {
    if (text) {
      localStorage.setItem(draft, text);
    } else {
      localStorage.removeItem(draft);
    }
  } catch {
    // A device that is full keeps no more.
  }
}

/** Leaves nothing of what this person began to whoever comes next. */
export function forgetDrafts(userId: string): void {
  for (const key of Object.keys(localStorage)) {
    // Of user ids, one may begin as another one does.
    if (key.slice(0, key.lastIndexOf("/")) === `${DRAFTS}${userId}`) {
      localStorage.removeItem(key);
    }
  }
}

export function Composer({
  conversationId,
  placeholder,
  replyTo,
  onReplyEnd,
  onSent,
}: {
  conversationId: string;
  placeholder: string;
  replyTo: Message | undefined;
  onReplyEnd: () => void;
  onSent: () => void;
}) {
  const { texts, number } = useI18n();
  const { client, userId } = useChat();
  const draft = `${DRAFTS}${userId}/${conversationId}`;
  const [text, setText] = useState(() => localStorage.getItem(draft) ?? "");
  const input = useRef<HTMLTextAreaElement>(null);
  const excess = [...text].length - TEXT_MAX;
  const canSend = text.trim() !== "" && excess <= 0;

  const write = (written: string) => {
    setText(written);
    keepDraft(draft, written);
  };
  useEffect(() => {
    // On a screen that one touches, the keyboard would cover what was said.
    if (replyTo || matchMedia("(hover: hover)").matches) {
      input.current?.focus();
    }
  }, [replyTo]);

  const send = () => {
    if (!canSend) {
      return;
    }
    const written = text;
    setText("");
    onReplyEnd();
    onSent();
    const sent = replyTo
      ? client.reply(conversationId, replyTo.messageId, written)
      : client.send(conversationId, written);
    // It is in the list at once; whatever becomes of it is shown there. Until it is kept there, it is kept here.
    sent.then(
      () => localStorage.getItem(draft) === written && keepDraft(draft, ""),
      () => write(written),
    );
  };
  const keys = (event: KeyboardEvent) => {
    // While a word is being put together, Enter ends the word.
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && replyTo) {
      event.preventDefault();
      onReplyEnd();
    }
  };
  return (
    <Form className="composer" onSubmit={send}>
      {replyTo && (
        <div className="replying">
          <span className="quote">
            <Name userId={replyTo.senderId} />
            <span className="excerpt" dir="auto">
              {replyTo.text.slice(0, 140)}
            </span>
          </span>
          <IconButton icon="close" label={texts.cancelReply} onClick={onReplyEnd} />
        </div>
      )}
      <div className="writing">
        <textarea
          ref={input}
          value={text}
          onChange={(event) => write(event.target.value)}
          onKeyDown={keys}
          rows={1}
          dir="auto"
          aria-label={texts.write}
          aria-invalid={excess > 0}
          aria-describedby="too-long"
          placeholder={placeholder}
          enterKeyHint="send"
        />
        <IconButton icon="send" label={texts.send} type="submit" disabled={!canSend} />
      </div>
      <p id="too-long" className="fault" role="status">
        {excess > 0 && texts.tooLong(number.format(excess))}
      </p>
    </Form>
  );
}
