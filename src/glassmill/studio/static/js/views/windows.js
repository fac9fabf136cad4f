// The windows that training drew: what a step read, whose text it is, and what each token cost, then and now.

import { html } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { count, decimals, percent, visible } from "../lib/format.js";
import { Figure, Nothing, Room, Trouble } from "../parts/room.js";
import { Slider } from "../parts/slider.js";
import { WayThrough } from "../parts/way.js";
import { address, change, usePlace } from "../state/address.js";
import { select, useSelection } from "../state/selection.js";
import { firstTraining, isFinished, lastModel } from "../state/stages.js";

/** @import {Drawn} from "../state/answers.js" */
/** @import {Line} from "../state/store.js" */

const DEAREST = 8; // nats, in full colour; the dearest of a vocabulary of 3,000 when all are equally likely
const MOST_FIND = 100; // characters that can be looked for
const KINDS = /** @type {const} */ ({ now: "loss now", then: "loss then", change: "change since" });

/** @param {{line: Line}} props */
export function Windows({ line }) {
  const stage = line.stages[firstTraining()];
  const model = line.stages[lastModel(line)?.name ?? ""];
  const run = model && isFinished(model) ? model.run : stage.run;
  const { query } = usePlace();
  const step = Math.max(1, useSelection(stage.run).step ?? 1);
  const row = Math.max(1, Math.floor(Number(query.get("row")) || 1));
  const path = isFinished(stage) ? `/api/runs/${run}/window?${new URLSearchParams({ step: String(step), row: String(row) })}` : null;
  const { found, trouble } = useAsked(path, (signal) => getJson(path ?? "", { signal }), { wait: 120, keep: true });
  return html`<${Room} id="windows" title="What a step read" says="Training reads the documents as one long row of tokens, cut into windows. Each step draws some of them, in an order that the seed decides, and has to guess every token from those before it in its window.">
    ${!path && html`<${Nothing}>The windows can be looked at when training is done.</${Nothing}>`}
    <${Trouble} says=${trouble} />
    ${path && !found && !trouble && html`<${Nothing}>Opening …</${Nothing}>`}
    ${found && html`<${Choice} drawn=${found} step=${step} row=${row} run=${stage.run} /><${Drawn} drawn=${found} run=${stage.run} />`}
  </${Room}>`;
}

/** @param {{drawn: Drawn, step: number, row: number, run: string | null}} props */
function Choice({ drawn, step, row, run }) {
  const go = (/** @type {number} */ to) => select({ run, step: Math.min(drawn.steps, Math.max(1, to || 1)), token: null });
  const turn = (/** @type {number} */ to) => change({ row: Math.min(drawn.rows, Math.max(1, to || 1)), token: null }, true);
  const number = (/** @type {string} */ name, /** @type {number} */ value, /** @type {number} */ most, /** @type {(to: number) => void} */ set) => html`<label>${name}
    <input type="number" min="1" max=${most} value=${value} onChange=${(e) => set(Math.floor(Number(e.target.value)))} /> of ${count(most)}</label>`;
  return html`<div class="window-choice">${number("Step", step, drawn.steps, go)} ${number("Window", row, drawn.rows, turn)}</div>
    <${Slider} label="Step of the training" at=${step - 1} most=${drawn.steps - 1} says=${`step ${step}`} ends=${["step 1", `step ${count(drawn.steps)}`]} choose=${(at) => go(at + 1)} />
    ${drawn.measured.length > 0 && html`<div class="chips" role="group" aria-label="Steps whose first window was measured"><span class="caption">Measured then:</span>
      ${drawn.measured.map((one) => html`<button type="button" class="chip" key=${one} aria-pressed=${one === step && row === 1} onClick=${() => (turn(1), go(one))}>${count(one)}</button>`)}</div>`}`;
}

