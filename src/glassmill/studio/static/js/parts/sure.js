// How sure a model was: tokens with their chances, and what else could have stood at one place.

import { html, useState } from "../lib/preact.js";
import { decimals, percent, visible } from "../lib/format.js";
import { Bar } from "./room.js";

/** @import {Share, Token} from "../lib/completion.js" */

const LEAST_REST = 0.0005;

/** Every token, the paler the surer; one that is chosen shows what else it could have been.
 * @param {{tokens: Token[], text: string, fork: ((before: string, at: number, other: Share) => void) | null}} props `text`: what they became; `fork`: go on from another token, behind the text `before` it */
export function Tokens({ tokens, text, fork }) {
  const [picked, setPicked] = useState(/** @type {number | null} */ (null));
  const token = picked == null ? null : tokens[picked];
  const before = tokens.slice(0, picked ?? 0).map((one) => one.text).join("");
  const take = fork && text.startsWith(before) ? (/** @type {Share} */ other) => fork(before, picked ?? 0, other) : null; // else something lies between: a control token, or what the calculator wrote
  return html`<div><p class="sure">${tokens.map((one, i) => html`<button type="button" key=${i} class="sure-token" data-doubt=${doubt(one.share)} aria-pressed=${picked === i}
      onClick=${() => setPicked(i)} onMouseEnter=${() => setPicked(i)} title=${percent(one.share)}>${one.text.replaceAll("\n", "⏎\n")}</button>`)}</p>
    ${token ? html`<${Others} token=${token} take=${take} />`
      : html`<p class="caption">The stronger the colour, the smaller the share of the token that was written. Choose one to see the others.</p>`}</div>`;
}

/** The likeliest tokens at one place, with the one that was written. @param {{token: Token, take: ((other: Share) => void) | null}} props */
function Others({ token, take }) {
  const rest = 1 - token.others.reduce((sum, other) => sum + other.share, 0);
  return html`<div class="others" role="status"><p class="caption">${token.temperature > 0
      ? `The chance of each token at temperature ${decimals(token.temperature, 1)}.`
      : "The model's own share for each token; temperature 0 always writes the largest."}${take && " Choose another one to go on from it."}</p>
    <${Shares} rows=${token.others.map((other) => ({ ...other, act: take && !other.taken && isText(other.text) ? () => take(other) : null }))} />
    ${rest > LEAST_REST && html`<div class="other rest"><span>all others</span><${Bar} of=${rest} /><span class="number">${percent(rest)}</span></div>`}</div>`;
}

/** Tokens with their shares, a row each. @param {{rows: {text: string, share: number, taken?: boolean, act?: (() => void) | null}[]}} props */
export function Shares({ rows }) {
  return rows.map(({ text, share, taken, act }, i) => html`<div class="other" key=${i} data-taken=${taken ?? false}>
    ${act ? html`<button type="button" class="link" onClick=${act} title="Go on from this token"><code>${visible(text)}</code></button>` : html`<code>${visible(text)}${taken && html`<span class="visually-hidden"> (written)</span>`}</code>`}
    <${Bar} of=${share} /><span class="number">${percent(share)}</span></div>`);
}

/** Not a control token, nor a part of a character. @param {string} text */
const isText = (text) => text !== "" && !/^(<\|.*\|>$|bytes:)/s.test(text);

/** 0 (sure) to 4 (a guess). @param {number} share */
const doubt = (share) => [0.9, 0.6, 0.3, 0.1].filter((bound) => share < bound).length;
