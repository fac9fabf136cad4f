// Light, dark, or as the system has it ("auto"); lib/theme.js sets the chosen one before the first paint.

import { useEffect, useState } from "../lib/preact.js";

const THEMES = ["auto", "light", "dark"];
const current = () => document.documentElement.dataset.theme ?? "auto";

export function nextTheme() {
  const chosen = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  localStorage.setItem("glassmill-theme", chosen);
  dispatchEvent(new Event("themechange"));
}

/** The chosen theme, for a component. */
export function useTheme() {
  const [theme, setTheme] = useState(current());
  useEffect(() => {
    const look = () => setTheme(current());
    addEventListener("themechange", look);
    return () => removeEventListener("themechange", look);
  }, []);
  return theme;
}
