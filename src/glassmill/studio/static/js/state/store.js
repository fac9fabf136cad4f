// What the page knows: a line's stages, filled by events in the order in which they were written.

import { isFinished, stageNames } from "./stages.js";

/** @typedef {{t: number, stage: string, run: string, kind: string, [field: string]: any}} Event */

const MAX_EXAMPLES = 400;
const MAX_MERGES = 400;
const MAX_NOTES = 50;

/** @param {string} stage @param {string | null} run */
export function emptyStage(stage, run = null) {
  return {
    stage,
    run,
    status: "waiting",
    /** @type {number | null} */ started: null,
    /** @type {number | null} */ seconds: null,
    /** @type {number} */ lastSign: 0,
    /** @type {any} */ progress: null,
    /** @type {any} */ plan: null,
    /** @type {Map<string, any>} */ funnel: new Map(),
    /** @type {Event[]} */ examples: [],
    /** @type {Event[]} */ merges: [],
    /** @type {Event[]} */ metrics: [],
    /** @type {Event[]} */ validations: [],
    /** @type {Map<string, Event[]>} */ samples: new Map(),
    /** @type {Map<string, number>} */ scores: new Map(),
    /** @type {Event[]} */ answers: [],
    /** @type {Event[]} */ notes: [],
    /** @type {string | null} */ error: null,
  };
}

/** @typedef {ReturnType<typeof emptyStage>} Stage */

export function emptyLine() {
  return {
    name: "",
    status: "waiting",
    /** @type {number | null} */ started: null,
    /** @type {Record<string, any>} */ info: {},
    /** @type {Record<string, Stage>} */ stages: Object.fromEntries(stageNames().map((stage) => [stage, emptyStage(stage)])),
    /** Seconds by which the server's clock is ahead of this one. */
    ahead: 0,
    connected: false,
  };
}

/** @typedef {ReturnType<typeof emptyLine>} Line */

/** Take in one message of the stream. @param {Line} line @param {any} message */
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

/** @param {Line} line @param {any} written the line file, as the pipeline writes it */
function takeInStages(line, written) {
  line.name = written.name;
  line.info = written;
  line.status = written.status ?? "running";
  line.started = written.started ?? null;
  const listed = new Map((written.stages ?? []).map((/** @type {any} */ entry) => [entry.stage, entry]));
  for (const name of stageNames()) {
    const entry = listed.get(name);
    const stage = line.stages[name];
    const run = entry?.run ?? null;
    if (run !== stage.run) line.stages[name] = emptyStage(name, run);
    line.stages[name].status = entry?.status ?? "absent";
  }
}

/** @param {Stage} stage @param {Event} event */
function takeInEvent(stage, event) {
  if (event.t) stage.lastSign = Math.max(stage.lastSign, event.t);
  const take = TAKE[event.kind];
  if (take) take(stage, event);
}

/** @type {Record<string, (stage: Stage, event: Event) => void>} */
const TAKE = {
  start(stage, event) {
    stage.started = event.t;
    stage.seconds = null;
    stage.error = null;
    stage.progress = null;
  },
  progress: (stage, event) => void (stage.progress = event),
  plan: (stage, event) => void (stage.plan = event),
  funnel: (stage, event) => void stage.funnel.set(event.step, event),
  example: (stage, event) => push(stage.examples, event, MAX_EXAMPLES),
  merge: (stage, event) => push(stage.merges, event, MAX_MERGES),
  metric: (stage, event) => pushStep(stage.metrics, event),
  validation: (stage, event) => pushStep(stage.validations, event),
  sample(stage, event) {
    const texts = stage.samples.get(event.prompt) ?? [];
    stage.samples.set(event.prompt, texts);
    pushStep(texts, event);
  },
  score: (stage, event) => void stage.scores.set(event.name, event.value),
  answer: (stage, event) => push(stage.answers, event, MAX_NOTES),
  note: (stage, event) => push(stage.notes, event, MAX_NOTES),
  warning: (stage, event) => push(stage.notes, event, MAX_NOTES),
  done(stage, event) {
    stage.seconds = event.seconds ?? (stage.started ? event.t - stage.started : null);
  },
  error: (stage, event) => void (stage.error = event.text ?? "it stopped"),
};

/** @template T @param {T[]} list @param {T} item @param {number} limit */
function push(list, item, limit) {
  list.push(item);
  if (list.length > limit) list.splice(0, list.length - limit);
}

/** A run that was cut off and goes on writes some steps again: the later writing counts. @param {Event[]} list @param {Event} event */
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
  const { done, total } = stage.progress ?? {};
  return total > 0 ? Math.min(1, done / total) : null;
}

/** Seconds left in `stage`, or null. @param {Stage} stage @param {number} now */
export function secondsLeft(stage, now) {
  if (stage.status !== "running") return null;
  const metric = stage.metrics.at(-1);
  if (metric?.seconds_left != null) return Math.max(0, metric.seconds_left - (now - metric.t));
  const part = share(stage);
  const passed = elapsed(stage, now);
  if (!part || passed == null || passed < 1 || !stage.progress?.t) return null;
  const atLastSign = stage.progress.t - (stage.started ?? 0);
  return Math.max(0, atLastSign / part - passed);
}
