// The command palette (Ctrl-K): views, runs and actions by name, pages by URL or text, a question to the model.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./lib/preact.js";
import { address, go } from "./state/address.js";
import { nextTheme } from "./state/theme.js";
import { STATUS_WORDS } from "./state/words.js";

/** @import {Status} from "./state/store.js" */
/** @import {Shown} from "./views.js" */
/** @typedef {{kind: string, title: string, act: () => void}} Entry */

const SHORTEST_SEARCH = 2;

/** @param {{views: Shown[], lines: {name: string, status: Status}[], about: any, close: () => void}} props */
export function Palette({ views, lines, about, close }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [words, setWords] = useState("");
  const [at, setAt] = useState(0);
  const entries = useMemo(() => found(words.trim(), views, lines), [words, views.length, lines.length]);
  const chosen = Math.min(at, entries.length - 1);
  useLayoutEffect(() => {
    dialog.current?.showModal(); // before the next key
  }, []);
  useEffect(() => {
    document.getElementById(`found-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const take = (/** @type {Entry | undefined} */ entry) => {
    dialog.current?.close();
    entry?.act();
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    const step = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1 })[event.key];
    if (step) setAt((chosen + step + entries.length) % entries.length);
    else if (event.key === "Enter" && !event.isComposing) take(entries[chosen]);
    else return;
    event.preventDefault();
  };
  return html`<dialog class="palette" ref=${dialog} aria-label="Find" onClose=${close} onClick=${(e) => e.target === dialog.current && dialog.current?.close()}>
    <input type="text" role="combobox" aria-expanded="true" aria-controls="found" aria-activedescendant=${entries.length ? `found-${chosen}` : undefined} aria-label="Find a view, a run, a page or an action"
      placeholder=${about.runs ? "A view, a run, a URL, a question …" : "A view, a question …"} maxlength="300" autocomplete="off" autofocus value=${words} onKeyDown=${key} onInput=${(e) => (setWords(e.target.value), setAt(0))} />
    <ul id="found" role="listbox" aria-label="Found">
      ${entries.map((entry, i) => html`<li key=${`${entry.kind} ${entry.title}`} id=${`found-${i}`} role="option" aria-selected=${i === chosen} onClick=${() => take(entry)} onMouseMove=${() => i !== chosen && setAt(i)}>
        <span class="found-title">${entry.title}</span> <span class="found-kind">${entry.kind}</span></li>`)}
    </ul>
  </dialog>`;
}

/** What fits the words: those that begin with them first. @param {string} words @param {Shown[]} views @param {{name: string, status: Status}[]} lines @returns {Entry[]} */
function found(words, views, lines) {
  const to = (/** @type {string} */ where) => () => go(where);
  const all = [
    ...views.map((view) => ({ kind: "view", title: view.title, act: to(address(view.id)) })),
    ...lines.map((line) => ({ kind: `run, ${STATUS_WORDS[line.status] ?? line.status}`, title: line.name, act: to(address("home", {}, line.name)) })),
    { kind: "action", title: "Change the theme", act: nextTheme },
    { kind: "action", title: "Copy the address of this view", act: () => void navigator.clipboard?.writeText(location.href).catch(() => {}) },
  ];
  const wanted = words.toLowerCase();
  const place = (/** @type {Entry} */ entry) => entry.title.toLowerCase().indexOf(wanted);
  const fitting = all.filter((entry) => place(entry) >= 0).sort((a, b) => Math.min(place(a), 1) - Math.min(place(b), 1));
  const has = (/** @type {string} */ id) => views.some((view) => view.id === id);
  if (words.length >= SHORTEST_SEARCH && has("documents")) fitting.push({ kind: "documents", title: `Find pages with “${words}”`, act: to(address("documents", { find: words, page: null })) });
  if (words.length >= SHORTEST_SEARCH && has("chat")) fitting.push({ kind: "chat", title: `Ask “${words}”`, act: to(address("chat", { ask: words })) });
  return fitting;
}
