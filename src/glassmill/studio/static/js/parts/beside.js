// Two runs side by side: what differs in their recipes, the funnel, the losses, the report.

import { html, useEffect, useMemo, useState } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { Chart, together } from "../lib/chart.js";
import { count, decimals, percent, plain } from "../lib/format.js";
import { smooth } from "../lib/smooth.js";
import { Nothing } from "./room.js";
import { useLine } from "../state/line.js";
import { isFinished, rooms, stageNames, stageRow, stageShowing } from "../state/stages.js";
import { scoreWords, stepWords } from "../state/words.js";

/** @import {Line, Stage} from "../state/store.js" */

const MOST_SHOWN = 60;

/** @param {{one: string, other: string}} props names of two runs */
export function Beside({ one, other }) {
  const lines = [useLine(one), useLine(other)];
  if (lines.some((line) => !line.name)) return html`<${Nothing}>Opening both …</${Nothing}>`;
  return html`<section class="beside-runs" aria-labelledby="beside-title"><h3 id="beside-title">${one} and ${other}</h3>
    <${Settings} lines=${lines} />
    <${Scores} lines=${lines} />
    ${rooms().filter((room) => room.shows === "curve").map((room) => html`<${Curves} key=${room.id} stages=${lines.map((line) => line.stages[room.main])} names=${[one, other]} />`)}
    <${Funnels} lines=${lines} />
  </section>`;
}

/** @param {{caption: string, names: string[], rows: [string, any, any][], note?: string}} props */
function Columns({ caption, names, rows, note }) {
  return html`<div class="wide"><table class="listing columns"><caption>${caption}${note && html` <span class="caption">${note}</span>`}</caption>
    <thead><tr><td></td>${names.map((name) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
    <tbody>${rows.map(([name, a, b]) => html`<tr key=${name}><th scope="row">${name}</th><td class="number">${a}</td><td class="number">${b}</td></tr>`)}</tbody></table></div>`;
}

/** The settings that differ, of every stage that both have finished. @param {{lines: Line[]}} props */
function Settings({ lines }) {
  const [rows, setRows] = useState(/** @type {[string, any, any][] | null} */ (null));
  const pairs = stageNames().map((name) => lines.map((line) => line.stages[name])).filter((pair) => pair.every(isFinished) && pair[0].run !== pair[1].run);
  const runs = pairs.map((pair) => pair.map((stage) => stage.run).join(" ")).join();
  useEffect(() => {
    const ask = (/** @type {Stage[]} */ pair) => getJson(`/api/runs/compare?${new URLSearchParams(pair.map((stage) => ["run", stage.run ?? ""]))}`).catch(() => null);
    Promise.all(pairs.map(ask)).then((answers) => {
      const differing = answers.flatMap((answer, i) => [
        ...Object.entries(answer?.settings ?? {}),
        ...Object.entries(answer?.machine ?? {}).map(([name, values]) => [`${stageRow(pairs[i][0].stage).title}: ${name}`, values]),
      ]);
      setRows(differing.map(([name, [a, b]]) => [name, shown(a), shown(b)]));
    });
  }, [runs]);
  const names = lines.map((line) => line.name);
  if (!pairs.length) return html`<p class="caption">They share every stage that both have finished.</p>`;
  if (!rows) return null;
  if (!rows.length) return html`<p class="caption">Their settings are equal: what differs comes from what they read.</p>`;
  return html`<${Columns} caption="Settings that differ" names=${names} rows=${rows} />`;
}

/** @param {any} value */
function shown(value) {
  const text = value == null ? "–" : typeof value === "number" ? plain(value) : typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)} …` : text;
}

/** @param {{lines: Line[]}} props */
function Scores({ lines }) {
  const scores = lines.map((line) => stageShowing(line, "scores")?.scores ?? new Map());
  const rows = scoreWords().filter(({ name }) => scores.some((of) => of.has(name)));
  if (!rows.length) return null;
  const text = (/** @type {string} */ form, /** @type {number | null | undefined} */ value) => (value == null ? "–" : form === "bits" ? decimals(value, 2) : percent(value));
  return html`<${Columns} caption="Report" names=${lines.map((line) => line.name)} rows=${rows.map(({ name, title, form, says }) => [html`<span title=${says}>${title}</span>`, ...scores.map((of) => text(form, of.get(name)))])} />`;
}

/** Both losses in one chart. @param {{stages: Stage[], names: string[]}} props */
function Curves({ stages, names }) {
  const lengths = stages.map((stage) => stage.metrics.length).join();
  const data = useMemo(() => overlaid(stages), [lengths]);
  if (!stages.every((stage) => stage.metrics.length)) return null;
  return html`<figure class="loss">
    <${Chart} data=${data} xLabel="step" yLabel="loss (nats per token)" describe=${`Loss of both against step; now ${stages.map((stage) => decimals(stage.metrics.at(-1)?.loss, 2)).join(" and ")}`}
      series=${[{ label: names[0], colour: "--glass", width: 2.2 }, { label: names[1], colour: "--warm", width: 2.2 }]}><span>${stageRow(stages[0].stage).title}, smoothed</span></${Chart}></figure>`;
}

/** The steps of both, and each one's smoothed losses at its own. @param {Stage[]} stages */
function overlaid(stages) {
  return together(stages.map(({ metrics }) => {
    const own = metrics.map((metric) => metric.step);
    return [own, smooth(own, metrics.map((metric) => metric.loss))];
  }));
}

/** @param {{lines: Line[]}} props */
function Funnels({ lines }) {
  const funnels = lines.map((line) => stageShowing(line, "funnel")?.funnel ?? new Map());
  if (funnels.some((funnel) => !funnel.size)) return null;
  const steps = [...new Set(funnels.flatMap((funnel) => [...funnel.keys()]))];
  const ends = funnels.map((funnel) => [...funnel.values()]);
  const dropped = (/** @type {any} */ step) => (step ? count(step.in - step.out) : "–");
  const rows = [
    ["Pages in", ...ends.map((all) => count(Math.max(...all.map((step) => step.in))))],
    ...steps.map((name) => [stepWords(name).title, ...funnels.map((funnel) => dropped(funnel.get(name)))]),
    ["Documents kept", ...ends.map((all) => count(all.at(-1)?.out))],
  ];
  return html`<${Columns} caption="Funnel" note="pages that each step dropped" names=${lines.map((line) => line.name)} rows=${rows} />`;
}
