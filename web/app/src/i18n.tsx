/** What the app says, in the person's language. */

import { createContext, type ReactNode, use, useCallback, useLayoutEffect, useMemo, useState } from "react";
import { ar } from "./texts/ar.ts";
import { en, type Texts } from "./texts/en.ts";

const LANGUAGES = { en, ar } as const;

export type Language = keyof typeof LANGUAGES;

export const LANGUAGE_NAMES: Record<Language, string> = { en: "English", ar: "العربية" };

const KEPT = "chat-language";

/** Texts, and how dates and numbers are written. */
export interface I18n {
  readonly language: Language;
  readonly texts: Texts;
  readonly time: Intl.DateTimeFormat;
  readonly day: Intl.DateTimeFormat;
  readonly full: Intl.DateTimeFormat;
  readonly number: Intl.NumberFormat;
  readonly list: Intl.ListFormat;
  readonly setLanguage: (language: Language) => void;
}

function isLanguage(language: string | null | undefined): language is Language {
  return language !== null && language !== undefined && language in LANGUAGES;
}

function preferred(): Language {
  const wishes = [localStorage.getItem(KEPT), ...navigator.languages.map((tag) => tag.split("-")[0])];
  return wishes.find(isLanguage) ?? "en";
}

function i18nOf(language: Language, setLanguage: (language: Language) => void): I18n {
  // Of several regions of a language the browser knows which is the person's.
  const tag = navigator.languages.find((wish) => wish.split("-")[0] === language) ?? language;
  return {
    language,
    texts: LANGUAGES[language],
    time: new Intl.DateTimeFormat(tag, { timeStyle: "short" }),
    day: new Intl.DateTimeFormat(tag, { weekday: "long", day: "numeric", month: "long" }),
    full: new Intl.DateTimeFormat(tag, { dateStyle: "full", timeStyle: "short" }),
    number: new Intl.NumberFormat(tag),
    list: new Intl.ListFormat(tag),
    setLanguage,
  };
}

const I18nContext = createContext<I18n | undefined>(undefined);

export function I18nProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(preferred);
  const choose = useCallback((chosen: Language) => {
    localStorage.setItem(KEPT, chosen);
    setLanguage(chosen);
  }, []);
  useLayoutEffect(() => {
    document.documentElement.lang = language;
    document.documentElement.dir = LANGUAGES[language].direction;
  }, [language]);
  const i18n = useMemo(() => i18nOf(language, choose), [language, choose]);
  return <I18nContext value={i18n}>{children}</I18nContext>;
}

export function useI18n(): I18n {
  const i18n = use(I18nContext);
  if (!i18n) {
    throw new Error("there is no I18nProvider above");
  }
  return i18n;
}
