// Whether there is a model to talk to.

import { useEffect, useState } from "../lib/preact.js";
import { getJson } from "../lib/api.js";

const LOOK_MS = 1500;

/**
 * `{state, name, text, questions}` as the server tells it, asked again until the model is there; null before the first answer.
 * @param {string} line
 * @param {string | null} path where the line says its model lies; a new one is asked for anew
 * @param {boolean} wanted
 */
export function useModel(line, path, wanted) {
  const [model, setModel] = useState(/** @type {any} */ (null));
  useEffect(() => {
    setModel(null);
    if (!wanted) return;
    let timer = 0;
    let stopped = false;
    const look = async () => {
      const answer = await getJson(`/api/chat?line=${encodeURIComponent(line)}`).catch(() => null);
      if (stopped) return;
      if (answer) setModel(answer);
      if (!["ready", "failed"].includes(answer?.state)) timer = setTimeout(look, LOOK_MS);
    };
    look();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [line, path, wanted]);
  return model;
}
