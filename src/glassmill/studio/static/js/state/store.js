// What the page knows: a line's stages, filled by events in the order in which they were written.

import { isFinished, stageNames } from "./stages.js";

/** @import {LineState, Message} from "./answers.js" */
/** @import {Answer, Example, Funnel, Merge, Metric, Norms, Note, Plan, Progress, Rollouts, RunEvent, Sample, State, Unknown, Validation, Warned} from "./events.js" */

/** The state of a stage; "absent" is the page's own word for a stage that the line does not have. @typedef {State | "absent"} Status */

const MAX_EXAMPLES = 400;
const MAX_MERGES = 400;
const MAX_NOTES = 50;

/** @param {string} stage @param {string | null} run */
export function emptyStage(stage, run = null) {
  return {
    stage,
    run,
    /** @type {Status} */ status: "waiting",
    /** @type {number | null} */ started: null,
    /** @type {number | null} */ seconds: null,
    /** @type {number} */ lastSign: 0,
    /** @type {Progress | null} */ progress: null,
    /** @type {Plan | null} */ plan: null,
    /** @type {Map<string, Funnel>} */ funnel: new Map(),
    /** @type {Example[]} */ examples: [],
    /** @type {Merge[]} */ merges: [],
    /** @type {Metric[]} */ metrics: [],
    /** @type {Norms[]} */ norms: [],
    /** @type {Validation[]} */ validations: [],
    /** @type {Map<string, Sample[]>} */ samples: new Map(),
    /** @type {Map<string, number | null>} */ scores: new Map(),
    /** @type {Map<string, {step: number, value: number | null}[]>} Scores that have a step. */ marks: new Map(),
    /** @type {Rollouts[]} */ rollouts: [],
    /** @type {Answer[]} */ answers: [],
    /** @type {(Note | Warned | Unknown)[]} */ notes: [],
    /** @type {string | null} */ error: null,
  };
}

/** @typedef {ReturnType<typeof emptyStage>} Stage */

export function emptyLine() {
  return {
    name: "",
    /** @type {State} */ status: "waiting",
    /** @type {number | null} */ started: null,
    /** @type {string | null} Where its model is. */ model: null,
    /** @type {string | null} */ error: null,
    /** @type {Record<string, Stage>} */ stages: Object.fromEntries(stageNames().map((stage) => [stage, emptyStage(stage)])),
    /** Seconds by which the server's clock is ahead of this one. */
    ahead: 0,
    connected: false,
  };
}

/** @typedef {ReturnType<typeof emptyLine>} Line */

/** Take in one message of the stream. @param {Line} line @param {Message} message */
export function takeIn(line, message) {
  if (message.now) line.ahead = message.now - Date.now() / 1000;
  for (const run of message.forget ?? []) {
    const stage = run.split("/")[0];
    if (line.stages[stage]) line.stages[stage] = emptyStage(stage, run);
  }
  if (message.line) takeInStages(line, message.line);
  for (const event of message.events ?? []) {
    const stage = line.stages[event.stage];
    if (stage) takeInEvent(stage, event);
  }
}

/** @param {Line} line @param {LineState} written */
function takeInStages(line, written) {
  line.name = written.name;
  line.status = written.status;
  line.started = written.started;
  line.model = written.model;
  line.error = written.error;
  const listed = new Map(written.stages.map((entry) => [entry.stage, entry]));
  for (const name of stageNames()) {
    const entry = listed.get(name);
    const stage = line.stages[name];
    const run = entry?.run ?? null;
    if (run !== stage.run) line.stages[name] = emptyStage(name, run);
    line.stages[name].status = entry?.status ?? "absent";
  }
}

/** @param {Stage} stage @param {RunEvent} event */
function takeInEvent(stage, event) {
  if (event.t) stage.lastSign = Math.max(stage.lastSign, event.t);
  switch (event.kind) {
    case "start":
      Object.assign(stage, { started: event.t, seconds: null, error: null, progress: null });
      break;
    case "done":
      stage.seconds = event.seconds ?? (stage.started ? event.t - stage.started : null);
      break;
    case "error":
      stage.error = event.text;
      break;
    case "note":
    case "warning":
    case "unknown":
      push(stage.notes, event, MAX_NOTES);
      break;
    case "progress":
      stage.progress = event;
      break;
    case "plan":
      stage.plan = event;
      break;
    case "metric":
      pushStep(stage.metrics, event);
      break;
    case "norms":
      pushStep(stage.norms, event);
      break;
    case "validation":
      pushStep(stage.validations, event);
      break;
    case "sample":
      pushStep(listed(stage.samples, event.prompt), event);
      break;
    case "rollouts":
      pushStep(stage.rollouts, event);
      break;
    case "score":
      stage.scores.set(event.name, event.value);
      if (event.step != null) pushStep(listed(stage.marks, event.name), { step: event.step, value: event.value });
      break;
    case "answer":
      push(stage.answers, event, MAX_NOTES);
      break;
    case "merge":
      push(stage.merges, event, MAX_MERGES);
      break;
    case "funnel":
      stage.funnel.set(event.step, event);
      break;
    case "example":
      push(stage.examples, event, MAX_EXAMPLES);
      break;
    default:
      /** @type {never} */ (event);
  }
}

/** The list under `name`, new if there is none. @template T @param {Map<string, T[]>} lists @param {string} name @returns {T[]} */
function listed(lists, name) {
  if (!lists.has(name)) lists.set(name, []);
  return lists.get(name) ?? [];
}

/** @template T @param {T[]} list @param {T} item @param {number} limit */
function push(list, item, limit) {
  list.push(item);
  if (list.length > limit) list.splice(0, list.length - limit);
}

/** A run that was cut off and continued writes some steps again: the later event counts. @template {{step: number}} T @param {T[]} list @param {T} event */
function pushStep(list, event) {
  while (list.length && list[list.length - 1].step >= event.step) list.pop();
  list.push(event);
}

/** Seconds that `stage` has taken so far. @param {Stage} stage @param {number} now the server's time */
export function elapsed(stage, now) {
  if (stage.seconds != null) return stage.seconds;
  if (stage.started == null) return null;
  return Math.max(0, (stage.status === "running" ? now : stage.lastSign) - stage.started);
}

/** How much of `stage` is done, 0 to 1, or null if nobody knows. @param {Stage} stage */
export function share(stage) {
  if (isFinished(stage)) return 1;
  const metric = stage.metrics.at(-1);
  if (metric?.steps) return Math.min(1, metric.step / metric.steps);
  const progress = stage.progress;
  return progress?.total ? Math.min(1, progress.done / progress.total) : null;
}

/** Seconds left in `stage`; null where nobody knows, and in the last second, which may take longer. @param {Stage} stage @param {number} now */
export function secondsLeft(stage, now) {
  const left = expected(stage, now);
  return left != null && left >= 1 ? left : null;
}

/** @param {Stage} stage @param {number} now */
function expected(stage, now) {
  if (stage.status !== "running") return null;
  const metric = stage.metrics.at(-1);
  if (metric?.seconds_left != null) return metric.seconds_left - (now - metric.t);
  const part = share(stage);
  const passed = elapsed(stage, now);
  if (!part || passed == null || passed < 1 || !stage.progress?.t) return null;
  const atLastSign = stage.progress.t - (stage.started ?? 0);
  return atLastSign / part - passed;
}
