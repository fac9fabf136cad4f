// The same text through the training: where the heads looked, and what each layer would have said, step by step.

import { html } from "../lib/preact.js";
import { postJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { count, percent, visible } from "../lib/format.js";
import { TokenRow } from "./prompt.js";
import { change } from "../state/address.js";
import { select, useSelection } from "../state/selection.js";

/** @import {Grown, Seen} from "../state/answers.js" */

const WAIT_MS = 150;
const A_HEAD = 0.2;
const REPEATED = "mill river bread stone lamp mill river bread stone lamp";

/** @param {{run: string, name: string, seen: Seen, at: number, here: {layer: number, head: number} | null}} props `run`: the training; `name`: the model, for what is chosen */
export function Growth({ run, name, seen, at, here }) {
  const chosen = useSelection(name);
  const body = { tokens: seen.tokens.map((one) => one.id), query: at };
  const { found, trouble } = useAsked(`${run} ${at}`, (signal) => postJson(`/api/runs/${run}/grown`, body, signal), { wait: WAIT_MS, keep: true, remember: true });
  const grown = /** @type {Grown | null} */ (found);
  if (!grown?.steps.length) return trouble ? html`<p class="caption">Its training cannot be shown for this text: ${trouble}</p>` : null;
  const last = grown.steps.length - 1;
  const place = grown.steps.findIndex((step) => step === chosen.step);
  const i = place < 0 ? last : place;
  const rows = here ? [grown.attention[i][here.layer][here.head]] : grown.attention[i].flat();
  const weights = rows[0].map((_, t) => rows.reduce((sum, row) => sum + row[t], 0) / rows.length);
  const most = Math.max(...weights);
  const says = grown.says[i];
  const words = `after step ${count(grown.steps[i])} of ${count(grown.steps[last])}`;
  return html`<section class="grown"><h3>Through pretraining</h3>
    <label>Step <input type="range" min="0" max=${last} value=${i} aria-valuetext=${words} onInput=${(e) => select({ ...chosen, run: name, step: grown.steps[Number(e.target.value)] })} /><output>${words}</output></label>
    <${TokenRow} tokens=${seen.tokens.map((one) => one.token)} at=${at} choose=${(token) => select({ ...chosen, run: name, token })} label="The text, as it was read at that step"
      look=${(t) => ({ style: { "--seen": `${t < weights.length ? Math.round((100 * weights[t]) / most) : 0}%` }, "data-here": t === at, "data-behind": t > at })} />
    <p class="caption">Where ${here ? `head ${here.head + 1} of layer ${here.layer + 1}` : "all heads together"} looked back then. What the model would have said next, before the first layer and after each: ${says.tokens.map((token, layer) => html`${layer > 0 && ", "}<code>${visible(token)}</code> ${percent(says.shares[layer])}`)}.</p>
    <p class="caption">${copying(grown)} ${!grown.copied && html`<button type="button" class="link" onClick=${() => change({ prompt: REPEATED, as: "text", talk: null, token: null })}>Read a text that repeats itself</button>`}</p></section>`;
}

/** When a head came to copy, in words. @param {Grown} grown */
function copying({ steps, copied, best: { layer, head, scores } }) {
  if (!copied) return "No token of this text has stood in it before, with others between: an induction head finds nothing here to copy.";
  const end = scores[scores.length - 1];
  const name = `head ${head + 1} of layer ${layer + 1}`;
  const where = `${count(copied)} ${copied === 1 ? "token has" : "tokens have"} stood in this text before. Of all heads, ${name} looks most at what followed then: with ${percent(end)} of its attention`;
  if (end < A_HEAD) return `${where}, too little to call it an induction head.`;
  const step = steps[scores.findIndex((score) => score >= end / 2)];
  return `${where}. It is an induction head; it had half of that after step ${count(step)}.`;
}
