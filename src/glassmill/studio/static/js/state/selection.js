// What the reader is looking at. Shared by all views: one sets it, any other may follow.

import { useEffect, useState } from "../lib/preact.js";

/**
 * A run, and inside it a document, a token of a text, a layer and a head of the model, a step of training; null where
 * nothing is chosen.
 * @typedef {{run: string | null, document: string | null, token: number | null, layer: number | null, head: number | null, step: number | null}} Selection
 */

/** @type {Selection} */
const NOTHING = { run: null, document: null, token: null, layer: null, head: null, step: null };
let selection = NOTHING;
/** @type {Set<() => void>} */
const listeners = new Set();

/** Choose something in `run`; what was chosen in another run is forgotten. @param {Partial<Selection> & {run: string | null}} change */
export function select(change) {
  selection = { ...(change.run === selection.run ? selection : NOTHING), ...change };
  for (const listener of listeners) listener();
}

/** @param {() => void} listener called after every change @returns {() => void} ends the subscription */
export function subscribe(listener) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** What is chosen in `run`. @param {string | null} run @returns {Selection} */
export function selected(run) {
  return run !== null && selection.run === run ? selection : NOTHING;
}

/** The same for a component, which is drawn again after every change. @param {string | null} run @returns {Selection} */
export function useSelection(run) {
  const [, redraw] = useState(0);
  useEffect(() => subscribe(() => redraw((n) => n + 1)), []);
  return selected(run);
}
