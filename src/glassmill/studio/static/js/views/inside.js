// Inside the model: the Transformer as a picture of this one, and what happens in it at one place of a text. Where each
// head looks, what each layer would say, and what each part adds to the logit of one token.

import { html, useState } from "../lib/preact.js";
import { postJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { count, decimals, percent, visible } from "../lib/format.js";
import { Room, Trouble } from "../parts/room.js";
import { Anatomy } from "../parts/anatomy.js";
import { Growth } from "../parts/grown.js";
import { PromptBar, TokenRow, useWanted } from "../parts/prompt.js";
import { Shares } from "../parts/sure.js";
import { select, useSelection } from "../state/selection.js";

/** @import {Seen, Step, Token} from "../state/answers.js" */
/** @import {Line} from "../state/store.js" */

const HOVER_MS = 25;
const LISTED = 6;
const RESTING = 0.3;

/** @param {{line: Line, model: any}} props */
export function Inside({ line, model }) {
  const ready = model?.state === "ready";
  const wanted = useWanted(line, model);
  const ask = (/** @type {AbortSignal} */ signal) => postJson("/internal/trace", { model: model.name, ...wanted.body, views: ["lens", "norms", "added", "shape"], top: 5 }, signal);
  const { found: seen, trouble } = useAsked(ready ? `${model.name} ${wanted.key}` : null, /** @type {() => Promise<Seen>} */ (ask));
  return html`<${Room} id="inside" title="Inside the model" says="A text goes in at the bottom as numbers, passes every layer, and comes out as one likelihood for each possible next token. Choose a word to see that step.">
    <${PromptBar} wanted=${wanted} model=${model} doing="Look inside" none="There is no model to look into yet." trouble=${trouble} />
    ${ready && !seen && !trouble && html`<p class="nothing busy" role="status">Reading the text, layer by layer …</p>`}
    ${seen && html`<${Looked} key=${wanted.key} name=${model.name} seen=${seen} trained=${line.stages.train?.run ?? null} />`}
  </${Room}>`;
}

/** @param {{name: string, seen: Seen, trained: string | null}} props `trained`: the run that made the base model */
function Looked({ name, seen, trained }) {
  const chosen = useSelection(name);
  const last = seen.tokens.length - 1;
  const [hovered, setHovered] = useState(/** @type {number | null} */ (null));
  const [head, setHead] = useState(/** @type {{layer: number, head: number} | null} */ (null));
  const [rival, setRival] = useState(false);
  const kept = Math.min(chosen.token ?? last, last);
  const at = hovered ?? kept;
  const says = seen.lens[seen.lens.length - 1][at];
  const next = at < last ? seen.tokens[at + 1] : { id: says.ids[0], token: says.tokens[0] };
  const against = rival ? says.ids.find((id) => id !== next.id) ?? null : null;
  const { step, trouble } = useStep(name, seen, at, next.id, against);
  const here = head ?? (chosen.layer !== null && chosen.head !== null && chosen.layer < seen.shape.num_layers && chosen.head < seen.shape.num_heads ? { layer: chosen.layer, head: chosen.head } : null);
  const weights = step && weightsOf(step, here);
  const most = weights ? Math.max(...weights) : 1;
  const choose = (/** @type {number} */ token) => select({ ...chosen, run: name, token });
  const pick = (/** @type {{layer: number, head: number}} */ one) => {
    const same = chosen.layer === one.layer && chosen.head === one.head;
    select({ ...chosen, run: name, token: kept, layer: same ? null : one.layer, head: same ? null : one.head });
  };
  const word = (/** @type {number} */ i) => `“${visible(seen.tokens[i].token)}”`;
  return html`<div class="looked">
    <${TokenRow} tokens=${seen.tokens.map((one) => one.token)} at=${kept} choose=${choose} over=${setHovered} label="The text, token by token"
      look=${(i) => ({ style: { "--seen": `${weights && i <= at ? Math.round((100 * weights[i]) / most) : 0}%` }, "data-here": i === at, "data-behind": i > at })} />
    <p class="caption">At ${word(at)}, token ${count(at + 1)} of ${count(last + 1)}, ${here ? `head ${here.head + 1} of layer ${here.layer + 1}` : "all heads together"} looked back at what is coloured. ${at < last ? html`Next in the text: <code>${visible(next.token)}</code>.` : html`The likeliest next token: <code>${visible(next.token)}</code>.`}</p>
    <${Trouble} says=${trouble} />
    <${Summary} seen=${seen} step=${step} at=${at} next=${next} />
    <div class="looked-parts">
      <${Anatomy} seen=${seen} step=${step} at=${at} next=${next} here=${here} pick=${pick} over=${setHead} />
      <div class="looked-side">
        <${Next} says=${says} next=${next} />
        ${step && weights && html`<${LooksAt} seen=${seen} weights=${weights} here=${here} />`}
        ${step && html`<${Speaks} step=${step} rival=${rival} setRival=${setRival} pick=${pick} />`}
      </div>
    </div>
    ${trained && html`<${Growth} run=${trained} name=${name} seen=${seen} at=${kept} here=${here} />`}</div>`;
}

/** The weights of one head, or the mean of all. @param {Step} step @param {{layer: number, head: number} | null} here */
function weightsOf(step, here) {
  const rows = here ? step.attention.filter((one) => one.layer === here.layer && one.head === here.head) : step.attention;
  return rows[0].weights.map((_, i) => rows.reduce((sum, row) => sum + row.weights[i], 0) / rows.length);
}

/** One place of the text; the one before stays on the screen where it has as many tokens. @param {string} name @param {Seen} seen @param {number} at @param {number} token @param {number | null} against @returns {{step: Step | null, trouble: string}} */
function useStep(name, seen, at, token, against) {
  const body = { model: name, tokens: seen.tokens.map((one) => one.id), views: ["attention", "attribution"], query: at, token, against };
  const ask = (/** @type {AbortSignal} */ signal) => postJson("/internal/trace", body, signal);
  const { found, trouble } = useAsked(`${at} ${token} ${against}`, ask, { wait: HOVER_MS, keep: true, remember: true });
  return { step: found?.attention[0].weights.length === at + 1 ? found : null, trouble };
}

/** What stands on the screen, in words. @param {{seen: Seen, step: Step | null, at: number, next: Token}} props */
function Summary({ seen, step, at, next }) {
  const layers = seen.shape.num_layers;
  const first = seen.lens.findIndex((reading) => reading[at].ids[0] === next.id);
  const leads = first < 0 ? `No layer has ${quoted(next)} as its likeliest token here.`
    : first === 0 ? `${quoted(next)} is the likeliest token already before the first layer.`
    : `${quoted(next)} is the likeliest token for the first time after layer ${first} of ${layers}.`;
  const [from, to] = [seen.norms[0][at], seen.norms[layers][at]];
  const resting = step && at > 2 ? weightsOf(step, null)[0] : 0;
  return html`<ul class="in-words">
    <li>${leads}</li>
    <li>The vector of this place has length ${decimals(from, 1)} before the first layer and ${decimals(to, 1)} after the last: each part adds to it.</li>
    ${step && html`<li>${strongest(step)}</li>`}
    ${resting > RESTING && html`<li>All heads together give ${percent(resting)} of their attention to the first token: heads that look for nothing here rest there.</li>`}</ul>`;
}

/** @param {Token} token */
const quoted = (token) => `“${visible(token.token)}”`;

/** @param {Step} step */
function strongest({ attribution }) {
  const best = terms(attribution)[0];
  const rival = attribution.against ? quoted(attribution.against) : "the average token";
  return `The logit of ${quoted(attribution.token)} lies ${decimals(attribution.total, 2)} above that of ${rival}; ${best.name} adds the most to that, ${signed(best.value)}.`;
}

/** @param {number} value */
const signed = (value) => `${value < 0 ? "−" : "+"}${decimals(Math.abs(value), 2)}`;

/** Every part with what it adds, the largest first, whatever its sign. @param {Step["attribution"]} parts */
function terms(parts) {
  const all = [{ name: "the token itself", value: parts.embedding, layer: -1, head: -1 }];
  parts.heads.forEach((row, layer) => row.forEach((value, head) => all.push({ name: `head ${head + 1} of layer ${layer + 1}`, value, layer, head })));
  parts.feed_forward.forEach((value, layer) => all.push({ name: `feed-forward of layer ${layer + 1}`, value, layer, head: -1 }));
  return all.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
}

/** The likeliest next tokens at this place. @param {{says: Seen["lens"][0][0], next: Token}} props */
function Next({ says, next }) {
  return html`<section><h3>What comes next</h3>
    <${Shares} rows=${says.ids.map((id, i) => ({ text: says.tokens[i], share: Math.exp(says.logprobs[i]), taken: id === next.id }))} /></section>`;
}

/** @param {{seen: Seen, weights: number[], here: {layer: number, head: number} | null}} props */
function LooksAt({ seen, weights, here }) {
  const most = weights.map((weight, i) => ({ weight, i })).sort((a, b) => b.weight - a.weight).slice(0, LISTED);
  return html`<section><h3>${here ? `Layer ${here.layer + 1}, head ${here.head + 1} looks at` : "The heads look at"}</h3>
    <${Shares} rows=${most.map(({ weight, i }) => ({ text: seen.tokens[i].token, share: weight }))} /></section>`;
}

/** What speaks for the token, and against it. @param {{step: Step, rival: boolean, setRival: (on: boolean) => void, pick: (one: {layer: number, head: number}) => void}} props */
function Speaks({ step, rival, setRival, pick }) {
  const all = terms(step.attribution);
  const shown = all.slice(0, LISTED);
  const rest = all.slice(LISTED).reduce((sum, one) => sum + one.value, 0);
  const most = Math.abs(all[0].value) || 1;
  return html`<section><h3>What speaks for ${quoted(step.attribution.token)}</h3>
    <label class="caption">beside <select value=${rival ? "rival" : "mean"} onChange=${(e) => setRival(e.target.value === "rival")}>
      <option value="mean">the average token</option><option value="rival">its strongest rival${step.attribution.against ? `, ${quoted(step.attribution.against)}` : ""}</option></select></label>
    ${[...shown, { name: `the other ${count(all.length - shown.length)}`, value: rest, layer: -1, head: -1 }].map((one) => html`<div class="term" key=${one.name} data-sign=${one.value < 0 ? "against" : "for"}>
      ${one.head < 0 ? html`<span>${one.name}</span>` : html`<button type="button" class="link" onClick=${() => pick({ layer: one.layer, head: one.head })}>${one.name}</button>`}
      <span class="term-bar" aria-hidden="true"><span style=${{ width: `${(50 * Math.min(1, Math.abs(one.value) / most)).toFixed(1)}%` }}></span></span><span class="number">${signed(one.value)}</span></div>`)}
    <div class="term total"><span>together</span><span></span><span class="number">${signed(step.attribution.total)}</span></div>
    <p class="caption">What each part writes towards this token's logit directly, with the final norm's division held as it is; the parts add up to the difference. What later parts made of it is not in it.</p></section>`;
}
