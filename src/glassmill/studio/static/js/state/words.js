// What things are called and what they mean, for a reader who sees them for the first time.

import { getJson } from "../lib/api.js";
import { count } from "../lib/format.js";

/** @import {Rule, ScoreWords} from "./answers.js" */
/** @import {Status} from "./store.js" */

/** @type {Record<Status, string>} */
export const STATUS_WORDS = {
  waiting: "waiting",
  running: "running",
  done: "done",
  skipped: "done earlier",
  failed: "failed",
  absent: "not in this run",
};

/** What the server calls its rules, the corpus's steps and the report's scores. */
const served = {
  /** @type {Map<string, Rule>} */ rules: new Map(),
  /** @type {Map<string, {title: string, says: string}>} */ steps: new Map(),
  /** @type {ScoreWords[]} */ scores: [],
};

/** Asks the server for its words, once, before anything that needs them is drawn. */
export async function loadWords() {
  const { rules, steps, scores } = await getJson("/api/words");
  served.rules = new Map(rules.map((/** @type {Rule} */ rule) => [rule.name, rule]));
  served.steps = new Map(steps.map((/** @type {any} */ step) => [step.name, step]));
  served.scores = scores;
}

/** @returns {ScoreWords[]} in the order in which people read them */
export function scoreWords() {
  return served.scores;
}

/** @param {string} step @returns {{title: string, says: string}} */
export function stepWords(step) {
  return served.steps.get(step) ?? { title: sentence(step), says: "" };
}

/** The rule of that name; a rule about n-grams is served once for all n. @param {string} name @returns {Rule | null} */
function ruleNamed(name) {
  const known = served.rules.get(name);
  if (known) return known;
  const n = name.match(/_(\d+)_/)?.[1];
  const family = n && served.rules.get(name.replace(`_${n}_`, "_{n}_"));
  return family ? { ...family, title: family.title.replaceAll("{n}", n), says: family.says.replaceAll("{n}", n) } : null;
}

/** @param {string} rule */
export function ruleTitle(rule) {
  return ruleNamed(rule)?.title ?? (rule.split("/").at(-1) ?? rule).replaceAll("_", " ");
}

/** A rule's sentence about two numbers, cut around the value; `gauge` is the side of the bound where pages stay, null where nothing is compared.
 * @param {string} name @param {number} value @param {number} bound
 * @returns {{before: string, value: string, after: string, gauge: "above" | "below" | null}} */
export function verdictWords(name, value, bound) {
  const rule = ruleNamed(name);
  if (!rule) return { before: "", value: "", after: "", gauge: null };
  const [before, after] = rule.says.replaceAll("{bound}", written(bound, bound, rule.unit)).split("{value}");
  const gauge = rule.direction === "is" ? null : rule.direction === "at least" ? "above" : "below";
  return { before, value: after === undefined ? "" : written(value, bound, rule.unit), after: after ?? "", gauge };
}

/** `value` with as many decimals as show on which side of `bound` it is; the twin of `written` in corpus/judge/rule.py.
 * @param {number} value @param {number} bound @param {Rule["unit"]} unit */
export function written(value, bound, unit) {
  if (unit === "status") return String(value);
  if (unit === "count") return count(value);
  const [scale, least] = unit === "share" ? [100, 0] : [1, 2];
  const round = (/** @type {number} */ number, /** @type {number} */ digits) => Math.floor(number * scale * 10 ** digits + 0.5) / 10 ** digits;
  let digits = value === bound ? 6 : least;
  while (digits < 6 && round(value, digits) === round(bound, 6)) digits += 1;
  const text = round(value, digits).toLocaleString("en", { maximumFractionDigits: 6 });
  return unit === "share" ? `${text}%` : text;
}

const SHORT = /** @type {Record<string, string>} */ ({ ssn: "SSN", ip: "IP address", iban: "IBAN" });

/** A kind of personal data. @param {string} kind */
export const kindTitle = (kind) => SHORT[kind] ?? sentence(kind);

/** @param {string} name */
export function sentence(name) {
  const words = name.replaceAll(/[_/]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
