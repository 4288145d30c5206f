// Options as JavaScript writes them, and their names in the library. Each table has exactly the keys of its interface:
// the compiler sees to that, and a test compares the tables with what the library knows.

import { misuse } from "./errors";
import { type Callee, referenceOf, shown } from "./references";
import { nearest } from "./nearest";
import { toJson } from "./payload";

/** A number of seconds, or text such as "1h30m". */
export type Duration = number | string;

export interface RetryPolicy {
  /** In all, the first included. */
  maxAttempts?: number | undefined;
  /** Workers in a row that may die while they run it apart from others. */
  maxDeaths?: number | undefined;
  backoffFactor?: number | undefined;
  initialDelay?: Duration | undefined;
  maxDelay?: Duration | undefined;
  /** The delay before each retry, one by one, in place of the three above; the last one repeats. */
  delays?: Duration[] | undefined;
  /** The part of the delay by which chance moves it: 0 to 1. */
  jitter?: number | undefined;
  /** No retry begins later than this after the first attempt began. */
  maxElapsed?: Duration | undefined;
  /** The failure types that are retried; empty: all. */
  retryFor?: string[] | undefined;
  noRetryFor?: string[] | undefined;
  /** A failed call is tried again with its caller. */
  retryChildren?: boolean | undefined;
}

/** A bucket of tokens, of which each start takes one. */
export interface Rate {
  /** So many tokens come in each period. */
  limit?: number | undefined;
  /** 1 s unless it says otherwise. */
  period?: Duration | undefined;
  /** It holds so many, so many may start at once. */
  burst?: number | undefined;
}

interface TaskOptions {
  queue?: string | undefined;
  tags?: string[] | undefined;
  priority?: number | undefined;
  /** How long a task waits to make up for one step of priority. */
  priorityAgeing?: Duration | undefined;
  retryPolicy?: RetryPolicy | undefined;
  /** For one attempt. */
  timeout?: Duration | undefined;
  cached?: boolean | undefined;
  cacheTtl?: Duration | undefined;
}

interface KeyedOptions extends TaskOptions {
  /** No more of the calls with this key run at once than the function's maxConcurrentPerKey. */
  concurrencyKey?: string | undefined;
  /** Whose task it is: what waits in a queue is shared out among the keys. A call without one has its parent's. */
  fairnessKey?: string | undefined;
  /** How much its key gets: twice as many tasks with 2 as with 1. */
  fairnessWeight?: number | undefined;
}

export interface DispatchOptions extends KeyedOptions {
  id?: string | undefined;
  kwargs?: Record<string, unknown> | undefined;
  delay?: Duration | undefined;
  /** It is ended as timed out this long after the dispatch. */
  expiry?: Duration | undefined;
  maxDuration?: Duration | undefined;
  /** The second use joins the first. */
  idempotencyKey?: string | undefined;
  /** What the key does after an execution that failed: start a new one (the default), or answer that one's id. */
  idempotencyReuse?: "after_failure" | "never" | undefined;
  /** One execution of the function at a time has it: while it is pending or running another dispatch starts nothing. */
  uniqueKey?: string | undefined;
  /** Start nothing if the uniqueKey was taken less than this ago, whatever has become of that execution. */
  uniqueFor?: Duration | undefined;
  /** While what the uniqueKey is taken: "unfinished" (the default without a uniqueFor), or "pending", until a worker has it. */
  uniqueWhile?: "unfinished" | "pending" | undefined;
  /** What one gets whose uniqueKey is taken: the execution that has it (the default), or a conflict that names it. */
  uniqueExisting?: "return" | "refuse" | undefined;
  /** Start when no other dispatch with the uniqueKey came for so long; until then each gives it its arguments. */
  debounce?: Duration | undefined;
  /** But no later than so long after the first. */
  debounceMax?: Duration | undefined;
  /** The function that is dispatched when the execution is cancelled. */
  onCancel?: Callee | undefined;
  traceparent?: string | undefined;
}

export interface DispatchRequest {
  function: Callee;
  args?: unknown[] | undefined;
  options?: DispatchOptions | undefined;
}

export interface CallOptions extends KeyedOptions {
  /** The operation's own key in the record, in place of name and number. */
  key?: string | undefined;
  kwargs?: Record<string, unknown> | undefined;
  delay?: Duration | undefined;
  idempotencyKey?: string | undefined;
  cacheKey?: string | undefined;
}

export interface FunctionOptions extends TaskOptions {
  version?: string | undefined;
  /** At most so many at once, in all workers. */
  maxConcurrent?: number | undefined;
  /** At most so many at once of the calls with one concurrencyKey, in all workers. */
  maxConcurrentPerKey?: number | undefined;
  /** How often its attempts may start, in all workers. */
  rate?: Rate | undefined;
  /** The same for the calls with one concurrencyKey. */
  ratePerKey?: Rate | undefined;
  idempotent?: boolean | undefined;
  /** How long an execution of it may clean up after it was cancelled or timed out; see the README. */
  cleanup?: Duration | undefined;
}

