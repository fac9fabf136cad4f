// The conversations of the chat, kept in this browser: they outlive a change of the view and a reload.
//
// A conversation is a tree, for a question may be edited and an answer tried again. Its messages stand in the order in
// which they were begun, each with the place of the one before it; the talk on the screen is the path that ends `at` one.

import { message } from "../lib/completion.js";

const TALK = "glassmill-talk:";
const LIST = "glassmill-talks:";
const OPEN = "glassmill-talk-open:";
const MAX_CHARACTERS = 400_000;
const TITLE_CHARACTERS = 60;

/** @import {How, Message} from "../lib/completion.js" */
/** `title`: "" until one is given. @typedef {{id: string, title: string, first: string}} Entry of the list; `first`: the first question */
/** @typedef {{said: Message[], at: number, how: How}} Kept */

/** One conversation, with whoever draws it. */
export class Conversation {
  /** @type {Message[]} */
  said = [];
  at = -1;
  /** @type {How} */
  how = { temperature: 0 };
  /** @type {AbortController | null} */
  abort = null;
  /** Whether this browser had no room for it. */
  unkept = false;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  #frame = 0;
  #dirty = false;

  /** @param {string} run @param {string} id */
  constructor(run, id) {
    this.run = run;
    this.id = id;
    Object.assign(this, remembered(run, id));
    addEventListener("pagehide", () => this.keep());
  }

  /** What is on the screen. @returns {Message[]} */
  get talk() {
    const path = [];
    for (let i = this.at; i >= 0; i = this.said[i].up) path.unshift(this.said[i]);
    return path;
  }

  /** A new message behind another one, or behind the talk. @param {Message} said @param {number} [up] */
  add(said, up = this.at) {
    this.at = this.said.push({ ...said, up }) - 1;
    return this.said[this.at];
  }

  /** Every version of a message, itself among them. @param {Message} said */
  versions(said) {
    return this.said.filter((one) => one.up === said.up && !one.failed);
  }

  /** Another version, with what followed it last. @param {Message} said */
  show(said) {
    let at = this.said.indexOf(said);
    for (let next = at; next >= 0; next = this.said.findLastIndex((one) => one.up === at)) at = next;
    this.at = at;
    this.changed();
  }

  changed() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#dirty = true;
      for (const listener of this.#listeners) listener();
      if (!this.said[this.at]?.busy) this.keep();
    });
  }

  keep() {
    if (!this.#dirty) return; // another tab may have gone on with what this one only shows
    this.#dirty = false;
    this.unkept = !remember(this);
  }

  /** @param {() => void} listener @returns {() => void} ends the subscription */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** @type {Map<string, Conversation>} */
const loaded = new Map();
/** Which one this tab has open; another tab may have another. @type {Map<string, string | null>} */
const opened = new Map();

/** The conversation that is open with the model of `run`. @param {string} run "" for a served model */
export function conversationWith(run) {
  const list = conversations(run);
  if (!opened.has(run)) opened.set(run, read(OPEN + run));
  const id = (list.find((entry) => entry.id === opened.get(run)) ?? list[0]).id;
  opened.set(run, id);
  const key = `${run}\n${id}`;
  const found = loaded.get(key) ?? new Conversation(run, id);
  loaded.set(key, found);
  return found;
}

/** All that are kept, the newest first. @param {string} run @returns {Entry[]} */
export function conversations(run) {
  const list = parsed(LIST + run);
  return Array.isArray(list) && list.length ? list : [{ id: "", title: "", first: "" }];
}

/** Open another one, or a new one; one without a question is not left behind. @param {string} run @param {string} [id] */
export function openConversation(run, id) {
  const old = conversationWith(run);
  if (id === undefined && !old.said.length) return;
  const chosen = id ?? Date.now().toString(36);
  if (id === undefined) write(LIST + run, JSON.stringify([{ id: chosen, title: "", first: "" }, ...conversations(run)]));
  opened.set(run, chosen);
  write(OPEN + run, chosen);
}

/** @param {string} run @param {string} title */
export function rename(run, title) {
  const { id } = conversationWith(run);
  write(LIST + run, JSON.stringify(conversations(run).map((entry) => (entry.id === id ? { ...entry, title } : entry))));
}

/** The open one goes for good. @param {string} run */
export function forget(run) {
  const old = conversationWith(run);
  const { id } = old;
  Object.assign(old, { said: [], at: -1 });
  loaded.delete(`${run}\n${id}`);
  write(place(run, id), null);
  write(LIST + run, JSON.stringify(conversations(run).filter((entry) => entry.id !== id)));
}

/** @param {string} run @param {string} id */
const place = (run, id) => TALK + run + (id && `\n${id}`);

/** What this browser kept, of this version or an older one, or damaged. @param {string} run @param {string} id @returns {Kept} */
function remembered(run, id) {
  const found = parsed(place(run, id));
  const kept = Array.isArray(found) ? { said: found } : (found ?? {});
  const list = Array.isArray(kept.said) ? kept.said.filter((/** @type {any} */ one) => typeof one?.content === "string") : [];
  const said = list.map((/** @type {any} */ one, /** @type {number} */ i) => ({ ...message("user"), ...one, up: one.up < i ? one.up : i - 1, ...(one.busy && { busy: false, ended: "stopped", note: "stopped" }) }));
  return { said, at: kept.at < said.length ? kept.at : said.length - 1, how: { temperature: 0, ...kept.how } };
}

/** Whether there was room; of more messages than can be kept, the newest of the talk are. @param {Conversation} conversation */
function remember({ run, id, said, at, how, talk }) {
  if (!said.length) return write(place(run, id), null);
  let kept = { said, at, how };
  let text = JSON.stringify(kept);
  for (let path = talk; text.length > MAX_CHARACTERS && path.length > 2; path = path.slice(2)) {
    kept = { said: path.map((one, i) => ({ ...one, up: i - 1 })), at: path.length - 1, how };
    text = JSON.stringify(kept);
  }
  const first = talk.find((one) => one.role === "user")?.content.slice(0, TITLE_CHARACTERS) ?? "";
  const list = conversations(run);
  const entry = { id, title: "", ...list.find((one) => one.id === id), first };
  const others = list.filter((one) => one.id !== id);
  const listed = write(LIST + run, JSON.stringify([entry, ...others]));
  return write(place(run, id), text) && listed;
}

/** What is kept under a key. @param {string} key */
export function parsed(key) {
  try {
    return JSON.parse(read(key) ?? "null");
  } catch {
    return null;
  }
}

/** What the browser has no room for, or keeps nothing of: it lasts as long as the page. @type {Map<string, string>} */
const homeless = new Map();

/** @param {string} key */
function read(key) {
  try {
    return homeless.get(key) ?? localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Whether the browser keeps it. @param {string} key @param {string | null} text */
export function write(key, text) {
  homeless.delete(key);
  try {
    if (text === null) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
    return true;
  } catch {
    if (text !== null) homeless.set(key, text);
    return false;
  }
}
