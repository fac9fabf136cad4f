// How tokens are drawn: the temperature in sight, everything else behind one door.

import { html, useState } from "../lib/preact.js";
import { decimals } from "../lib/format.js";

/** @import {How} from "../lib/completion.js" */
/** @typedef {"top_k" | "top_p" | "min_p" | "seed" | "max_tokens"} Name */

/** @type {[Name, string, any, string][]} */
const FIELDS = [
  ["top_k", "Top-k", { min: 0, max: 100_000, placeholder: "all" }, "Only the k likeliest tokens can be drawn."],
  ["top_p", "Top-p", { min: 0.01, max: 1, step: 0.01, placeholder: "1" }, "Only the likeliest tokens can be drawn that together have this share of the chance."],
  ["min_p", "Min-p", { min: 0, max: 1, step: 0.01, placeholder: "0" }, "Only tokens can be drawn that have at least this share of the likeliest one's chance."],
  ["seed", "Seed", { min: 0, max: 2 ** 53 - 1, placeholder: "random" }, "With the same seed the same text is drawn again."],
  ["max_tokens", "Max tokens", { min: 1, max: 100_000, placeholder: "no limit" }, "The model stops after so many tokens; without a limit, where it ends or its context is full."],
];

/** @param {{how: How, set: (change: Partial<How>) => void, system?: boolean, children?: any}} props `system`: there is a system prompt too */
export function Sampling({ how, set, system = false, children }) {
  const [says, setSays] = useState("");
  const number = (/** @type {any} */ field) => (field.value === "" || !field.validity.valid ? undefined : Number(field.value));
  return html`<div class="chat-settings">
      <label>Temperature <input type="range" min="0" max="1.5" step="0.1" value=${how.temperature} onInput=${(e) => set({ temperature: Number(e.target.value) })} />
        <output>${decimals(how.temperature, 1)}</output></label>
      ${children}</div>
    <details class="door"><summary>More settings</summary>
      ${system && html`<label class="wide">System prompt <textarea rows="2" maxlength="8000" value=${how.system ?? ""} title="What the model is told before the conversation begins" onInput=${(e) => set({ system: e.target.value || undefined })}></textarea></label>`}
      <div class="door-fields">${FIELDS.map(([name, title, range, text]) => html`<label key=${name} title=${text} onMouseEnter=${() => setSays(text)}>${title}
        <input type="number" ...${range} value=${how[name] ?? ""} onFocus=${() => setSays(text)} onInput=${(e) => set({ [name]: number(e.target) })} /></label>`)}</div>
      <p class="caption" role="status">${says || "Point at a setting to read what it does. An empty one leaves it to the model's defaults."}</p></details>`;
}
