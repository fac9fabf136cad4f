// The conversations that this browser keeps: which one is open, its name, a copy to save, an end.

import { html, useState } from "../lib/preact.js";
import { asSent, inContext } from "../lib/completion.js";
import { save } from "../lib/save.js";
import { conversations, forget, openConversation, rename } from "../state/conversations.js";

/** @import {Conversation, Entry} from "../state/conversations.js" */

/** @param {{conversation: Conversation, busy: boolean, model: string, changed: () => void}} props `changed`: another one may be open now */
export function Talks({ conversation, busy, model, changed }) {
  const { run, id, unkept } = conversation;
  const list = conversations(run);
  const name = titled(list.find((entry) => entry.id === id));
  const [sure, setSure] = useState(false);
  const act = (/** @type {() => void} */ what) => () => (setSure(false), what(), changed());
  const file = `${name.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40)}`;
  return html`<div class="talks">
    ${list.length > 1 && html`<select aria-label="Conversation" value=${id} disabled=${busy} onChange=${(e) => act(() => openConversation(run, e.target.value))()}>
      ${list.map((entry) => html`<option key=${entry.id} value=${entry.id}>${titled(entry)}</option>`)}</select>`}
    <button type="button" class="quiet" disabled=${busy} onClick=${act(() => openConversation(run))}>New conversation</button>
    <details class="door"><summary>This conversation</summary><div class="chips">
      <label>Name <input type="text" maxlength="80" value=${name} onChange=${(e) => act(() => rename(run, e.target.value.trim()))()} /></label>
      <button type="button" class="quiet" onClick=${() => save(`${file}.json`, "application/json", asJson(conversation, name, model))}>Save as JSON</button>
      <button type="button" class="quiet" onClick=${() => save(`${file}.md`, "text/markdown", asMarkdown(conversation, name))}>Save as Markdown</button>
      <button type="button" class="quiet" disabled=${busy} onClick=${sure ? act(() => forget(run)) : () => setSure(true)}>${sure ? "Delete for good" : "Delete"}</button></div></details>
    ${unkept && html`<p class="hint" role="alert">This browser has no room for this conversation: it lasts as long as the page. Save it, or delete others.</p>`}</div>`;
}

/** @param {Entry | undefined} entry */
const titled = (entry) => entry?.title || entry?.first || "New conversation";

/** The talk as the API takes it, and every version of every message. @param {Conversation} conversation @param {string} title @param {string} model */
function asJson({ talk, said, at, how: { system, ...settings } }, title, model) {
  const messages = [...(system ? [{ role: "system", content: system }] : []), ...talk.filter((one) => !one.failed).map(asSent)];
  return JSON.stringify({ title, model, settings, messages, versions: said.map(({ role, content, tools, up }) => ({ role, content, tool_uses: tools, behind: up })), shown: at }, null, 2);
}

/** @param {Conversation} conversation @param {string} title */
function asMarkdown({ talk, how }, title) {
  const parts = inContext(talk.map((one) => ({ ...one, left: false }))).map(({ role, content }) => `**${role === "user" ? "You" : "The model"}**\n\n${content}`);
  return [`# ${title}`, ...(how.system ? [`**System prompt**\n\n${how.system}`] : []), ...parts].join("\n\n") + "\n";
}
