// The report card: what the finished model knows, what the filters got right, and where the time went.

import { html, useState } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { clock, count, decimals, percent, plain } from "../lib/format.js";
import { HandOn } from "../parts/handed.js";
import { Bar, Figure, Nothing, Room } from "../parts/room.js";
import { address } from "../state/address.js";
import { has, isFinished, stageNames, stageRow } from "../state/stages.js";
import { elapsed } from "../state/store.js";
import { scoreWords, sentence, stepWords } from "../state/words.js";

/** @import {RoomRow} from "../state/answers.js" */
/** @import {Line} from "../state/store.js" */

const COLOURS = 8; // in rooms.css

/** @param {{room: RoomRow, line: Line, lines: any[], now: number}} props */
export function Report({ room, line, lines, now }) {
  const stage = line.stages[room.main];
  const report = useReport(isFinished(stage) ? stage.run : null);
  const others = lines.filter((other) => other.name !== line.name && other.report);
  const [beside, setBeside] = useState("");
  const other = useReport(others.find((one) => one.name === beside)?.report ?? null);
  const scores = { ...Object.fromEntries(stage.scores), ...report };
  const known = scoreWords().filter(({ name }) => typeof scores[name] === "number");
  return html`<${Room} id=${room.id} title=${room.heading} now=${now} stages=${[stage]}
    says=${`${room.says}${has(line, "miniweb") ? " The web was made from a known world, so every answer and every filter can be checked against the truth." : ""}`}>
    ${!known.length && stage.status !== "absent" && html`<${Nothing}>${stage.status === "running" ? "The model is answering questions …" : room.waits}</${Nothing}>`}
    ${stage.status === "running" && html`<${Answers} answers=${stage.answers} />`}
    ${known.length > 0 && others.length > 0 && html`<label class="beside">Compare with
      <select value=${beside} onChange=${(e) => setBeside(e.target.value)}><option value="">nothing</option>
        ${others.map((one) => html`<option key=${one.name} value=${one.name}>${one.name}</option>`)}</select></label>`}
    ${known.length > 0 && html`<div class="figures report">
      ${known.map((words) => html`<${Score} key=${words.name} words=${words} value=${scores[words.name]} other=${other && { name: beside, value: other[words.name] }} />`)}
      ${scores.pii && html`<${PersonalData} pii=${scores.pii} />`}
    </div>`}
    ${report && html`<${Filters} report=${report} />`}
    ${report && html`<${Exam} run=${stage.run} />`}
    <${Times} line=${line} now=${now} />
    ${known.length > 0 && html`<${HandOn} line=${line} scores=${scores} now=${now} />`}
  </${Room}>`;
}

/** The report of an eval run; null without one. @param {string | null} run */
function useReport(run) {
  return useAsked(run, () => getJson(`/api/runs/${run}/files/report.json`)).found;
}

/** @param {{words: any, value: number, other: {name: string, value: any} | null}} props */
function Score({ words, value, other }) {
  const bits = words.form === "bits";
  const goodness = bits ? Math.max(0, 1 - value / 8) : words.good === "high" ? value : 1 - value;
  const tone = bits ? undefined : goodness >= 0.9 ? "good" : goodness >= 0.6 ? "fair" : "poor";
  const shown = (/** @type {number} */ number) => (bits ? decimals(number, 2) : percent(number));
  return html`<${Figure} name=${words.title} value=${shown(value)} says=${words.says} tone=${tone}>
    <${Bar} of=${bits ? value / 8 : value} />
    ${typeof other?.value === "number" && html`<p class="other-line">${other.name}: <strong>${shown(other.value)}</strong></p>`}</${Figure}>`;
}

/** @param {{pii: any}} props */
function PersonalData({ pii }) {
  return html`<${Figure} name="Personal data missed" value=${`${count(pii.missed)} of ${count(pii.planted)}`} tone=${pii.missed === 0 ? "good" : "fair"}
    says=${`E-mails, phone numbers and addresses planted on kept pages that the filter did not mask.${pii.produced_by_model != null ? ` The model itself wrote out ${count(pii.produced_by_model)} of them.` : ""}`}><a href=${address("documents", { open: "pii" })}>What was masked</a><//>`;
}

/** The last answers while the model is being asked. @param {{answers: import("../state/events.js").Answer[]}} props */
function Answers({ answers }) {
  if (!answers.length) return null;
  return html`<ul class="answers" aria-label="Latest questions">${answers.slice(-4).reverse().map((one) => html`<${Answer} key=${one.t} one=${{ question: one.question, said: one.text, right: one.right }} />`)}</ul>`;
}

/** @typedef {"right" | "wrong" | "refused" | "silent" | "believed" | "unbelieved"} Outcome */

/** @type {Record<Outcome, {mark: string, words: string, good: boolean | null}>} */
const OUTCOMES = {
  right: { mark: "✓", words: "right", good: true },
  wrong: { mark: "✗", words: "wrong", good: false },
  refused: { mark: "?", words: "said that it does not know", good: null },
  silent: { mark: "–", words: "no answer", good: null },
  believed: { mark: "✗", words: "repeated a false claim", good: false },
  unbelieved: { mark: "✓", words: "did not repeat the false claim", good: true },
};

