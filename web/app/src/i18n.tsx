/** What the app says, in the person's language. */

import { createContext, type ReactNode, use, useCallback, useLayoutEffect, useMemo, useState } from "react";
import type { Texts } from "./texts/en.ts";

/** Each is loaded once it is spoken. */
const LANGUAGES = {
  en: () => import("./texts/en.ts").then(({ en }) => en),
  ar: () => import("./texts/ar.ts").then(({ ar }) => ar),
} as const satisfies Record<string, () => Promise<Texts>>;

export type Language = keyof typeof LANGUAGES;

export const LANGUAGE_NAMES: Record<Language, string> = { en: "English", ar: "العربية" };

const KEPT = "chat-language";

/** A language, with all that is said in it. */
export interface Spoken {
  readonly language: Language;
  readonly texts: Texts;
}

/** Texts, and how dates and numbers are written. */
export interface I18n extends Spoken {
  readonly time: Intl.DateTimeFormat;
  readonly day: Intl.DateTimeFormat;
  readonly moment: Intl.DateTimeFormat;
  readonly full: Intl.DateTimeFormat;
  readonly number: Intl.NumberFormat;
  readonly list: Intl.ListFormat;
  /** Answers once it is spoken. */
  readonly setLanguage: (language: Language) => Promise<void>;
}

function isLanguage(language: string | null | undefined): language is Language {
  return language !== null && language !== undefined && language in LANGUAGES;
}

function preferred(): Language {
  const wishes = [localStorage.getItem(KEPT), ...navigator.languages.map((tag) => tag.split("-")[0])];
  return wishes.find(isLanguage) ?? "en";
}

/** Loads what the app says, in the language that the person wants. */
export async function speak(language = preferred()): Promise<Spoken> {
  return { language, texts: await LANGUAGES[language]() };
}

function i18nOf({ language, texts }: Spoken, setLanguage: I18n["setLanguage"]): I18n {
  // Of several regions of a language the browser knows which is the person's.
  const tag = navigator.languages.find((wish) => wish.split("-")[0] === language) ?? language;
  return {
    language,
    texts,
    time: new Intl.DateTimeFormat(tag, { timeStyle: "short" }),
    day: new Intl.DateTimeFormat(tag, { weekday: "long", day: "numeric", month: "long" }),
    moment: new Intl.DateTimeFormat(tag, { dateStyle: "medium", timeStyle: "short" }),
    full: new Intl.DateTimeFormat(tag, { dateStyle: "full", timeStyle: "short" }),
    number: new Intl.NumberFormat(tag),
    list: new Intl.ListFormat(tag),
    setLanguage,
  };
}

const I18nContext = createContext<I18n | undefined>(undefined);

export function I18nProvider({ first, children }: { first: Spoken; children: ReactNode }) {
  const [spoken, setSpoken] = useState(first);
  const choose = useCallback(async (chosen: Language) => {
    const next = await speak(chosen);
    localStorage.setItem(KEPT, chosen);
    setSpoken(next);
  }, []);
  useLayoutEffect(() => {
    document.documentElement.lang = spoken.language;
    document.documentElement.dir = spoken.texts.direction;
  }, [spoken]);
  const i18n = useMemo(() => i18nOf(spoken, choose), [spoken, choose]);
  return <I18nContext value={i18n}>{children}</I18nContext>;
}

export function useI18n(): I18n {
  const i18n = use(I18nContext);
  if (!i18n) {
    throw new Error("there is no I18nProvider above");
  }
  return i18n;
}