/** @param {{drawn: Drawn, run: string | null}} props */
function Drawn({ drawn, run }) {
  const wanted = usePlace().query.get("by") ?? "";
  const chosen = useSelection(run).token;
  const { then, now, mean, tokens, documents } = drawn;
  const moved = then && now && now.map((loss, i) => loss - then[i]);
  const by = /** @type {Record<string, number[] | null>} */ ({ now, then, change: moved });
  const kinds = Object.keys(KINDS).filter((kind) => by[kind]);
  const kind = kinds.includes(wanted) ? wanted : kinds[0];
  const starts = new Map(documents.map((one, i) => [one.first, i + 1]));
  const at = chosen != null && tokens[chosen] ? chosen : null;
  const pick = (/** @type {number | null} */ token) => select({ run, token });
  const move = (/** @type {any} */ event) => {
    const by = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1, Enter: 0, " ": 0 })[event.key];
    const all = [...event.currentTarget.querySelectorAll("[role=button]")];
    const to = by === undefined ? -1 : all.indexOf(event.target) + by;
    if (!all[to]) return;
    event.preventDefault();
    pick(Number(all[to].dataset.at));
    all[to].focus();
  };
  return html`<div class="figures">
      <${Figure} name=${then ? "Then" : "Then, on average"} value=${decimals(then ? average(then) : mean?.loss, 3)} says=${then ? `Nats a token of this window, before step ${count(drawn.step)} learned from it.` : mean ? `Nats a token of all windows of ${mean.first < mean.last ? `steps ${count(mean.first)} to ${count(mean.last)}` : "this step"}; this one alone was not measured.` : "Not measured."} />
      <${Figure} name="Now" value=${decimals(now && average(now), 3)} says=${now ? `Nats a token of this window, by the model of ${drawn.now_by}.` : "No model of this run is left to ask."} />
      <${Figure} name="Epoch" value=${count(drawn.epoch)} says=${`Which pass through ${drawn.part || "the text"} this was.`} /></div>
    ${kinds.length > 1 && html`<div class="chips" role="group" aria-label="Colours">${kinds.map((one) => html`<button type="button" class="chip" key=${one} aria-pressed=${one === kind} onClick=${() => change({ by: one }, true)}>${KINDS[/** @type {keyof typeof KINDS} */ (one)]}</button>`)}</div>`}
    <p class="caption">${kind === "change" ? "The stronger the colour, the more the loss changed: down (blue-green) or up (orange)." : "The stronger the colour, the less the model expected the token."} Choose a token for its numbers; the arrow keys go on from there.</p>
    <div class="window" role="group" aria-label=${`Tokens of window ${drawn.row} of step ${drawn.step}`} onKeyDown=${move}>${tokens.map((text, i) => {
      const loss = i && kind ? (by[kind]?.[i - 1] ?? 0) : 0;
      return html`${starts.has(i) && html`<sup title=${`Document ${starts.get(i)}`}>${starts.get(i)}</sup>`}${text && html`<span role="button" key=${i} data-at=${i} tabindex=${i === (at ?? 0) ? 0 : -1} aria-pressed=${i === at} data-sign=${loss < 0 ? "for" : "against"}
        style=${{ "--strength": Math.min(1, Math.abs(loss) / (kind === "change" ? DEAREST / 2 : DEAREST)).toFixed(2) }} onClick=${() => pick(i === at ? null : i)}>${text.trim() || text === " " ? text : `${visible(text)}${text.includes("\n") ? "\n" : ""}`}</span>`}`;
    })}</div>
    ${at != null && html`<p class="token-facts" role="status"><span class="piece joined">${visible(tokens[at])}</span> ${drawn.ids[at] == null ? "stands for personal data, which is masked" : html`is token <strong>${drawn.ids[at]}</strong>`}, ${at ? `guessed from the ${count(at)} before it` : "where the window begins: it is only read"}.
      ${at > 0 && then && ` Before step ${count(drawn.step)} it cost ${cost(then[at - 1])}.`}${at > 0 && now && ` Now it costs ${cost(now[at - 1])}.`}</p>`}
    <h3>${documents.length === 1 ? "One document" : `${count(documents.length)} documents`}</h3>
    <ol class="trace-pages">${documents.map((one) => html`<li key=${one.first}>
      <p class="url">${one.url ?? one.source ?? `${one.shard}, row ${count(one.row)}`}</p>
      <p class="provenance">${one.first ? `From token ${count(one.first + 1)} of the window, from its beginning` : one.skipped ? `From its token ${count(one.skipped + 1)}` : "From its beginning"}; it has ${count(one.tokens)}.</p>
      ${drawn.corpus && one.url && html`<p><a href=${address("documents", { find: one.url.slice(-MOST_FIND) })}>The page among the documents</a></p>
        <${WayThrough} key=${`${one.shard} ${one.row}`} path=${`/api/runs/${drawn.corpus}/way?${new URLSearchParams({ shard: one.shard, row: String(one.row) })}`}/>`}
    </li>`)}</ol>`;
}

const average = (/** @type {number[]} */ losses) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
const cost = (/** @type {number} */ loss) => `${decimals(loss, 2)} nats (a chance of ${percent(Math.exp(-loss))})`;