/** How tasks are gathered for a handler that takes many in one call. */
export interface BatchOptions {
  /** Tasks in one call, at the most: 100, if nobody says; and no more than the worker has slots (maxConcurrency). */
  size?: number | undefined;
  /** How long the first task waits for others; 0, if nobody says: the handler gets what is there. At most an hour. */
  wait?: Duration | undefined;
}

export interface WorkerOptions {
  workerId?: string | undefined;
  queues?: string[] | undefined;
  /** By queue, how often attempts of its tasks may start, in all workers; null: as often as there are some. Of a queue that is
   * not named nothing changes. */
  queueRates?: Record<string, Rate | null> | undefined;
  tags?: string[] | undefined;
  /** Tasks that run at once; waiting workflows don't count. */
  maxConcurrency?: number | undefined;
  prefetch?: number | undefined;
  leaseDuration?: Duration | undefined;
  heartbeatInterval?: Duration | undefined;
  pollInterval?: Duration | undefined;
  pollIntervalMax?: Duration | undefined;
  /** null: never. */
  cleanupInterval?: Duration | null | undefined;
  retentionPeriod?: Duration | undefined;
  /** Of no use here: handlers are not called back. */
  hold?: Duration | undefined;
  /** Waiting workflows that are kept in memory; beyond that they are replayed. */
  maxCoroutines?: number | undefined;
  /** A thread whose event loop stands still for so long counts as dead, and other workers take its tasks; three leases
   * where nobody says. */
  hostTimeout?: Duration | undefined;
}

export interface SqliteOptions {
  synchronous?: "full" | "normal" | "off" | undefined;
  busyTimeout?: Duration | undefined;
  readers?: number | undefined;
  /** Of a new file, as for chmod: "0600" where nobody says. */
  fileMode?: "0600" | "0640" | "0644" | "0660" | "0664" | "0666" | undefined;
}

export interface CheckOptions {
  /** Cases whose names begin with one of these, such as "records"; none: all. */
  only?: string[] | undefined;
  /** For one case. */
  timeout?: Duration | undefined;
}

export interface WaitSignalOptions {
  timeout?: Duration | undefined;
  key?: string | undefined;
}

export interface StepOptions {
  key?: string | undefined;
}

/** Of these the library knows the key; the others are for the connection. */
export interface TransactionOptions extends StepOptions {
  /** Where the store is on PostgreSQL, if it is not the schema "stent". */
  schema?: string | undefined;
  /**
   * So often it is begun in all where the database refuses it for others' sake (a deadlock, a serialization failure, "database
   * is locked"): 5 times, if nothing else is said. The body may run more than once.
   */
  attempts?: number | undefined;
}

export interface SignalOptions {
  /** The same id for the same execution and name counts once. */
  id?: string | undefined;
}

export interface ExecutionFilter {
  state?: ExecutionState | undefined;
  function?: string | undefined;
  queue?: string | undefined;
  tag?: string | undefined;
  createdAfter?: string | Date | undefined;
  createdBefore?: string | Date | undefined;
  limit?: number | undefined;
  offset?: number | undefined;
}

export interface DeadLetterFilter {
  taskId?: string | undefined;
  executionId?: string | undefined;
  function?: string | undefined;
  limit?: number | undefined;
  offset?: number | undefined;
}

/** A queue or a function, and why. */
export interface PauseOptions {
  queue?: string | undefined;
  function?: string | undefined;
  reason?: string | undefined;
  by?: string | undefined;
}

export interface UnpauseOptions {
  queue?: string | undefined;
  function?: string | undefined;
}

/** What is started at which times; one of cron, every and times is given. */
export interface Schedule {
  /** Its identity in the store. */
  name: string;
  function: Callee;
  args?: readonly unknown[] | undefined;
  options?: DispatchOptions | undefined;
  /** Five fields, six with seconds before them, or a name as "@daily"; L, W and # for days. */
  cron?: string | undefined;
  /** From start on, else counted from 1970. */
  every?: Duration | undefined;
  times?: readonly (string | Date)[] | undefined;
  /** The IANA name of the zone whose clock cron reads. */
  timeZone?: string | undefined;
  start?: string | Date | undefined;
  end?: string | Date | undefined;
  /** Each tick is late by up to this. */
  jitter?: Duration | undefined;
  /** While the last execution goes on. */
  overlap?: Overlap | undefined;
  /** A tick for which no worker was there is started up to so much later. */
  catchUp?: Duration | undefined;
  owner?: string | undefined;
  /** The named argument in which the function gets the tick's time. */
  timeArgument?: string | undefined;
}

