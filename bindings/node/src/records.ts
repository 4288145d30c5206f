// What the store has recorded, as it is told to programs.

import type { Failure } from "./errors";
import type { WorkerState } from "./host";
import { decode, type ExecutionState, type Overlap } from "./options";
import type { Values } from "./values";

export interface Progress {
  step: string;
  status: string;
  startedAt: string | null;
  completedAt: string | null;
  detail: unknown;
}

export interface ExecutionRecord {
  id: string;
  rootFunction: string;
  state: ExecutionState;
  args: unknown[];
  kwargs: Record<string, unknown>;
  createdAt: string;
  startedAt: string | null;
  completedAt: string | null;
  progress: Progress[];
  tags: string[];
  priority: number;
  queue: string | null;
  result: unknown;
  error: Failure | null;
  counters: Record<string, number>;
  stateValues: Record<string, unknown>;
  replayOf: string | null;
  cancelReason: string | null;
}

export interface WorkerStatus {
  workerId: string;
  state: WorkerState;
  slots: number;
  running: number;
  prefetched: number;
  held: number;
  coroutines: number;
  functions: string[];
  trouble: string | null;
}

/** What came of the conformance suite. */
export interface CheckReport {
  /** "protocol": the store does not answer the engine's operations. */
  level: "engine" | "protocol";
  passed: number;
  failed: number;
  notOffered: number;
  /** Guarantees that a store of this level does not have. */
  givenUp: string[];
  cases: CheckedCase[];
}

export interface CheckedCase {
  name: string;
  outcome: "passed" | "failed" | "not_offered";
  seconds: number;
  /** Of a failed case; `place` is also the operation that is not offered. */
  expected: string | null;
  got: string | null;
  place: string | null;
}

/** What can't be read stays as it was carried: a record is to be seen whatever is in it. */
export function recordOf(json: object, values: Values): ExecutionRecord {
  const record = decode<ExecutionRecord>(json);
  record.args = (record.args ?? []).map((arg) => values.look(arg));
  record.kwargs = values.lookMembers(record.kwargs ?? {});
  record.stateValues = values.lookMembers(record.stateValues ?? {});
  record.result = values.look(record.result);
  if (record.error) record.error.details = values.look(record.error.details);
  record.progress = (record.progress ?? []).map((entry) => {
    const made = decode<Progress>(entry);
    made.detail = values.look(made.detail);
    return made;
  });
  return record;
}

/** A queue or a function of which nothing is claimed; the other one is null. */
export interface Pause {
  queue: string | null;
  function: string | null;
  since: string;
  reason: string | null;
  by: string | null;
  /** Tasks of it that workers still hold. */
  running: number;
}

/** What a tick of a schedule became. */
export interface Tick {
  /** Its time, which with the schedule's name is its identity. */
  at: string;
  kind: "scheduled" | "triggered" | "backfilled";
  state: "started" | "waiting" | "skipped" | "missed";
  executionId: string | null;
  decidedAt: string;
}

/** A schedule as the store has it; one of cron, every and times is there. */
export interface KeptSchedule {
  name: string;
  function: string;
  args: unknown[];
  /** By the library's names. */
  options: Record<string, unknown>;
  cron?: string;
  every?: number;
  times?: string[];
  timeZone: string;
  start: string | null;
  end: string | null;
  jitter: number;
  overlap: Overlap;
  catchUp: number;
  owner: string | null;
  timeArgument: string | null;
  createdAt: string;
  updatedAt: string;
  pausedAt: string | null;
  pauseNote: string | null;
  nextAt: string | null;
  dueAt: string | null;
  lastExecutionId: string | null;
  running: boolean;
  waiting: number;
  trouble: string | null;
  /** Ticks to come. */
  next: string[];
  /** Ticks that were, the newest first. */
  last: Tick[];
}

export function scheduleOf(json: object, values: Values): KeptSchedule {
  const kept = decode<KeptSchedule>(json);
  kept.args = kept.args.map((arg) => values.look(arg));
  kept.last = kept.last.map((tick) => decode<Tick>(tick));
  return kept;
}

export interface DeadLetter {
  task: Record<string, unknown>;
  reason: string;
  movedAt: string;
}

export function deadLetterOf(json: { task: object }, values: Values): DeadLetter {
  const letter = decode<DeadLetter>(json);
  const task = decode<Record<string, any>>(json.task);
  if (Array.isArray(task.args)) task.args = task.args.map((arg) => values.look(arg));
  if (task.kwargs) task.kwargs = values.lookMembers(task.kwargs);
  if (task.error) task.error.details = values.look(task.error.details);
  return { ...letter, task };
}
