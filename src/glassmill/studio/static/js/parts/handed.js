// A run's report to hand on: as Markdown, and as one HTML file that needs nothing else.

import { html } from "../lib/preact.js";
import { clock, count, decimals, percent, plain, roughly } from "../lib/format.js";
import { save } from "../lib/save.js";
import { has, stageNames, stageRow, stageShowing } from "../state/stages.js";
import { elapsed } from "../state/store.js";
import { STATUS_WORDS, scoreWords, stepWords } from "../state/words.js";

/** @import {Line} from "../state/store.js" */
/** @typedef {{title: string, head: string[], rows: string[][]}} Table the first column is text, the others are numbers or text */

const STYLE = `:root{color-scheme:light dark}body{font:16px/1.55 system-ui,sans-serif;max-width:52rem;margin:3rem auto;padding:0 1.2rem}
h1{font:600 2.2rem/1.15 Georgia,serif}h2{font:600 1.3rem Georgia,serif;margin-top:2.4rem}table{width:100%;border-collapse:collapse;font-size:.9rem}
th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #8884;vertical-align:baseline;overflow-wrap:anywhere}td+td{font-variant-numeric:tabular-nums}`;

/** @param {{line: Line, scores: Record<string, any>, now: number}} props */
export function HandOn({ line, scores, now }) {
  const file = (/** @type {string} */ ending, /** @type {string} */ kind, /** @type {(title: string, tables: Table[]) => string} */ write) => () =>
    save(`${line.name}-report.${ending}`, kind, write(`Report of ${line.name}`, tables(line, scores, now)));
  return html`<p class="buttons hand-on"><span class="caption">Hand it on:</span>
    <button type="button" class="quiet" onClick=${file("md", "text/markdown", asMarkdown)}>Markdown</button>
    <button type="button" class="quiet" onClick=${file("html", "text/html", asHtml)}>One HTML file</button></p>`;
}

/** What the report says. @param {Line} line @param {Record<string, any>} scores @param {number} now @returns {Table[]} */
function tables(line, scores, now) {
  const stages = stageNames().filter((name) => has(line, name)).map((name) => line.stages[name]);
  const funnel = [...(stageShowing(line, "funnel")?.funnel.values() ?? [])];
  const shown = (/** @type {string} */ form, /** @type {number} */ value) => (form === "bits" ? decimals(value, 3) : percent(value));
  return [
    { title: "What the model can do", head: ["Score", "Value", "Meaning"], rows: scoreWords().filter(({ name }) => typeof scores[name] === "number").map(({ name, title, form, says }) => [title, shown(form, scores[name]), says]) },
    {
      title: "From pages to documents",
      head: ["Step", "Pages in", "Dropped", "Kept"],
      rows: funnel.map((step) => [stepWords(step.step).title, count(step.in), count(step.in - step.out), count(step.out)]),
    },
    {
      title: "Training",
      head: ["Stage", "Weights", "Steps", "Tokens", "Loss (nats per token)", "Bits per byte, held out"],
      rows: stages.filter((stage) => stage.metrics.length).map((stage) => {
        const last = stage.metrics.at(-1);
        return [stageRow(stage.stage).title, roughly(stage.plan?.parameters), count(last?.step), roughly(last?.tokens), decimals(last?.loss, 3), decimals(stage.validations.at(-1)?.bits_per_byte, 3)];
      }),
    },
    {
      title: "Stages",
      head: ["Stage", "State", "Time", "Run folder"],
      rows: stages.map((stage) => [stageRow(stage.stage).title, STATUS_WORDS[stage.status], elapsed(stage, now) == null ? "–" : `${clock(elapsed(stage, now))}`, stage.run ?? "–"]),
    },
    { title: "Other numbers", head: ["Number", "Value"], rows: Object.entries(scores).filter(([name, value]) => typeof value === "number" && !scoreWords().some((words) => words.name === name)).map(([name, value]) => [name.replaceAll("_", " "), plain(value)]) },
  ].filter((table) => table.rows.length);
}

/** @param {string} title @param {Table[]} all */
export function asMarkdown(title, all) {
  const cell = (/** @type {string} */ text) => text.replaceAll("\\", "\\\\").replace(/[|<>*_`[\]]/g, "\\$&").replaceAll("\n", " ");
  const row = (/** @type {string[]} */ cells) => `| ${cells.map(cell).join(" | ")} |`;
  const parts = all.map(({ title: name, head, rows }) => [`## ${cell(name)}`, "", row(head), `|${"---|".repeat(head.length)}`, ...rows.map(row), ""].join("\n"));
  return [`# ${cell(title)}`, "", ...parts].join("\n");
}

/** @param {string} title @param {Table[]} all */
export function asHtml(title, all) {
  const text = (/** @type {string} */ words) => words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
  const cells = (/** @type {string} */ tag, /** @type {string[]} */ row) => `<tr>${row.map((one) => `<${tag}>${text(one)}</${tag}>`).join("")}</tr>`;
  const parts = all.map(({ title: name, head, rows }) => `<h2>${text(name)}</h2><table><thead>${cells("th", head)}</thead><tbody>${rows.map((row) => cells("td", row)).join("")}</tbody></table>`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><title>${text(title)}</title><style>${STYLE}</style><h1>${text(title)}</h1>${parts.join("")}</html>\n`;
}