export type Overlap = "skip" | "queue_one" | "queue_all" | "cancel_running" | "allow";

export interface ScheduleFilter {
  name?: string | undefined;
  owner?: string | undefined;
  function?: string | undefined;
  after?: string | undefined;
  limit?: number | undefined;
  /** How many ticks to come are told. */
  next?: number | undefined;
  /** How many that were. */
  last?: number | undefined;
}

export interface DeclareOptions {
  /** Others of the same owner are deleted. */
  removeOthers?: boolean | undefined;
}

export interface SchedulePauseOptions {
  note?: string | undefined;
}

export interface TriggerOptions {
  /** In place of the schedule's own. */
  overlap?: Overlap | undefined;
}

export interface BackfillOptions {
  from: string | Date;
  to: string | Date;
  overlap?: Overlap | undefined;
}

export interface CleanupOptions {
  olderThan?: Duration | undefined;
  deadLetters?: Duration | undefined;
}

export interface StatsOptions {
  format?: "json" | "prometheus" | undefined;
}

export interface LogOptions {
  level?: "error" | "warn" | "info" | "debug" | undefined;
}

export interface ConfigureOptions {
  /** Threads that serve the stores. */
  runtimeThreads?: number | undefined;
  /** Bytes of stack of each thread that runs handlers. */
  handlerStackSize?: number | undefined;
  /** The collector of OpenTelemetry that gets spans, as an http:// or https:// URL; undefined: the environment's. */
  otlpEndpoint?: string | undefined;
}

export type ExecutionState =
  | "pending"
  | "running"
  | "completed"
  | "failed"
  | "timed_out"
  | "cancelling"
  | "cancelled";

type Keys<T> = { [K in keyof Required<T>]: true };

const task = {
  queue: true,
  tags: true,
  priority: true,
  priorityAgeing: true,
  retryPolicy: true,
  timeout: true,
  cached: true,
  cacheTtl: true,
} as const satisfies Keys<TaskOptions>;

const keyed = { ...task, concurrencyKey: true, fairnessKey: true, fairnessWeight: true } as const satisfies Keys<KeyedOptions>;

const none = {} as const;

/** By the names that `stent_describe` uses. */
export const OPTIONS = {
  dispatch: {
    id: true,
    kwargs: true,
    delay: true,
    expiry: true,
    maxDuration: true,
    idempotencyKey: true,
    idempotencyReuse: true,
    uniqueKey: true,
    uniqueFor: true,
    uniqueWhile: true,
    uniqueExisting: true,
    debounce: true,
    debounceMax: true,
    onCancel: true,
    traceparent: true,
    ...keyed,
  } satisfies Keys<DispatchOptions>,
  dispatch_request: { function: true, args: true, options: true } satisfies Keys<DispatchRequest>,
  call: { key: true, kwargs: true, delay: true, idempotencyKey: true, cacheKey: true, ...keyed } satisfies Keys<CallOptions>,
  function: {
    version: true,
    maxConcurrent: true,
    maxConcurrentPerKey: true,
    rate: true,
    ratePerKey: true,
    idempotent: true,
    cleanup: true,
    ...task,
  } satisfies Keys<FunctionOptions>,
  rate: { limit: true, period: true, burst: true } satisfies Keys<Rate>,
  batch: { size: true, wait: true } satisfies Keys<BatchOptions>,
  retry_policy: {
    maxAttempts: true,
    maxDeaths: true,
    backoffFactor: true,
    initialDelay: true,
    maxDelay: true,
    delays: true,
    jitter: true,
    maxElapsed: true,
    retryFor: true,
    noRetryFor: true,
    retryChildren: true,
  } satisfies Keys<RetryPolicy>,
  worker: {
    workerId: true,
    queues: true,
    queueRates: true,
    tags: true,
    maxConcurrency: true,
    prefetch: true,
    leaseDuration: true,
    heartbeatInterval: true,
    pollInterval: true,
    pollIntervalMax: true,
    cleanupInterval: true,
    retentionPeriod: true,
    hold: true,
    maxCoroutines: true,
    hostTimeout: true,
  } satisfies Keys<WorkerOptions>,
  sqlite: { synchronous: true, busyTimeout: true, readers: true, fileMode: true } satisfies Keys<SqliteOptions>,
  check: { only: true, timeout: true } satisfies Keys<CheckOptions>,
  executor: none,
  wait_signal: { timeout: true, key: true } satisfies Keys<WaitSignalOptions>,
  step: { key: true } satisfies Keys<StepOptions>,
  signal: { id: true } satisfies Keys<SignalOptions>,
  execution_filter: {
    state: true,
    function: true,
    queue: true,
    tag: true,
    createdAfter: true,
    createdBefore: true,
    limit: true,
    offset: true,
  } satisfies Keys<ExecutionFilter>,
  dead_letter_filter: {
    taskId: true,
    executionId: true,
    function: true,
    limit: true,
    offset: true,
  } satisfies Keys<DeadLetterFilter>,
  schedule: {
    name: true,
    function: true,
    args: true,
    options: true,
    cron: true,
    every: true,
    times: true,
    timeZone: true,
    start: true,
    end: true,
    jitter: true,
    overlap: true,
    catchUp: true,
    owner: true,
    timeArgument: true,
  } satisfies Keys<Schedule>,
  schedule_filter: {
    name: true,
    owner: true,
    function: true,
    after: true,
    limit: true,
    next: true,
    last: true,
  } satisfies Keys<ScheduleFilter>,
  declare_schedules: { removeOthers: true } satisfies Keys<DeclareOptions>,
  pause_schedule: { note: true } satisfies Keys<SchedulePauseOptions>,
  trigger_schedule: { overlap: true } satisfies Keys<TriggerOptions>,
  backfill_schedule: { from: true, to: true, overlap: true } satisfies Keys<BackfillOptions>,
  replay_dead_letter: none,
  resume: none,
  pause: { queue: true, function: true, reason: true, by: true } satisfies Keys<PauseOptions>,
  unpause: { queue: true, function: true } satisfies Keys<UnpauseOptions>,
  cleanup: { olderThan: true, deadLetters: true } satisfies Keys<CleanupOptions>,
  stats: { format: true } satisfies Keys<StatsOptions>,
  configure: { runtimeThreads: true, handlerStackSize: true, otlpEndpoint: true } satisfies Keys<ConfigureOptions>,
  log_handler: { level: true } satisfies Keys<LogOptions>,
} as const;

