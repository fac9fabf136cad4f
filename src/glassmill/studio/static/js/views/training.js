// The room of a training: pretraining, tuning. The loss as it falls, the speed, and what the model writes at each point.

import { html, useMemo } from "../lib/preact.js";
import { Chart, Spark, together } from "../lib/chart.js";
import { clock, count, decimals, duration, percent, plain, roughly } from "../lib/format.js";
import { smooth } from "../lib/smooth.js";
import { Figure, Nothing, Room } from "../parts/room.js";
import { Slider } from "../parts/slider.js";
import { change, usePlace } from "../state/address.js";
import { select, useSelection } from "../state/selection.js";
import { stageRow } from "../state/stages.js";
import { secondsLeft } from "../state/store.js";

/** @import {Metric, Sample, Validation} from "../state/events.js" */
/** @import {RoomRow} from "../state/answers.js" */
/** @import {Line, Stage} from "../state/store.js" */

/** @param {{room: RoomRow, line: Line, now: number}} props */
export function Training({ room, line, now }) {
  const stage = line.stages[room.main];
  if (stage.status === "absent") return null;
  const metric = stage.metrics.at(-1);
  return html`<${Room} id=${room.id} title=${room.heading} says=${room.says} stages=${[stage]} now=${now}>
    ${stage.plan && html`<${Plan} plan=${stage.plan} />`}
    ${!metric ? html`<${Nothing}>${stage.status === "running" ? "Measuring how fast this machine is, to plan the steps …" : room.waits}</${Nothing}>`
      : html`<${Loss} metrics=${stage.metrics} last=${metric} validations=${stage.validations} /><${Numbers} stage=${stage} metric=${metric} now=${now} />`}
    <${Samples} run=${stage.run} samples=${stage.samples} running=${stage.status === "running"} answers=${stageRow(room.main).model === "assistant"} />
  </${Room}>`;
}

/** @param {{plan: import("../state/events.js").Plan}} props */
function Plan({ plan }) {
  const parts = [
    plan.parameters && `${roughly(plan.parameters)} parameters`,
    plan.steps && `${count(plan.steps)} ${plan.steps === 1 ? "step" : "steps"}`,
    plan.tokens && `${roughly(plan.tokens)} tokens`,
    plan.minutes && `about ${duration(plan.minutes * 60)}`,
  ].filter(Boolean);
  return parts.length ? html`<p class="plan">The plan: ${parts.join(", ")}.</p>` : null;
}

/** What may stand beside the loss, on an axis of its own. @type {Record<string, string>} */
const BESIDE = { held: "held-out bits per byte", grad_norm: "gradient norm", lr: "learning rate", tokens_per_s: "tokens per second" };

/** @param {{metrics: Metric[], last: Metric, validations: Validation[]}} props */
function Loss({ metrics, last, validations }) {
  const beside = usePlace().query.get("beside") ?? (validations.length > 1 ? "held" : "none");
  const data = useMemo(() => curves(metrics, validations, beside), [metrics.length, last.step, validations.length, beside]);
  const held = validations.at(-1);
  const other = BESIDE[beside] && data[3].some((value) => value != null) ? BESIDE[beside] : "";
  return html`<figure class="loss">
    <${Chart} data=${other ? data : data.slice(0, 3)} xLabel="step" yLabel="loss (nats per token)" rightLabel=${other} describe=${`Loss against step; now ${decimals(last.loss, 2)} at step ${last.step}`}
      series=${[{ label: "measured", colour: "--glass-faint", width: 1 }, { label: "smoothed", colour: "--glass", width: 2.5 }, ...(other ? [{ label: other, colour: "--warm", width: 2, right: true }] : [])]}>
      <label class="beside">Beside it <select value=${beside} onChange=${(e) => change({ beside: e.target.value }, true)}><option value="none">nothing</option>${Object.entries(BESIDE).map(([name, title]) => html`<option key=${name} value=${name}>${title}</option>`)}</select></label></${Chart}>
    <p class="caption">A point is the mean of the steps since the point before it; the smooth line fits the points around it.</p>
    <p class="caption">${last.loss == null ? "The loss is no longer a finite number: training has diverged."
      : `A loss of ${decimals(last.loss, 2)} means: on average the right token surprises the model as much as one out of ${plain(Math.round(Math.exp(last.loss) * 10) / 10)} equally likely ones.`}
      ${held?.bits_per_byte != null && html` On text it has never seen, it needed ${decimals(held.bits_per_byte, 2)} bits per byte after step ${count(held.step)}; raw text has 8.`}</p>
  </figure>`;
}

/** Steps, losses, the smoothed losses, and what stands beside them. @param {Metric[]} metrics @param {Validation[]} validations @param {string} beside */
function curves(metrics, validations, beside) {
  const own = metrics.map((metric) => metric.step);
  const losses = metrics.map((metric) => metric.loss);
  const others = beside === "held" ? validations.map((one) => one.bits_per_byte) : metrics.map((one) => /** @type {any} */ (one)[beside] ?? null);
  return together([[own, losses], [own, smooth(own, losses)], [beside === "held" ? validations.map((one) => one.step) : own, others]]);
}

