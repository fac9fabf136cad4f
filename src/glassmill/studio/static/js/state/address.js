// Where the reader is: the view, the run, and what is chosen in it. All of it is in the page's address and nowhere else,
// so that a link can be shared, and back, forward and reload work.
//
//     #/run/demo/documents?open=language      a view of a run
//     #/documents?open=language               the same of the newest run
//     #/runs?with=demo                        a view that belongs to no run

import { useEffect, useState } from "../lib/preact.js";

/** @typedef {{run: string | null, view: string, query: URLSearchParams}} Place */
/** @typedef {Record<string, string | number | null | undefined>} Values an empty or missing one leaves the address */

const FIRST = "home";
/** What goes along from view to view; see selection.js. */
const SHARED = ["of", "document", "token", "layer", "head", "step"];
/** @type {Set<() => void>} */
const listeners = new Set();
const tell = () => listeners.forEach((listener) => listener());
addEventListener("hashchange", tell);
addEventListener("popstate", tell);

/** @returns {Place} */
export function here() {
  const hash = location.hash.replace(/^#\/?/, "");
  const at = hash.indexOf("?");
  const parts = (at < 0 ? hash : hash.slice(0, at)).split("/").filter(Boolean).map(decoded);
  const [run, view] = parts[0] === "run" ? [parts[1] ?? null, parts[2]] : [null, parts[0]];
  return { run, view: view ?? FIRST, query: new URLSearchParams(at < 0 ? "" : hash.slice(at + 1)) };
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // typed by hand
  }
}

/** The address of a view; what is chosen goes along within a run.
 * @param {string} view @param {Values} [values] @param {string | null} [run] the run on the page by default */
export function address(view, values = {}, run = here().run) {
  const place = here();
  const kept = run === place.run ? [...place.query].filter(([name]) => SHARED.includes(name)) : [];
  return written({ run, view, query: new URLSearchParams(kept) }, values);
}

/** @param {Place} place @param {Values} values */
function written({ run, view, query }, values) {
  for (const [name, value] of Object.entries(values)) {
    if (value == null || value === "") query.delete(name);
    else query.set(name, String(value));
  }
  const search = query.toString();
  return `#/${run === null ? "" : `run/${encodeURIComponent(run)}/`}${encodeURIComponent(view)}${search && `?${search}`}`;
}

/** Go to an address of this page. @param {string} to @param {boolean} [instead] of the one that is left, which "back" then skips */
export function go(to, instead = false) {
  if (to === location.hash) return;
  history[instead ? "replaceState" : "pushState"](null, "", to);
  tell();
}

/** Change something in the address of this view. @param {Values} values @param {boolean} [instead] as in `go` */
export function change(values, instead = false) {
  go(written(here(), values), instead);
}

/** @param {() => void} listener called after every change @returns {() => void} ends the subscription */
export function subscribe(listener) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Where the reader is, for a component, which is drawn again after every change. @returns {Place} */
export function usePlace() {
  const [, redraw] = useState(0);
  useEffect(() => subscribe(() => redraw((n) => n + 1)), []);
  return here();
}