export type OptionsKind = keyof typeof OPTIONS;

/** maxAttempts → max_attempts */
export const toSnake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** root_function → rootFunction */
export const toCamel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Options as the library reads them; what is unknown is refused, in the names that are written here. */
export function encode(kind: OptionsKind, options: object | undefined, doing: string): Record<string, unknown> {
  if (options !== undefined && (typeof options !== "object" || options === null || Array.isArray(options))) {
    throw misuse(`${doing}: the options are ${shown(options)}; they must be an object`);
  }
  const known = Object.keys(OPTIONS[kind]);
  const encoded: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options ?? {})) {
    if (!known.includes(key)) {
      const near = nearest(key, known);
      const hint = near ? `did you mean "${near}"? Known are` : "known are";
      throw misuse(`${doing}: there is no option "${key}"; ${hint} ${known.join(", ")}`, { key, known, ...(near && { nearest: near }) });
    }
    if (value !== undefined) encoded[toSnake(key)] = member(key, value, doing);
  }
  return encoded;
}

function member(key: string, value: unknown, doing: string): unknown {
  if (key === "retryPolicy" && value !== null) return encode("retry_policy", value as object, `${doing}: retryPolicy`);
  if ((key === "rate" || key === "ratePerKey") && value !== null) return encode("rate", value as object, `${doing}: ${key}`);
  if (key === "queueRates" && typeof value === "object" && value !== null) {
    const rates = Object.entries(value);
    return Object.fromEntries(rates.map(([queue, rate]) => [queue, rate && encode("rate", rate, `${doing}: queueRates: ${queue}`)]));
  }
  return key === "onCancel" ? referenceOf(value, `${doing}: onCancel`).name : value;
}

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Of a duration that is waited for on this side of the library, which reads it in the same way. NaN: it is none. */
export function milliseconds(duration: Duration): number {
  if (typeof duration === "number") return duration * 1_000;
  const text = String(duration).trim();
  if (/^[\d.]+$/.test(text)) return Number(text) * 1_000;
  if (!/^(\d+(\.\d+)?(ms|[smhdw])\s*)+$/.test(text)) return NaN;
  const parts = [...text.matchAll(/([\d.]+)([a-z]+)/g)];
  return parts.reduce((all, [, number, unit]) => all + Number(number) * UNITS[unit], 0);
}

/** As a call takes it: null for none, which spares the library a look. */
export function encodeText(kind: OptionsKind, options: object | undefined, doing: string): string | null {
  return options === undefined ? null : toJson(encode(kind, options, doing), doing);
}

const SNAKES = new Map(
  Object.values(OPTIONS)
    .flatMap((kind) => Object.keys(kind))
    .map((name) => [toSnake(name), name]),
);

/** Options in a sentence of the library's, as they are written here. */
export const respelled = (text: string): string =>
  text.replace(/[a-z]+(?:_[a-z]+)+/g, (word) => SNAKES.get(word) ?? word);

/** A record of the library, with its names as JavaScript writes them; what users put into it stays as it is. */
export function decode<T>(record: unknown): T {
  const decoded: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(record as object)) decoded[toCamel(key)] = value;
  return decoded as T;
}
