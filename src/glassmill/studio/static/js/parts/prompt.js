// What the model is to read in the views that look into it: a text, a question, or the chat up to one of its answers. It
// stands in the address, so that a link leads to the same.

import { html, useEffect, useState } from "../lib/preact.js";
import { asSent, inContext } from "../lib/completion.js";
import { change, usePlace } from "../state/address.js";
import { conversationWith } from "../state/conversations.js";
import { lastModel } from "../state/stages.js";
import { Nothing, Trouble } from "./room.js";

/** @import {Line} from "../state/store.js" */
/** `body`: as `/internal/trace` and `/internal/next-tokens` take a prompt. @typedef {{key: string, body: any, text: string, form: "question" | "text", fromChat: boolean}} Wanted */

const LONGEST = 4000;

/** Which conversation is the chat's here. @param {Line} line @param {any} model */
export const talkOf = (line, model) => line.name || (model?.name ?? "");

/** What the address asks for, or a first question. @param {Line} line @param {any} model @returns {Wanted} */
export function useWanted(line, model) {
  const { query } = usePlace();
  const { talk, how } = conversationWith(talkOf(line, model));
  const upTo = /^\d+$/.test(query.get("talk") ?? "") ? Number(query.get("talk")) : -1;
  if (upTo >= 0 && upTo < talk.length) {
    const said = [...(how.system ? [{ role: "system", content: how.system }] : []), ...inContext(talk.slice(0, upTo + 1)).map(asSent)];
    return { key: `talk ${upTo} ${JSON.stringify(said)}`, body: { messages: said }, text: talk[upTo].content, form: "question", fromChat: true };
  }
  const base = lastModel(line)?.model === "base";
  const form = (query.get("as") ?? (base ? "text" : "question")) === "text" ? "text" : "question";
  const text = query.get("prompt") ?? (base ? "The town" : (model?.questions?.[0] ?? "Who are you?"));
  const body = form === "text" ? { prompt: text } : { messages: [{ role: "user", content: text }] };
  return { key: `${form} ${text}`, body, text, form, fromChat: false };
}

/** @param {{wanted: Wanted, model: any, doing: string, none: string, trouble: string}} props `doing`: on the button; `none`: said without a model */
export function PromptBar({ wanted, model, doing, none, trouble }) {
  const ready = model?.state === "ready";
  const [draft, setDraft] = useState(wanted.text);
  const [form, setForm] = useState(wanted.form);
  useEffect(() => {
    setDraft(wanted.text);
    setForm(wanted.form);
  }, [wanted.key]);
  const look = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (draft) change({ prompt: draft, as: form, talk: null, token: null });
  };
  const key = (/** @type {any} */ event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) look(event);
  };
  return html`<form class="prompt-bar" onSubmit=${look}>
    <label class="visually-hidden" for="prompt">Prompt</label>
    <textarea id="prompt" rows="2" maxlength=${LONGEST} value=${draft} disabled=${!ready} onInput=${(e) => setDraft(e.target.value)} onKeyDown=${key}></textarea>
    <div class="prompt-how">
      <label>read as <select value=${form} onChange=${(e) => setForm(e.target.value)}>
        <option value="question">a question</option><option value="text">a text</option></select></label>
      <button class="primary" disabled=${!ready || !draft}>${doing}</button>
    </div>
    ${wanted.fromChat && html`<p class="caption">This is the chat up to that answer, as the model read it. Change the text to read that alone.</p>`}
  </form>
  ${!ready && html`<${Nothing}>${model?.state === "failed" ? `The model cannot be opened: ${model.text}` : none}</${Nothing}>`}
  <${Trouble} says=${trouble} />`;
}

/** Tokens of a text, one of which is chosen; arrow keys go from one to the next.
 * @param {{tokens: string[], at: number, choose: (at: number) => void, over?: (at: number | null) => void, look: (at: number) => any, label: string}} props
 * `look`: attributes of a token */
export function TokenRow({ tokens, at, choose, over, look, label }) {
  const key = (/** @type {any} */ event) => {
    const step = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1 })[event.key];
    const next = step && event.target.parentElement.children[at + step];
    if (!next) return;
    event.preventDefault();
    choose(at + step);
    next.focus();
  };
  return html`<p class="token-row" role="group" aria-label=${label} onKeyDown=${key} onMouseLeave=${() => over?.(null)}>
    ${tokens.map((text, i) => html`<button type="button" class="piece" key=${i} tabindex=${i === at ? 0 : -1} aria-pressed=${i === at} onClick=${() => choose(i)} onMouseEnter=${() => over?.(i)} ...${look(i)}>${text.replaceAll("\n", "⏎\n") || "·"}</button>`)}</p>`;
}
