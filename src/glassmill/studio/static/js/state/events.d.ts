// The events of a run as the page receives them: `t` in seconds since 1970, `run` such as "corpus/demo-3f9a1c", and the
// fields of the kind. A number is null where it was not finite. Written by scripts/event_types.py; do not edit.

/** A process starts or continues the run. */
export type Start = {t: number, stage: string, run: string, kind: "start", digest: string};
/** The run is finished; `seconds` is the time since this process started it. */
export type Done = {t: number, stage: string, run: string, kind: "done", seconds: number | null};
/** The process stops with an error; the same command continues the run. */
export type Failed = {t: number, stage: string, run: string, kind: "error", text: string};
/** A sentence for people. */
export type Note = {t: number, stage: string, run: string, kind: "note", text: string};
/** A sentence that people should read: the run continues, but something is not as they may expect. */
export type Warned = {t: number, stage: string, run: string, kind: "warning", text: string};
/** A line that this version cannot read: damaged, or written by another version. Never emitted. */
export type Unknown = {t: number, stage: string, run: string, kind: "unknown", text: string};
/** How much of the stage's work is done, counted in `unit`s; no `total` where nobody knows it yet. */
export type Progress = {t: number, stage: string, run: string, kind: "progress", done: number, total: number | null, unit: string, message: string};
/** What training is going to do; `minutes` is 0 where the recipe gives the steps. */
export type Plan = {t: number, stage: string, run: string, kind: "plan", steps: number, parameters: number, tokens: number, minutes: number | null, flops: number | null, threads: number, dtype: string};
/** Where training is: `loss` is the mean since the last metric, in nats a token; `peak_share` of the matrix peak. */
export type Metric = {t: number, stage: string, run: string, kind: "metric", step: number, steps: number, loss: number | null, lr: number | null, grad_norm: number | null, tokens: number, tokens_per_s: number | null, seconds_left: number | null, peak_share: number | null};
/** What a step did to each group of weights: the gradient's norm; the update's norm over that of the weights. */
export type Norms = {t: number, stage: string, run: string, kind: "norms", step: number, gradients: Record<string, number | null>, updates: Record<string, number | null>};
/** Bits per byte on held-out text after `step` steps. */
export type Validation = {t: number, stage: string, run: string, kind: "validation", step: number, bits_per_byte: number | null};
/** What the model writes after `prompt`, after `step` steps. */
export type Sample = {t: number, stage: string, run: string, kind: "sample", step: number, prompt: string, text: string};
/** Answers to one prompt that `rl` drew: rewards, and by how many standard deviations they beat the group's. */
export type Rollouts = {t: number, stage: string, run: string, kind: "rollouts", step: number, prompt: string, texts: string[], rewards: (number | null)[], advantages: (number | null)[]};
/** A named number of the report; `step` where it is measured during training. */
export type Score = {t: number, stage: string, run: string, kind: "score", name: string, value: number | null, step: number | null};
/** The finished model's answer to a question of the examination. */
export type Answer = {t: number, stage: string, run: string, kind: "answer", question: string, text: string, right: boolean};
/** One merge of the vocabulary: token `rank` is `left` and `right` joined, `count` times in the training text. */
export type Merge = {t: number, stage: string, run: string, kind: "merge", rank: number, left: string, right: string, token: string, count: number, left_id: number, right_id: number};
/** One step of the corpus so far: documents in and out, how many each rule dropped; characters from `extract` on. */
export type Funnel = {t: number, stage: string, run: string, kind: "funnel", step: string, in: number, out: number, dropped: Record<string, number>, quarantined: number, characters_in: number, characters_out: number, dropped_characters: Record<string, number>};
/** A page that was just judged. `step` to `detail` say why it was dropped, and are empty for a page kept so far. */
export type Example = {t: number, stage: string, run: string, kind: "example", url: string, kept: boolean, text: string, step: string, rule: string, value: number | null, bound: number | null, detail: string};

/** Any event. */
export type RunEvent = Start | Done | Failed | Note | Warned | Unknown | Progress | Plan | Metric | Norms | Validation | Sample | Rollouts | Score | Answer | Merge | Funnel | Example;
/** How far a stage or a line is. */
export type State = "waiting" | "running" | "done" | "skipped" | "failed";