/** @param {{stage: Stage, metric: Metric, now: number}} props */
function Numbers({ stage, metric, now }) {
  const left = secondsLeft(stage, now);
  const bits = stage.validations.map((one) => one.bits_per_byte).filter((value) => value != null);
  const row = (/** @type {"lr" | "tokens_per_s" | "peak_share"} */ name) => stage.metrics.map((one) => one[name]).filter((value) => value != null);
  const norms = stage.norms.at(-1);
  const updates = (/** @type {string} */ group) => stage.norms.map((one) => one.updates[group]).filter((value) => value != null);
  return html`<div class="figures">
    <${Figure} name="Loss" value=${decimals(metric.loss, 3)} says="Surprise per token, mean of the last steps; lower is better." />
    ${bits.length > 0 && html`<${Figure} name="Bits per byte" value=${decimals(bits.at(-1), 3)} says="Of this model on the first held-out documents; comparable between tokenizers. The report card has the finished model, on all of them."><${Spark} values=${bits} describe="Bits per byte over time" /></${Figure}>`}
    ${stage.scores.has("held_out_loss") && html`<${Figure} name="Loss on held-out talk" value=${decimals(stage.scores.get("held_out_loss"), 3)} says="Nats per token on conversations it never trains on." />`}
    ${metric.tokens_per_s != null && html`<${Figure} name="Tokens per second" value=${count(metric.tokens_per_s)} says=${metric.tokens ? `${roughly(metric.tokens)} tokens read so far.` : "How fast it reads."}><${Spark} values=${row("tokens_per_s")} describe="Tokens per second over time" /></${Figure}>`}
    ${metric.lr != null && html`<${Figure} name="Learning rate" value=${plain(metric.lr)} says="How big each nudge is: warm up, hold, cool down."><${Spark} values=${row("lr")} describe="Learning rate over time" /></${Figure}>`}
    ${metric.peak_share != null && html`<${Figure} name="Share of peak" value=${percent(metric.peak_share)} says="Of the fastest matrix products this machine can do, as measured."><${Spark} values=${row("peak_share")} describe="Share of the matrix peak over time" /></${Figure}>`}
    ${norms && Object.entries(norms.updates).map(([group, ratio]) => html`<${Figure} key=${group} name=${`Update of ${group}`} value=${plain(ratio)} says=${`Size of a step over size of the weights, at step ${count(norms.step)}; its gradient had norm ${plain(norms.gradients[group])}.`}><${Spark} values=${updates(group)} describe=${`Update-to-weight ratio of ${group} over time`} /></${Figure}>`)}
    ${left != null && html`<${Figure} name="Time left" value=${clock(left)} says="At the current speed." />`}
  </div>`;
}

/** The same prompts, continued by the model at different steps. @param {{run: string | null, samples: Map<string, Sample[]>, running: boolean, answers: boolean}} props */
function Samples({ run, samples, running, answers }) {
  const chosen = useSelection(run).step;
  const steps = useMemo(() => [...new Set([...samples.values()].flat().map((sample) => sample.step))].sort((a, b) => a - b), [samples.size, [...samples.values()].map((list) => list.length).join()]);
  if (!steps.length) return null;
  const at = chosen != null && steps.includes(chosen) ? steps.indexOf(chosen) : steps.length - 1;
  const step = steps[at];
  const choose = (/** @type {number} */ place) => select({ run, step: place === steps.length - 1 ? null : steps[place] });
  return html`<div class="samples">
    <h3>What it ${answers ? "answers" : "writes"} at step ${count(step)}</h3>
    <p class="caption">The same ${answers ? "questions, answered" : "openings, continued"} by the model as it was at that step. ${steps.length > 1 ? "Move the slider back to see how it started." : ""}${steps[0] === 0 ? " It shows the model before the first step, then after 1, 2, 4, 8, … steps." : ""}</p>
    <${Slider} label="Moment of training" at=${at} most=${steps.length - 1} says=${`step ${step}`} ends=${[`step ${count(steps[0])}`, running ? "now" : `step ${count(steps.at(-1))}`]} choose=${choose} />
    <ul>${[...samples].map(([prompt, texts]) => {
      const shown = texts.filter((sample) => sample.step <= step).at(-1);
      return shown && html`<li key=${prompt}><p class="sample"><span class="prompt">${prompt}</span>${answers ? `\n${shown.text}` : continuation(prompt, shown.text)}</p></li>`;
    })}</ul></div>`;
}

/** The model's part, if the text repeats the prompt. @param {string} prompt @param {string} text */
function continuation(prompt, text) {
  return text.startsWith(prompt) ? text.slice(prompt.length) : (/^\s/.test(text) || /\s$/.test(prompt) ? text : ` ${text}`);
}
