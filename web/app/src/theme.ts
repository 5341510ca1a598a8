/** Light, dark, or as the system says. */

export type Theme = "system" | "light" | "dark";

const KEPT = "chat-theme";

export function theme(): Theme {
  const kept = localStorage.getItem(KEPT);
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function applyTheme(chosen = theme()): void {
  localStorage.setItem(KEPT, chosen);
  document.documentElement.dataset.theme = chosen;
}
