// The Transformer as a picture of this model: from the embedding below to the next token above, a row a layer, with every
// head as a field. A field's colour is what the part adds to the chosen token's logit.

import { html } from "../lib/preact.js";
import { count, decimals, percent, roughly, visible } from "../lib/format.js";

/** @import {Seen, Step, Token} from "../state/answers.js" */

/** @param {{seen: Seen, step: Step | null, at: number, next: Token, here: {layer: number, head: number} | null, pick: (one: {layer: number, head: number}) => void, over: (one: {layer: number, head: number} | null) => void}} props */
export function Anatomy({ seen, step, at, next, here, pick, over }) {
  const { shape, norms, lens, added } = seen;
  const parts = step?.attribution;
  const most = parts ? Math.max(1e-6, ...parts.heads.flat().map(Math.abs), ...parts.feed_forward.map(Math.abs), Math.abs(parts.embedding)) : 1;
  const longest = Math.max(...norms.map((row) => row[at]));
  const strength = (/** @type {number | undefined} */ value) => ({ "--strength": value == null ? 0 : Math.sqrt(Math.abs(value) / most).toFixed(3) });
  const sign = (/** @type {number | undefined} */ value) => (value != null && value < 0 ? "against" : "for");
  const layers = Array.from({ length: shape.num_layers }, (_, i) => shape.num_layers - 1 - i);
  const reading = (/** @type {number} */ row) => html`<span class="lens" data-right=${lens[row][at].ids[0] === next.id}><code>${visible(lens[row][at].tokens[0])}</code><span class="number">${percent(Math.exp(lens[row][at].logprobs[0]))}</span></span>`;
  const length = (/** @type {number} */ row, /** @type {string} */ title) => html`<span class="stream-length" title=${title}><span style=${{ width: `${(100 * norms[row][at]) / longest}%` }}></span><b>${decimals(norms[row][at], 1)}</b></span>`;
  return html`<figure class="anatomy" style=${{ "--heads": shape.num_heads }}>
    <figcaption class="caption">${roughly(shape.parameters.all)} parameters. Read it upwards. The stronger a field is coloured, the more it adds to the logit of <code>${visible(next.token)}</code>, <span class="sign-key" data-sign="for">for it</span> or <span class="sign-key" data-sign="against">against it</span>. Point at a head to see where it looks; a click keeps it.</figcaption>
    <div class="anatomy-row anatomy-head"><span></span><span>${count(shape.num_heads)} heads of ${count(shape.head_dim)} channels${shape.num_kv_heads < shape.num_heads ? ` that share ${shape.num_kv_heads > 1 ? `${count(shape.num_kv_heads)} sets` : "one set"} of keys` : ""}</span><span>feed-forward</span><span>vector</span><span>would say</span></div>
    <div class="anatomy-row"><span class="anatomy-name">next token</span><span class="anatomy-block wide">norm, ${count(shape.d_model)} → ${count(shape.vocab_size)}${shape.tie_embeddings ? ", the embedding again" : ""}</span><span></span>${reading(shape.num_layers)}</div>
    <ol reversed>${layers.map((layer) => html`<li class="anatomy-row" key=${layer}>
      <span class="anatomy-name">layer ${layer + 1}</span>
      <span class="anatomy-heads">${Array.from({ length: shape.num_heads }, (_, head) => html`<button type="button" key=${head} data-sign=${sign(parts?.heads[layer][head])} style=${strength(parts?.heads[layer][head])}
        aria-pressed=${here?.layer === layer && here?.head === head} aria-label=${`layer ${layer + 1}, head ${head + 1}`} title=${`layer ${layer + 1}, head ${head + 1}${parts ? `: ${decimals(parts.heads[layer][head], 2)}` : ""}`}
        onClick=${() => pick({ layer, head })} onMouseEnter=${() => over({ layer, head })} onMouseLeave=${() => over(null)} onFocus=${() => over({ layer, head })} onBlur=${() => over(null)}></button>`)}</span>
      <span class="anatomy-mlp" data-sign=${sign(parts?.feed_forward[layer])} style=${strength(parts?.feed_forward[layer])} title=${`feed-forward of layer ${layer + 1}, ${shape.d_model} → ${shape.d_ff} → ${shape.d_model}${parts ? `: ${decimals(parts.feed_forward[layer], 2)}` : ""}`}>${count(shape.d_ff)}</span>
      ${length(layer + 1, `attention adds a vector of length ${decimals(added.attention[layer][at], 1)}, the feed-forward part one of ${decimals(added.feed_forward[layer][at], 1)}; the sum has ${decimals(norms[layer + 1][at], 1)}`)}
      ${reading(layer + 1)}</li>`)}</ol>
    <div class="anatomy-row"><span class="anatomy-name">embedding</span><span class="anatomy-block wide" data-sign=${sign(parts?.embedding)} style=${strength(parts?.embedding)}>${count(shape.vocab_size)} × ${count(shape.d_model)}</span>
      ${length(0, `length ${decimals(norms[0][at], 1)}`)}${reading(0)}</div>
  </figure>`;
}
