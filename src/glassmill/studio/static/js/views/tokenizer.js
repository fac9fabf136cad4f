// Room 2: the vocabulary as it is learned, and any text cut into its tokens while it is typed.

import { html, useEffect, useMemo, useRef, useState } from "../lib/preact.js";
import { postJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { count, decimals, visible } from "../lib/format.js";
import { Figure, Nothing, Room, Trouble } from "../parts/room.js";
import { isFinished } from "../state/stages.js";

/** @import {RoomRow} from "../state/answers.js" */
/** @import {Line, Stage} from "../state/store.js" */

const TYPE_WAIT_MS = 120;
const REPLAY_MS = 260;
const BOARD = 14;
const HUES = 7;
const BYTES = 256;
/** @type {Record<string, string>} */
const CUT_AS = {
  contraction: "the end of a contraction, as in it's",
  letters: "a run of letters, with at most one other character before it",
  number: "a number, or a few digits of one",
  punctuation: "a run of punctuation",
  newlines: "white space up to the end of a line",
  end_space: "white space at the end of the text",
  spaces: "white space before the last space",
  space: "white space",
};
const FIRST_TEXT = "The baker of the old mill sells 12 loaves of rye bread every morning.";

/** @param {{room: RoomRow, line: Line, now: number, about: any}} props */
export function TokenizerRoom({ room, line, now, about }) {
  const stage = line.stages[room.main];
  const ready = isFinished(stage);
  const usable = ready || about.model;
  if (stage.status === "absent" && !usable) return null;
  return html`<${Room} id=${room.id} title=${room.heading} says=${room.says} now=${now} stages=${room.stages.map((name) => line.stages[name])}>
    ${about.runs && html`<${Merges} stage=${stage} />`}
    ${usable ? html`<${Explorer} run=${ready ? stage.run : null} />`
      : html`<${Nothing}>${room.waits}</${Nothing}>`}
  </${Room}>`;
}

/** The merges, one after the other, replayed at a speed that the eye can follow. @param {{stage: Stage}} props */
function Merges({ stage }) {
  const [shown, setShown] = useState(0);
  const total = stage.merges.length;
  useEffect(() => {
    if (!total) return;
    const timer = setInterval(() => setShown((n) => (n < total ? n + 1 : n)), REPLAY_MS);
    return () => clearInterval(timer);
  }, [total]);
  const at = Math.min(shown || Math.min(total, BOARD), total);
  const board = stage.merges.slice(Math.max(0, at - BOARD), at).reverse();
  if (!total) return stage.status === "running" ? html`<${Nothing}>Counting which pieces occur next to each other …</${Nothing}>` : null;
  const newest = board[0];
  return html`<figure class="merges">
    <figcaption>Merge <strong>${count(newest.rank - BYTES + 1)}</strong>: the two pieces on the left were the most frequent neighbours, so from now on they are one.
      ${at >= total && stage.status !== "running" && html` <button type="button" class="link" onClick=${() => setShown(1)}>Play again</button>`}</figcaption>
    <ol>${board.map((merge) => html`<li key=${merge.rank}>
      <span class="piece">${visible(merge.left)}</span><span class="plus" aria-label="and">+</span><span class="piece">${visible(merge.right)}</span>
      <span class="gives" aria-label="give">→</span><span class="piece joined">${visible(merge.token)}</span>
      ${merge.count != null && html`<span class="merge-count">${count(merge.count)}×</span>`}</li>`)}</ol>
  </figure>`;
}

/** A text box that colours its text by token. @param {{run: string | null}} props */
function Explorer({ run }) {
  const [text, setText] = useState(FIRST_TEXT);
  const [picked, setPicked] = useState(/** @type {number | null} */ (null));
  const explain = async (/** @type {AbortSignal} */ signal) => ({ ...(await postJson("/api/tokenizer/explain", { text, run }, signal)), text });
  const { found: answer, trouble: problem } = useAsked(`${run} ${text}`, explain, { wait: TYPE_WAIT_MS, keep: true });
  const mirror = useRef(/** @type {HTMLElement | null} */ (null));
  const groups = useMemo(() => (answer ? display(answer.tokens) : []), [answer]);
  const same = answer?.text === text;
  const scroll = (/** @type {any} */ e) => mirror.current && (mirror.current.scrollTop = e.target.scrollTop);
  const number = answer?.tokens.length ?? 0;
  return html`<div class="explorer">
    <label for="own-text">Your own text</label>
    <div class="coloured">
      <div class="mirror" ref=${mirror} aria-hidden="true">${same ? groups.map((group, i) => html`<span key=${i} class=${`t${i % HUES}`}>${group.text}</span>`) : html`<${Stale} text=${text} groups=${groups} />`}${" "}</div>
      <textarea id="own-text" rows="4" maxlength="20000" spellcheck="false" value=${text} onInput=${(e) => (setText(e.target.value), setPicked(null))} onScroll=${scroll}></textarea>
    </div>
    <${Trouble} says=${problem} />
    ${answer && html`<div class="figures">
      <${Figure} name="Bytes" value=${count(answer.bytes)} says="What the computer stores." />
      <${Figure} name="Tokens" value=${count(number)} says="What the model reads." />
      <${Figure} name="Bytes per token" value=${decimals(number ? answer.bytes / number : null, 2)} says="The more bytes per token, the longer the text that fits into the model's context.">
        <${Saving} bytes=${answer.bytes} tokens=${number} /></${Figure}>
      <${Figure} name="Vocabulary" value=${count(answer.vocab_size)} says="How many different tokens there are." />
    </div>
    <p class="caption">The same text as token ids. Choose one to see what it is made of.</p>
    <div class="ids">${answer.tokens.slice(0, 400).map((/** @type {any} */ token, /** @type {number} */ i) => html`<button type="button" key=${i} class=${`id t${groupOf(groups, i) % HUES}`}
      aria-pressed=${picked === i} onClick=${() => setPicked(picked === i ? null : i)}><span class="id-text">${visible(token.text)}</span><span class="id-number">${token.id}</span></button>`)}
      ${number > 400 && html`<span class="caption">and ${count(number - 400)} more</span>`}</div>
    ${picked != null && answer.tokens[picked] && html`<${TokenFacts} token=${answer.tokens[picked]} run=${run} />`}`}
  </div>`;
}

/** While the answer is on its way, the unchanged beginning keeps its colours. @param {{text: string, groups: any[]}} props */
function Stale({ text, groups }) {
  let at = 0;
  let whole = 0;
  while (whole < groups.length && text.startsWith(groups[whole].text, at)) at += groups[whole++].text.length;
  return html`${groups.slice(0, whole).map((group, i) => html`<span key=${i} class=${`t${i % HUES}`}>${group.text}</span>`)}${text.slice(at)}`;
}

/** Bytes and tokens as two bars on one scale. @param {{bytes: number, tokens: number}} props */
function Saving({ bytes, tokens }) {
  return html`<div class="saving" aria-hidden="true"><span style=${{ width: "100%" }}></span><span class="as-tokens" style=${{ width: `${bytes ? (100 * tokens) / bytes : 0}%` }}></span></div>`;
}

/** @param {{token: any, run: string | null}} props */
function TokenFacts({ token, run }) {
  const bytes = hexBytes(token.bytes);
  const { found: tree } = useAsked(`${run} ${token.id}`, (signal) => postJson("/api/tokenizer/tree", { id: token.id, run }, signal));
  return html`<p class="token-facts" role="status"><span class="piece joined">${visible(token.text)}</span> is token <strong>${token.id}</strong>${", "}
    ${bytes.length === 1 ? "one byte" : `${bytes.length} bytes`}: <code>${bytes.map((/** @type {number} */ b) => b.toString(16).padStart(2, "0")).join(" ")}</code>
    ${token.left != null && html`, made by joining <span class="piece">${visible(token.left)}</span> and <span class="piece">${visible(token.right)}</span>`}.
    ${token.branch && html` The text was cut here because this is ${CUT_AS[token.branch] ?? html`what <code>${token.branch}</code> matches`}.`}</p>
    ${tree?.parts.length > 0 && html`<ul class="merge-tree"><${Tree} node=${tree} /></ul>`}`;
}

/** How a token grew: each merge under the one that used it. @param {{node: any}} props */
function Tree({ node }) {
  return html`<li><span class=${node.parts.length ? "piece joined" : "piece"}>${visible(node.text)}</span>
    ${node.parts.length > 0 && html`<span class="merge-count">merge ${count(node.rank - BYTES + 1)}</span><ul>${node.parts.map((/** @type {any} */ part, /** @type {number} */ i) => html`<${Tree} key=${i} node=${part} />`)}</ul>`}</li>`;
}

/** Tokens as pieces of text; tokens that share a character (its bytes are split) are one piece. @param {any[]} tokens */
function display(tokens) {
  const groups = [];
  let bytes = /** @type {number[]} */ ([]);
  let members = 0;
  for (const token of tokens) {
    bytes = bytes.concat(hexBytes(token.bytes));
    members += 1;
    try {
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(new Uint8Array(bytes));
      groups.push({ text, members });
      bytes = [];
      members = 0;
    } catch {
      // the character continues in the next token
    }
  }
  return groups;
}

/** "c3a9" -> [195, 169]. @param {string} hex */
function hexBytes(hex) {
  return (hex.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
}

/** Which group token `index` belongs to. @param {any[]} groups @param {number} index */
function groupOf(groups, index) {
  let before = 0;
  for (let i = 0; i < groups.length; i++) {
    before += groups[i].members;
    if (index < before) return i;
  }
  return 0;
}
