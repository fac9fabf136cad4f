// What the reader is looking at. Shared by all views: one sets it, any other may follow. It is kept in the address.

import { change, here, usePlace } from "./address.js";

/**
 * A run, and inside it a document, a token of a text, a layer and a head of the model, a step of training; null where
 * nothing is chosen.
 * @typedef {{run: string | null, document: string | null, token: number | null, layer: number | null, head: number | null, step: number | null}} Selection
 */

/** @type {Selection} */
const NOTHING = { run: null, document: null, token: null, layer: null, head: null, step: null };

/** Choose something in `run`, a stage's run such as "train/demo-3f9a1c"; what was chosen in another run is forgotten.
 * @param {Partial<Selection> & {run: string | null}} choice */
export function select(choice) {
  const { run, ...rest } = { ...selected(choice.run), ...choice };
  change({ of: run, ...rest }, true);
}

/** What is chosen in `run`. @param {string | null} run @returns {Selection} */
export function selected(run) {
  const { query } = here();
  if (run === null || query.get("of") !== run) return NOTHING;
  return { run, document: query.get("document"), token: number("token"), layer: number("layer"), head: number("head"), step: number("step") };

  /** @param {string} name */
  function number(name) {
    const text = query.get(name);
    return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
  }
}

/** The same for a component, which is drawn again after every change. @param {string | null} run @returns {Selection} */
export function useSelection(run) {
  usePlace();
  return selected(run);
}
