// The coin: what the model would write next, with what chance, and what becomes of the text if it is flipped, forced, or
// taken back. Temperature and cuts are computed here, from the log-probabilities of the whole vocabulary.

import { html, useEffect, useMemo, useState } from "../lib/preact.js";
import { postJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { chance, drawn, kept } from "../lib/cuts.js";
import { count, decimals, percent, visible } from "../lib/format.js";
import { Bar, Room, Trouble } from "../parts/room.js";
import { PromptBar, TokenRow, useWanted } from "../parts/prompt.js";
import { grown, pathTo, stretch } from "../state/branches.js";

/** @import {Cuts, Kept} from "../lib/cuts.js" */
/** @import {Node} from "../state/branches.js" */
/** @import {Line} from "../state/store.js" */
/** `logprobs`: of every token, by id; `words`: of the likeliest. @typedef {{logprobs: number[], words: Map<number, string>, entropy: number}} Next */
/** @typedef {{uniform: number, token: number, survived: Kept, words: Map<number, string>}} Flip */

const BARS = 16;
const KNOWN_WORDS = 200;
const FLIPS = 10;
const BITS = [0.5, 2, 4, 7];

/** @param {{line: Line, model: any}} props */
export function Coin({ line, model }) {
  const ready = model?.state === "ready";
  const wanted = useWanted(line, model);
  const { found: root, trouble } = useAsked(ready ? `${model.name} ${wanted.key}` : null, (signal) => read(model.name, wanted.body, signal));
  return html`<${Room} id="coin" title="The coin" says="A model gives every token of its vocabulary a chance; one is drawn. Flip the coin yourself, force a token, or go back and take another branch.">
    <${PromptBar} wanted=${wanted} model=${model} doing="Read this" none="There is no model to ask yet." trouble=${trouble} />
    ${root && html`<${Board} key=${wanted.key} name=${model.name} end=${root} />`}
  </${Room}>`;
}

/** The prompt as a path of tokens, each with the model's log-probability. @param {string} name @param {any} prompt @param {AbortSignal} signal @returns {Promise<Node>} the last token */
async function read(name, prompt, signal) {
  const { tokens, pieces } = await postJson("/internal/next-tokens", { model: name, ...prompt, top: 1 }, signal);
  const scored = await postJson("/v1/completions", { model: name, prompt: tokens, max_tokens: 0, echo: true, logprobs: 0 }, signal);
  const logprobs = scored.choices[0].logprobs.token_logprobs;
  /** @type {Node | null} */
  let node = null;
  tokens.forEach((/** @type {number} */ id, /** @type {number} */ i) => (node = grown(id, pieces[i], node, logprobs[i], true)));
  return /** @type {Node} */ (/** @type {unknown} */ (node));
}

/** @param {{name: string, end: Node}} props */
function Board({ name, end }) {
  const [at, setAt] = useState(end);
  const [cuts, setCuts] = useState(/** @type {Cuts} */ ({ temperature: 1, topK: 0, topP: 1, minP: 0 }));
  const [flip, setFlip] = useState(/** @type {Flip | null} */ (null));
  const [left, setLeft] = useState(0);
  const { found: next, trouble } = useAsked(at, (signal) => after(name, at, signal), { remember: true });
  const survived = useMemo(() => next && kept(next.logprobs, cuts), [next, cuts]);
  const path = pathTo(at);
  const step = async (/** @type {number} */ token, /** @type {Next} */ from) => setAt(grown(token, await wordOf(name, from, token), at, from.logprobs[token]));
  const toss = async () => {
    if (!next || !survived) return;
    const uniform = chance();
    const token = drawn(survived, uniform);
    setFlip({ uniform, token, survived, words: next.words });
    await step(token, next);
  };
  useEffect(() => {
    if (trouble) setLeft(0);
    else if (left > 0 && next) toss().then(() => setLeft((n) => n - 1), () => setLeft(0));
  }, [left, next, trouble]);
  const force = (/** @type {number} */ token) => next && (setFlip(null), step(token, next));
  const go = (/** @type {Node} */ node) => (setLeft(0), setFlip(null), setAt(node));
  const bits = path.slice(1).map((node) => -(node.logprob ?? 0) / Math.LN2);
  return html`<div class="coin">
    <${TokenRow} tokens=${path.map((node) => node.text)} at=${path.length - 1} choose=${(i) => go(path[i])} label="The text so far, token by token"
      look=${(i) => ({ "data-surprise": path[i].logprob == null ? 0 : BITS.filter((bound) => -(path[i].logprob ?? 0) / Math.LN2 > bound).length, "data-here": i === path.length - 1,
        title: path[i].logprob == null ? "the first token" : `${percent(Math.exp(path[i].logprob ?? 0))}, ${decimals(-(path[i].logprob ?? 0) / Math.LN2, 1)} bits` })} />
    <p class="caption">The stronger the colour, the more the token surprised the model${bits.length > 0 ? html`: ${decimals(bits.reduce((sum, one) => sum + one, 0), 1)} bits in ${count(bits.length)} tokens, ${decimals(bits.reduce((sum, one) => sum + one, 0) / bits.length, 2)} a token` : ""}. Choose a token to go back to it: what comes next is shown for that place.</p>
    <div class="moves">
      <button type="button" class="primary" disabled=${!survived || left > 0} onClick=${toss}>Flip</button>
      ${left > 0 ? html`<button type="button" class="quiet" onClick=${() => setLeft(0)}>Stop</button>` : html`<button type="button" class="quiet" disabled=${!survived} onClick=${() => setLeft(FLIPS)}>Flip ${FLIPS} times</button>`}
      <button type="button" class="quiet" disabled=${!at.parent || left > 0} onClick=${() => at.parent && go(at.parent)}>Back</button>
      <button type="button" class="quiet" disabled=${at === end || left > 0} onClick=${() => go(end)}>To the prompt</button>
    </div>
    ${flip && html`<${Strip} flip=${flip} />`}
    <div class="coin-parts">
      <section><h3>What comes next</h3>${next && survived ? html`<${Bars} next=${next} survived=${survived} force=${force} />` : trouble ? html`<${Trouble} says=${trouble} />` : html`<p class="nothing busy">Reading …</p>`}</section>
      <div><section><h3>How it is drawn</h3><${Sliders} cuts=${cuts} set=${setCuts} />${next && survived && html`<${Why} next=${next} survived=${survived} cuts=${cuts} />`}</section>
        <section class="tree"><h3>The branches</h3><${Tree} end=${end} at=${at} go=${go} /></section></div>
    </div></div>`;
}

/** What may follow a node. @param {string} name @param {Node} at @param {AbortSignal} signal @returns {Promise<Next>} */
async function after(name, at, signal) {
  const tokens = pathTo(at).map((node) => node.id);
  const { top, logprobs, entropy } = await postJson("/internal/next-tokens", { model: name, tokens, top: KNOWN_WORDS, whole: true }, signal);
  return { logprobs, entropy, words: new Map(top.map((/** @type {any} */ one) => [one.id, one.token])) };
}

/** A token's text, asked for where it is none of the likeliest. @param {string} name @param {Next} next @param {number} token */
async function wordOf(name, next, token) {
  const known = next.words.get(token);
  if (known !== undefined) return known;
  const answer = await postJson("/detokenize", { model: name, tokens: [token] });
  next.words.set(token, answer.content);
  return answer.content;
}

/** @param {{next: Next, survived: Kept, force: (token: number) => void}} props */
function Bars({ next, survived, force }) {
  const shares = new Map(survived.ids.map((id, i) => [id, survived.shares[i]]));
  const shown = [...next.words.keys()].slice(0, BARS);
  const others = 1 - shown.reduce((sum, id) => sum + (shares.get(id) ?? 0), 0);
  return html`<div class="bars">
    <div class="bars-head"><span>token</span><span></span><span class="number">model</span><span class="number">drawn</span></div>
    ${shown.map((id) => {
      const own = Math.exp(next.logprobs[id]);
      const share = shares.get(id) ?? 0;
      return html`<button type="button" class="bar-row" key=${id} data-cut=${!shares.has(id)} onClick=${() => force(id)} title=${shares.has(id) ? "Force this token" : "Cut; force it all the same"}>
        <code>${visible(next.words.get(id) ?? "")}</code>
        <${Bar} of=${share}>${Math.abs(own - share) > 0.002 && html`<span class="was" style=${{ left: `${own * 100}%` }}></span>`}</${Bar}>
        <span class="number">${percent(own)}</span><span class="number">${shares.has(id) ? percent(share) : "cut"}</span></button>`;
    })}
    ${others > 0.0005 && html`<p class="caption">All others: ${percent(others)}. ${count(survived.ids.length)} of ${count(next.logprobs.length)} tokens can be drawn. A mark stands at the model's own share where that is another.</p>`}
  </div>`;
}

/** @param {{cuts: Cuts, set: (cuts: Cuts) => void}} props */
function Sliders({ cuts, set }) {
  const one = (/** @type {keyof Cuts} */ name, /** @type {string} */ label, /** @type {any} */ range, /** @type {string} */ shown) => html`<label>${label}
    <input type="range" ...${range} value=${cuts[name]} onInput=${(e) => set({ ...cuts, [name]: Number(e.target.value) })} /><output>${shown}</output></label>`;
  return html`<div class="cuts">
    ${one("temperature", "Temperature", { min: 0, max: 3, step: 0.1 }, decimals(cuts.temperature, 1))}
    ${one("topK", "Top-k", { min: 0, max: 100, step: 1 }, cuts.topK ? count(cuts.topK) : "all")}
    ${one("topP", "Top-p", { min: 0.05, max: 1, step: 0.05 }, decimals(cuts.topP, 2))}
    ${one("minP", "Min-p", { min: 0, max: 0.5, step: 0.01 }, decimals(cuts.minP, 2))}</div>`;
}

/** What the sliders do here, with the numbers. @param {{next: Next, survived: Kept, cuts: Cuts}} props */
function Why({ next, survived, cuts }) {
  const [best] = next.words.keys();
  const own = Math.exp(next.logprobs[best]);
  const share = survived.shares[survived.ids.indexOf(best)] ?? 0;
  const word = `“${visible(next.words.get(best) ?? "")}”`;
  const bits = decimals(next.entropy / Math.LN2, 1);
  const changed = cuts.temperature === 0 ? `Temperature 0 always takes the likeliest token, ${word}.`
    : cuts.temperature === 1 && survived.ids.length === next.logprobs.length ? `Drawn as the model says: ${word} with ${percent(own)}.`
    : `${word} stays the likeliest: temperature ${decimals(cuts.temperature, 1)} divides every logit by ${decimals(cuts.temperature, 1)}, which changes no order${cuts.temperature === 1 ? "" : cuts.temperature > 1 ? ", but brings them closer" : ", but spreads them"}. With the cuts, its chance goes from ${percent(own)} to ${percent(share)}.`;
  return html`<p class="caption" role="status">${changed} The model is as unsure here as about ${decimals(Math.exp(next.entropy), next.entropy < 2 ? 1 : 0)} equally likely tokens (${bits} bits).</p>`;
}

/** Where a flip fell: tokens in the order of their ids, as wide as their chance. @param {{flip: Flip}} props */
function Strip({ flip: { uniform, token, survived, words } }) {
  const place = survived.ids.indexOf(token);
  const segments = survived.ids.map((id, i) => ({ id, share: survived.shares[i] }));
  return html`<figure><div class="strip" role="img" aria-label=${`The number ${decimals(uniform, 4)} fell on ${words.get(token) ?? "a rare token"}`}>
      ${joined(segments, token).map((one) => html`<span key=${one.key} data-taken=${one.taken} style=${{ width: `${one.share * 100}%` }}>${one.share > 0.03 && one.id != null ? visible(words.get(one.id) ?? "") : ""}</span>`)}
      <i style=${{ left: `${uniform * 100}%` }}></i></div>
    <figcaption class="caption">The random number was ${decimals(uniform, 4)}: it fell on <code>${visible(words.get(token) ?? "a rare token")}</code>, which had ${percent(survived.shares[place])}. Tokens stand in the order of their ids; neighbours too small to see share a field.</figcaption></figure>`;
}

/** Neighbours that are too small to see become one field. @param {{id: number, share: number}[]} segments @param {number} token */
function joined(segments, token) {
  /** @type {{key: string, id: number | null, share: number, taken: boolean}[]} */
  const fields = [];
  for (const { id, share } of segments) {
    const last = fields[fields.length - 1];
    const small = share < 0.004 && id !== token;
    if (small && last?.id === null) last.share += share;
    else fields.push({ key: small ? `from ${id}` : `${id}`, id: small ? null : id, share, taken: id === token });
  }
  return fields;
}

/** Every branch; the one on the screen stands out. @param {{end: Node, at: Node, go: (node: Node) => void}} props */
function Tree({ end, at, go }) {
  const on = new Set(pathTo(at));
  const root = pathTo(end)[0];
  /** @type {(node: Node) => any} */
  const branch = (node) => {
    const { along, end: last } = stretch(node);
    const text = along.filter((one) => !one.given || node !== root).map((one) => one.text).join("");
    return html`<li key=${node.id}><button type="button" class="twig" data-on=${on.has(last)} onClick=${() => go(last)}>${node === root && "(prompt)"}${text.replaceAll("\n", "⏎")}</button>
      ${last.children.length > 0 && html`<ul>${last.children.map(branch)}</ul>`}</li>`;
  };
  if (stretch(root).end === end && !end.children.length) return html`<p class="caption">None yet. Flip the coin, go back, and flip again or choose another token.</p>`;
  return html`<ul>${branch(root)}</ul>`;
}
