// One message of a conversation: what was said, how, from where, and what can be done with it.

import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { decimals, percent } from "../lib/format.js";
import { Markdown } from "../lib/markdown.js";
import { Copy } from "./room.js";
import { Sources } from "./sources.js";
import { Tokens } from "./sure.js";
import { Trace } from "./trace.js";
import { address } from "../state/address.js";

/** @import {Citation, Message, Share} from "../lib/completion.js" */
/** What can be done with a message; null where it cannot be.
 * @typedef {{again: (() => void) | null, more: (() => void) | null, edit: ((text: string) => void) | null, fork: ((text: string, at: number, other: Share) => void) | null, show: ((said: Message) => void) | null}} Acts */

/** @param {{number: number, said: Message, versions: Message[], showTokens: boolean, corpus: string | null, traced: string | null, about: string, acts: Acts}} props */
export function Said({ number, said, versions, showTokens, corpus, traced, about, acts: { again, more, edit, fork, show } }) {
  const words = useRef(/** @type {HTMLElement | null} */ (null));
  const [editing, setEditing] = useState(false);
  const mine = said.role === "user";
  const speed = said.seconds > 0 && said.made > 1 ? `${decimals(said.made / said.seconds, 0)} tokens/s` : "";
  const ended = !mine && !said.busy && said.content && !said.failed;
  const others = versions.length > 1 && show && html`<${Versions} versions=${versions} said=${said} show=${show} />`;
  if (editing && edit) return html`<${Editor} text=${said.content} done=${(text) => (setEditing(false), text && edit(text))} />`;
  return html`<article class="said" data-role=${said.role} data-out=${said.left || said.failed} aria-label=${mine ? "You" : "The model"}>
    ${said.tools.map((tool, i) => html`<p class="tool" key=${i}><span class="tool-name">calculator</span><code>${tool.arguments}</code> = <code>${tool.result}</code></p>`)}
    <div ref=${words}>${mine ? html`<p class="own">${said.content}</p>`
      : showTokens && said.tokens.length ? html`<${Tokens} tokens=${said.tokens} text=${said.content} fork=${fork} />`
      : said.content ? html`<${Markdown} text=${said.content} />`
      : said.busy ? html`<p class="thinking" aria-label="The model is thinking"><i></i><i></i><i></i></p>`
      : !said.note && html`<p class="nothing-said">The model ended its answer without a word.</p>`}</div>
    ${said.citations && html`<${Citations} citations=${said.citations} />`}
    ${!mine && (said.note || speed || again || ended || others) && html`<p class="said-foot"><span>${[said.note, speed].filter(Boolean).join(" · ")}</span>${others}
      ${more && html` <button type="button" class="link" onClick=${more}>Continue</button>`}
      ${again && html` <button type="button" class="link" onClick=${again}>Try again</button>`}
      ${ended && html` <${Copy} text=${said.content} look="link" />`}
      ${ended && !said.left && html` <a class="link" href=${address("inside", { talk: number, prompt: null, token: null })}>Look inside</a>
        <a class="link" href=${address("coin", { talk: number, prompt: null })}>Flip the coin</a>`}</p>`}
    ${!mine && !said.busy && said.content && traced && html`<${Trace} key=${said.content} run=${traced} text=${said.content} place=${words} />`}
    ${!mine && !said.busy && corpus && about && html`<${Sources} key=${about} run=${corpus} about=${about} />`}
  </article>
  ${mine && (edit || others) && html`<p class="own-foot">${others}${edit && html` <button type="button" class="link" onClick=${() => setEditing(true)}>Edit</button>`}</p>`}`;
}

/** From one version of a message to another. @param {{versions: Message[], said: Message, show: (said: Message) => void}} props */
function Versions({ versions, said, show }) {
  const at = versions.indexOf(said);
  const to = (/** @type {number} */ i, /** @type {string} */ sign, /** @type {string} */ name) => html`<button type="button" class="link" aria-label=${name} disabled=${!versions[i]} onClick=${() => show(versions[i])}>${sign}</button>`;
  return html` <span class="versions">${to(at - 1, "‹", "Earlier version")} ${at + 1}/${versions.length} ${to(at + 1, "›", "Later version")}</span>`;
}

/** @param {{text: string, done: (text: string) => void}} props `done`: "" leaves it as it was */
function Editor({ text, done }) {
  const [draft, setDraft] = useState(text);
  const field = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => field.current?.focus(), []);
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") done("");
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) event.preventDefault(), done(draft.trim());
  };
  return html`<form class="said editor" data-role="user" onSubmit=${(e) => (e.preventDefault(), done(draft.trim()))}>
    <textarea aria-label="Edited question" rows="2" maxlength="20000" value=${draft} ref=${field} onInput=${(e) => setDraft(e.target.value)} onKeyDown=${key}></textarea>
    <p class="said-foot"><button class="link" disabled=${!draft.trim()}>Ask this instead</button> <button type="button" class="link" onClick=${() => done("")}>Cancel</button></p></form>`;
}

/** Which passages hold the answer. @param {{citations: Citation[]}} props */
function Citations({ citations }) {
  if (!citations.length) return html`<p class="caption">No passage of the documents holds this answer.</p>`;
  return html`<div class="sources"><ul>${citations.map((one) => html`<li key=${`${one.document} ${one.start}`}><details>
    <summary><span class="url">${one.document}</span>${one.section && ` ${one.section}`}${one.support < 1 && ` (${percent(one.support)} of the answer's words)`}</summary>
    <p class="excerpt">${one.text}</p></details></li>`)}</ul></div>`;
}
