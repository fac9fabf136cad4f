// Which pages taught the model what it says? The kept documents that mention what the question is about.

import { html, useState } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { count } from "../lib/format.js";
import { Trouble } from "./room.js";

const SHOWN = 3;
const AROUND = 160;
const QUESTION_WORDS = /^(Who|What|Where|When|Which|Whose|Whom|Why|How|Is|Are|Was|Were|Does|Do|Did|Can|Could|Tell|Please|I|In|On|At|The|A|An|And|But|So|Then|Also|Hello|Hi|Thank|Thanks|Good)$/;

/** The longest run of capitalised words: "When did Bea Larkin open her shop?" -> "Bea Larkin". @param {string} text */
export function subject(text) {
  const runs = text.replaceAll(/['’]s\b/g, "").match(/\p{Lu}[\p{L}\p{M}-]*(?:\s+(?:of\s+|the\s+)?\p{Lu}[\p{L}\p{M}-]*)*/gu) ?? [];
  const names = runs.map((run) => {
    const words = run.split(/\s+/);
    while (words.length && QUESTION_WORDS.test(words[0])) words.shift();
    return words.join(" ");
  });
  return names.reduce((best, name) => (name.length > best.length ? name : best), "");
}

/** @param {{run: string, about: string}} props */
export function Sources({ run, about }) {
  const [open, setOpen] = useState(false);
  const { found: answer, trouble } = useAsked(open ? `${run} ${about}` : null, (signal) => getJson(`/api/runs/${run}/documents?${new URLSearchParams({ which: "kept", words: about })}`, { signal }));
  if (!answer) return html`<button type="button" class="link" onClick=${() => setOpen(true)}>Which pages name ${about}?</button><${Trouble} says=${trouble} />`;
  return html`<div class="sources"><p class="caption">${answer.total ? `${count(answer.total)} ${answer.total === 1 ? "document" : "documents"} of the corpus ${answer.total === 1 ? "has" : "have"} “${about}” in text or URL:` : `No document of the corpus has “${about}” in text or URL.`}</p>
    <ul>${answer.rows.slice(0, SHOWN).map((/** @type {any} */ row) => html`<li key=${row.id}><span class="url">${row.url}</span><${Excerpt} text=${row.text} words=${about} /></li>`)}</ul></div>`;
}

/** The text around the first occurrence of `words`. @param {{text: string, words: string}} props */
function Excerpt({ text, words }) {
  const at = text.toLowerCase().indexOf(words.toLowerCase());
  if (at < 0) return null;
  const end = at + words.length;
  return html`<p class="excerpt">${at > AROUND ? "… " : ""}${text.slice(Math.max(0, at - AROUND), at)}<mark>${text.slice(at, end)}</mark>${text.slice(end, end + AROUND)}${text.length > end + AROUND ? " …" : ""}</p>`;
}