/** What an answer was. The expected answer to a question about a false claim is that claim. @param {{kind?: string, said: string, right: boolean}} one @returns {Outcome} */
function outcome({ kind, said, right }) {
  if (kind === "false_claim") return right ? "believed" : "unbelieved";
  if (right) return "right";
  if (!said.trim()) return "silent";
  return /^\W*(i|we)\s+(do not|don['’]?t)\s+know\b/i.test(said) ? "refused" : "wrong";
}

/** @param {{one: {kind?: string, question: string, said: string, right: boolean, answer?: string}}} props */
function Answer({ one }) {
  const { mark, words, good } = OUTCOMES[outcome(one)];
  const claim = one.kind === "false_claim";
  return html`<li data-right=${good ?? "open"}><span class="mark" role="img" aria-label=${words} title=${words}>${mark}</span>
    <span><span class="question">${one.question}</span><span class="said">${one.said.trim() || "(nothing)"}</span>${(claim || good !== true) && one.answer && html`<span class="wanted">${claim ? "The false claim" : one.kind === "unknown" ? "The right answer" : "The truth"}: ${one.answer}</span>`}</span></li>`;
}

/** Recall and precision of the filters, kind by kind. @param {{report: any}} props */
function Filters({ report }) {
  if (!report.recall && !report.precision) return null;
  return html`<details class="more"><summary>How good were the filters?</summary>
    <div class="two">
      <${ShareTable} title="Junk found" says="The share of each kind of junk that was dropped." rows=${report.recall} name=${sentence} />
      <${ShareTable} title="Correctly dropped" says="The share of each step's dropped pages that really were junk." rows=${report.precision} name=${(step) => stepWords(step).title} />
    </div></details>`;
}

/** @param {{title: string, says: string, rows: Record<string, number | null> | undefined, name: (key: string) => string}} props */
function ShareTable({ title, says, rows, name }) {
  if (!rows) return null;
  return html`<div><h3>${title}</h3><p class="caption">${says}</p><table><tbody>
    ${Object.entries(rows).map(([key, value]) => html`<tr key=${key}><th scope="row">${name(key)}</th>
      <td class="bar-cell"><${Bar} of=${value ?? 0} /></td><td class="number">${percent(value)}</td></tr>`)}
  </tbody></table></div>`;
}

const SHOWN_ANSWERS = 60;

/** The questions with the model's answers, those that are not right first. @param {{run: string}} props */
function Exam({ run }) {
  const [open, setOpen] = useState(false);
  const { found } = useAsked(open ? run : null, () => getJson(`/api/runs/${run}/files/answers.json`));
  const answers = /** @type {any[] | null} */ (found);
  const places = Object.keys(OUTCOMES);
  const order = ["wrong", "believed", "refused", "silent", "right", "unbelieved"];
  const sorted = answers?.toSorted((a, b) => order.indexOf(outcome(a)) - order.indexOf(outcome(b))) ?? [];
  const number = (/** @type {string} */ name) => sorted.filter((one) => outcome(one) === name).length;
  const said = places.filter(number).map((name) => `${count(number(name))} ${OUTCOMES[/** @type {Outcome} */ (name)].words}`);
  const most = Math.floor(SHOWN_ANSWERS / 2);
  const good = sorted.filter((one) => OUTCOMES[outcome(one)].good);
  const rest = sorted.filter((one) => !OUTCOMES[outcome(one)].good);
  const shown = [...rest.slice(0, Math.max(most, SHOWN_ANSWERS - good.length)), ...good].slice(0, SHOWN_ANSWERS);
  return html`<details class="more" onToggle=${(e) => setOpen(e.target.open)}><summary>Read the exam</summary>
    ${answers && html`<p class="caption">${count(answers.length)} questions: ${said.join(", ")}. ${shown.length < answers.length ? `${count(shown.length)} of them are shown, ` : "Shown are "}those that are not right first.</p>
      <ul class="answers">${shown.map((one, i) => html`<${Answer} key=${i} one=${one} />`)}</ul>`}
  </details>`;
}

/** Where the time went: one bar, a piece for each stage. @param {{line: Line, now: number}} props */
function Times({ line, now }) {
  const rows = stageNames().map((name, i) => ({ name, colour: i % COLOURS, seconds: elapsed(line.stages[name], now) ?? 0 })).filter((row) => row.seconds > 0);
  const total = rows.reduce((sum, row) => sum + row.seconds, 0);
  if (!total) return null;
  return html`<div class="times"><h3>Where the time went</h3>
    <div class="times-bar" aria-hidden="true">${rows.map((row) => html`<span key=${row.name} data-colour=${row.colour} style=${{ flexGrow: row.seconds / total }}></span>`)}</div>
    <ul class="times-key">${rows.map((row) => html`<li key=${row.name} data-colour=${row.colour}><span class="swatch" aria-hidden="true"></span>${stageRow(row.name).title} <strong>${row.seconds < 10 ? `${plain(Math.round(row.seconds * 10) / 10)} s` : clock(row.seconds)}</strong></li>`)}
      <li>total <strong>${clock(total)}</strong></li></ul></div>`;
}
