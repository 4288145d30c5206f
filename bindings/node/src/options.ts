// Options as JavaScript writes them, and their names in the library. Each table has exactly the keys of its interface:
// the compiler sees to that, and a test compares the tables with what the library knows.

import { toJson } from "./payload";

/** A number of seconds, or text such as "1h30m". */
export type Duration = number | string;

export interface RetryPolicy {
  /** In all, the first included. */
  maxAttempts?: number;
  /** Workers in a row that may die while they run it apart from others. */
  maxDeaths?: number;
  backoffFactor?: number;
  initialDelay?: Duration;
  maxDelay?: Duration;
  /** The part of the delay by which chance moves it: 0 to 1. */
  jitter?: number;
  /** The failure types that are retried; empty: all. */
  retryFor?: string[];
  noRetryFor?: string[];
  /** A failed call is tried again with its caller. */
  retryChildren?: boolean;
}

interface TaskOptions {
  queue?: string;
  tags?: string[];
  priority?: number;
  retryPolicy?: RetryPolicy;
  /** For one attempt. */
  timeout?: Duration;
  cached?: boolean;
  cacheTtl?: Duration;
}

export interface DispatchOptions extends TaskOptions {
  id?: string;
  kwargs?: Record<string, unknown>;
  delay?: Duration;
  /** It is ended as timed out this long after the dispatch. */
  expiry?: Duration;
  maxDuration?: Duration;
  /** The second use joins the first. */
  idempotencyKey?: string;
  /** What the key does after an execution that failed: start a new one (the default), or answer that one's id. */
  idempotencyReuse?: "after_failure" | "never";
  /** The function that is dispatched when the execution is cancelled. */
  onCancel?: string;
  traceparent?: string;
}

export interface DispatchRequest {
  function: string;
  args?: unknown[];
  options?: DispatchOptions;
}

export interface CallOptions extends TaskOptions {
  /** The operation's own key in the record, in place of name and number. */
  key?: string;
  kwargs?: Record<string, unknown>;
  delay?: Duration;
  idempotencyKey?: string;
  cacheKey?: string;
}

export interface FunctionOptions extends TaskOptions {
  version?: string;
  /** At most so many at once, in all workers. */
  maxConcurrent?: number;
  idempotent?: boolean;
  /** How long an execution of it may clean up after it was cancelled or timed out; see the README. */
  cleanup?: Duration;
}

export interface WorkerOptions {
  workerId?: string;
  queues?: string[];
  tags?: string[];
  /** Tasks that run at once; waiting workflows don't count. */
  maxConcurrency?: number;
  prefetch?: number;
  leaseDuration?: Duration;
  heartbeatInterval?: Duration;
  pollInterval?: Duration;
  pollIntervalMax?: Duration;
  /** null: never. */
  cleanupInterval?: Duration | null;
  retentionPeriod?: Duration;
  /** Of no use here: handlers are not called back. */
  hold?: Duration;
  /** Waiting workflows that are kept in memory; beyond that they are replayed. */
  maxCoroutines?: number;
  /** A thread whose event loop stands still for so long counts as dead, and other workers take its tasks; three leases
   * where nobody says. */
  hostTimeout?: Duration;
}

export interface SqliteOptions {
  synchronous?: "full" | "normal" | "off";
  busyTimeout?: Duration;
  readers?: number;
  /** Of a new file, as for chmod: "0600" where nobody says. */
  fileMode?: "0600" | "0640" | "0644" | "0660" | "0664" | "0666";
}

export interface CheckOptions {
  /** Cases whose names begin with one of these, such as "records"; none: all. */
  only?: string[];
  /** For one case. */
  timeout?: Duration;
}

export interface WaitSignalOptions {
  timeout?: Duration;
  key?: string;
}

export interface StepOptions {
  key?: string;
}

export interface SignalOptions {
  /** The same id for the same execution and name counts once. */
  id?: string;
}

export interface ExecutionFilter {
  state?: ExecutionState;
  function?: string;
  queue?: string;
  tag?: string;
  createdAfter?: string | Date;
  createdBefore?: string | Date;
  limit?: number;
  offset?: number;
}

export interface DeadLetterFilter {
  taskId?: string;
  executionId?: string;
  function?: string;
  limit?: number;
  offset?: number;
}

export interface CleanupOptions {
  olderThan?: Duration;
  deadLetters?: Duration;
}

export interface StatsOptions {
  format?: "json" | "prometheus";
}

export interface LogOptions {
  level?: "error" | "warn" | "info" | "debug";
}

export interface ConfigureOptions {
  /** Threads that serve the stores. */
  runtimeThreads?: number;
  /** Bytes of stack of each thread that runs handlers. */
  handlerStackSize?: number;
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
  retryPolicy: true,
  timeout: true,
  cached: true,
  cacheTtl: true,
} as const satisfies Keys<TaskOptions>;

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
    onCancel: true,
    traceparent: true,
    ...task,
  } satisfies Keys<DispatchOptions>,
  dispatch_request: { function: true, args: true, options: true } satisfies Keys<DispatchRequest>,
  call: { key: true, kwargs: true, delay: true, idempotencyKey: true, cacheKey: true, ...task } satisfies Keys<CallOptions>,
  function: { version: true, maxConcurrent: true, idempotent: true, cleanup: true, ...task } satisfies Keys<FunctionOptions>,
  retry_policy: {
    maxAttempts: true,
    maxDeaths: true,
    backoffFactor: true,
    initialDelay: true,
    maxDelay: true,
    jitter: true,
    retryFor: true,
    noRetryFor: true,
    retryChildren: true,
  } satisfies Keys<RetryPolicy>,
  worker: {
    workerId: true,
    queues: true,
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
  replay_dead_letter: none,
  resume: none,
  cleanup: { olderThan: true, deadLetters: true } satisfies Keys<CleanupOptions>,
  stats: { format: true } satisfies Keys<StatsOptions>,
  configure: { runtimeThreads: true, handlerStackSize: true } satisfies Keys<ConfigureOptions>,
  log_handler: { level: true } satisfies Keys<LogOptions>,
} as const;

/** maxAttempts → max_attempts */
export const toSnake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** root_function → rootFunction */
export const toCamel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Options as the library reads them; what is unknown it refuses by name. */
export function encode(options: object | undefined): Record<string, unknown> {
  const encoded: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options ?? {})) {
    if (value === undefined) continue;
    encoded[toSnake(key)] = key === "retryPolicy" ? encode(value as RetryPolicy) : value;
  }
  return encoded;
}

/** As a call takes it: null for none, which spares the library a look. */
export function encodeText(options: object | undefined): string | null {
  return options === undefined ? null : toJson(encode(options));
}

/** A record of the library, with its names as JavaScript writes them; what users put into it stays as it is. */
export function decode<T>(record: unknown): T {
  const decoded: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(record as object)) decoded[toCamel(key)] = value;
  return decoded as T;
}
