// The room of `rl`: how the rewards rise, and of every round the answers that were drawn, what each was worth and taught.

import { html, useMemo } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { Chart, together } from "../lib/chart.js";
import { count, decimals, percent, plain } from "../lib/format.js";
import { Figure, Nothing, Pager, Room } from "../parts/room.js";
import { Slider } from "../parts/slider.js";
import { change, usePlace } from "../state/address.js";
import { select, useSelection } from "../state/selection.js";

/** @import {Rollouts} from "../state/events.js" */
/** @import {Group, RoomRow} from "../state/answers.js" */
/** @import {Line, Stage} from "../state/store.js" */

const HELD_OUT = "held_out_reward: ";
const DRAWN = "reward"; // the mean of a round's answers
const TEACH = "groups_that_teach";
const COLOURS = ["--glass", "--warm", "--good", "--poor", "--soft", "--ink"];

const kindOf = (/** @type {string} */ name) => name.slice(HELD_OUT.length).replaceAll("_", " ");

/** @param {{room: RoomRow, line: Line, now: number}} props */
export function Practice({ room, line, now }) {
  const stage = line.stages[room.main];
  const last = (/** @type {string} */ name) => stage.marks.get(name)?.at(-1)?.value;
  const kinds = [...stage.marks.keys()].filter((name) => name.startsWith(HELD_OUT));
  return html`<${Room} id=${room.id} title=${room.heading} says=${room.says} stages=${[stage]} now=${now}>
    ${!stage.rollouts.length && html`<${Nothing}>${stage.status === "running" ? "The first answers are being drawn …" : stage.status === "waiting" ? room.waits : "No answers were recorded."}</${Nothing}>`}
    <${Rewards} marks=${stage.marks} names=${[DRAWN, ...kinds].filter((name) => stage.marks.has(name))} />
    ${stage.marks.size > 0 && html`<div class="figures">
      ${last(DRAWN) != null && html`<${Figure} name="Reward" value=${decimals(last(DRAWN), 3)} says="Mean of the answers that the last round drew." />`}
      ${last(TEACH) != null && html`<${Figure} name="Groups that teach" value=${percent(last(TEACH))} says="Of those that a round needs: their answers differ in worth." />`}
      ${kinds.map((name) => html`<${Figure} key=${name} name=${`Held out: ${kindOf(name)}`} value=${decimals(last(name), 3)} says="Mean reward on tasks that it never practises, by the likeliest answer." />`)}</div>`}
    ${stage.rollouts.length > 0 && html`<${Rounds} stage=${stage} />`}
  </${Room}>`;
}

/** @param {{marks: Stage["marks"], names: string[]}} props */
function Rewards({ marks, names }) {
  const data = useMemo(() => together(names.map((name) => {
    const own = marks.get(name) ?? [];
    return [own.map((one) => one.step), own.map((one) => one.value)];
  })), [names.map((name) => `${name}${marks.get(name)?.length}`).join()]);
  if (data[0].length < 2) return null;
  const title = (/** @type {string} */ name) => (name === DRAWN ? "drawn answers" : `held out: ${kindOf(name)}`);
  return html`<figure class="loss"><${Chart} data=${data} xLabel="step" yLabel="mean reward" describe="Mean reward against step" series=${names.map((name, i) => ({ label: title(name), colour: COLOURS[i % COLOURS.length], width: i ? 2 : 2.5 }))} /></figure>`;
}

/** One round after the other, with all its groups as soon as they are written down. @param {{stage: Stage}} props */
function Rounds({ stage }) {
  const { rollouts, run } = stage;
  const chosen = useSelection(run).step;
  const found = chosen == null ? -1 : rollouts.findLastIndex((one) => one.step <= chosen);
  const at = found < 0 ? rollouts.length - 1 : found;
  const told = rollouts[at];
  const path = `/api/runs/${run}/rollouts?step=${told.step}`;
  const { found: groups } = useAsked(path, (signal) => getJson(path, { signal }), { wait: 120 });
  const all = /** @type {Group[]} */ (groups?.groups ?? [asGroup(told)]);
  const place = Math.min(all.length - 1, Math.max(0, Math.floor(Number(usePlace().query.get("group")) || 1) - 1));
  const choose = (/** @type {number} */ to) => select({ run, step: to === rollouts.length - 1 ? null : rollouts[to].step });
  return html`<div class="samples"><h3>Answers drawn before step ${count(told.step + 1)}</h3>
    <p class="caption">An answer's advantage is by how many standard deviations it beats the others to the same task: above 0 it becomes likelier, below 0 less likely.</p>
    <${Slider} label="Round" at=${at} most=${rollouts.length - 1} says=${`step ${told.step + 1}`} ends=${[`step ${count(rollouts[0].step + 1)}`, stage.status === "running" ? "now" : `step ${count((rollouts.at(-1)?.step ?? 0) + 1)}`]} choose=${choose} />
    <${Answers} group=${all[place]} />
    ${all.length > 1 && html`<${Pager} label="Tasks of this round" at=${place} last=${all.length - 1} says=${`task ${count(place + 1)} of ${count(all.length)}`} turn=${(to) => change({ group: to ? to + 1 : null }, true)} />`}
  </div>`;
}

/** @param {Rollouts} told @returns {Group} */
function asGroup({ prompt, texts, rewards, advantages }) {
  return { prompt, kind: "", learned: true, shown: false, answers: texts.map((text, i) => ({ text, reward: rewards[i] ?? null, advantage: advantages[i] ?? null })) };
}

/** @param {{group: Group}} props */
function Answers({ group }) {
  const most = Math.max(1e-6, ...group.answers.map((one) => Math.abs(one.advantage ?? 0)));
  return html`<div class="rollouts"><p class="prompt">${group.prompt}</p>
    ${!group.learned && html`<p class="caption">All answers were worth the same, or the round was full: nothing was learned from them.</p>`}
    <div class="wide"><table class="listing"><thead><tr><th scope="col">Answer</th><th scope="col" class="number">Reward</th><th scope="col" class="number">Advantage</th></tr></thead>
    <tbody>${group.answers.map((one, i) => html`<tr key=${i}><td class="rollout">${one.text || html`<span class="caption">nothing</span>`}${group.shown && i === group.answers.length - 1 && html` <span class="caption">(the task's own solution)</span>`}</td>
      <td class="number" data-name="reward">${plain(one.reward)}</td>
      <td class="number" data-name="advantage">${decimals(one.advantage, 2)} <span class="advantage" data-sign=${(one.advantage ?? 0) < 0 ? "against" : "for"} aria-hidden="true"><span style=${{ width: `${(50 * Math.abs(one.advantage ?? 0)) / most}%` }}></span></span></td></tr>`)}</tbody></table></div></div>`;
}
