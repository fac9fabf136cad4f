// The conversations of the chat, kept in this browser: they outlive a change of the view and a reload.

const PREFIX = "glassmill-talk:";
const MAX_CHARACTERS = 400_000;

/** @import {Message} from "../lib/completion.js" */
/** @typedef {{talk: Message[], abort: AbortController | null, changed: () => void, subscribe: (listener: () => void) => () => void}} Conversation */

/** @type {Map<string, Conversation>} */
const open = new Map();

/** The conversation with the model of `run`. @param {string} run "" for a served model @returns {Conversation} */
export function conversationWith(run) {
  const known = open.get(run);
  if (known) return known;
  const talk = remembered(run);
  const listeners = new Set();
  let frame = 0;
  let unkept = false;
  const keep = () => {
    if (unkept) remember(run, talk); // another tab may have gone on with what this one only shows
    unkept = false;
  };
  const conversation = {
    talk,
    abort: null,
    changed() {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        unkept = true;
        for (const listener of listeners) listener();
        if (!talk.at(-1)?.busy) keep();
      });
    },
    subscribe(/** @type {() => void} */ listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  addEventListener("pagehide", keep);
  open.set(run, conversation);
  return conversation;
}

/** @param {string} run @returns {Message[]} */
function remembered(run) {
  try {
    const talk = JSON.parse(localStorage.getItem(PREFIX + run) ?? "[]");
    return Array.isArray(talk) ? talk.map((said) => (said.busy ? { ...said, busy: false, ended: "stopped", note: "stopped" } : said)) : [];
  } catch {
    return [];
  }
}

/** The newest messages, if there are too many to keep. @param {string} run @param {Message[]} talk */
function remember(run, talk) {
  let kept = talk;
  let text = JSON.stringify(kept);
  while (text.length > MAX_CHARACTERS && kept.length > 2) {
    kept = kept.slice(2);
    text = JSON.stringify(kept);
  }
  try {
    if (talk.length) localStorage.setItem(PREFIX + run, text);
    else localStorage.removeItem(PREFIX + run);
  } catch {
    // the browser keeps nothing, or no more: the conversation lasts as long as the page
  }
}
