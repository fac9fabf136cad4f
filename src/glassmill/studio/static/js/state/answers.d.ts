// What the server answers, as the page reads it; a number is null where it is not known. Of events, see events.d.ts.

import type { RunEvent, State } from "./events.js";

export type Crossed = {url: string | null, source: string | null, shard: string, row: number, first: number, skipped: number, tokens: number};
export type Drawn = {train: string, corpus: string | null, step: number, steps: number, row: number, rows: number, epoch: number, part: string, ids: (number | null)[], tokens: string[], documents: Crossed[], then: number[] | null, measured: number[], mean: {first: number, last: number, loss: number} | null, now: number[] | null, now_by: string};
export type Token = {id: number, token: string};
export type Seen = {tokens: Token[], lens: {ids: number[], tokens: string[], logprobs: number[]}[][], norms: number[][], added: {attention: number[][], feed_forward: number[][]}, shape: any};
export type Step = {attention: {layer: number, head: number, weights: number[]}[], attribution: {token: Token, against: Token | null, embedding: number, heads: number[][], feed_forward: number[], total: number}};
export type Page = {url: string | null, source: string | null, shard: string, row: number, times: number, before: string, text: string, after: string, steps: {count: number, first: number[]} | null};
/** `start` and `end` in characters, not in UTF-16 units. */
export type Stretch = {start: number, end: number, text: string, count: number, documents: number, all: boolean, bits: number, pages: Page[]};
export type Traced = {text: string, tokens_run: string, corpus: string | null, training_tokens: number, others: string[], stretches: Stretch[]};
/** `attention`: by step, layer, head and earlier token; `best`: the head that copies best, with its score by step. */
export type Grown = {steps: number[], attention: number[][][][], says: {tokens: string[], shares: number[]}[], copied: number, best: {layer: number, head: number, scores: number[]}};
export type RunEntry = {run: string, state: "done" | "running" | "unfinished" | "damaged", changed: number, bytes: number, made_from: string[], numbers: Record<string, number>};
export type Listing = {runs: RunEntry[], bytes: number, lines: LineState[]};
export type Ending = {runs: {run: string, bytes: number, why: string}[], bytes: number, deleted: boolean};
export type Way = {url: string, source: string, end: string, steps: {step: string, checks: {rule: string, value: number | null, passed: boolean | null, says: string}[]}[]};
/** Answers to one task: `learned` if they taught something, `shown` if the last one is the task's own solution. */
export type Group = {prompt: string, kind: string, learned: boolean, shown: boolean, answers: {text: string, reward: number | null, advantage: number | null}[]};
export type StageRow = {name: string, title: string, doing: string, leaves: string, model: "base" | "assistant" | null, shows: string, room: string, heading: string, says: string, waits: string};
export type RoomRow = {id: string, main: string, stages: string[], shows: string, heading: string, says: string, waits: string};
export type Rule = {name: string, title: string, says: string, unit: "count" | "share" | "ratio" | "status", direction: "at least" | "at most" | "fewer than" | "is"};
export type ScoreWords = {name: string, title: string, says: string, form: "percent" | "bits", good: "high" | "low"};
export type StageState = {stage: string, status: State, run: string | null};
export type LineState = {name: string, recipe: string, status: State, started: number | null, stages: StageState[], model: string | null, error: string | null};
/** One message of the stream; the last part of a long update comes without `line` and `forget`. */
export type Message = {now: number, events?: RunEvent[], line?: LineState, forget?: string[]};
