// A store, what is registered and dispatched on it, and the workers that run here.

import { isMainThread } from "node:worker_threads";
import { Context } from "./context";
import { beside, check, ClosedError, errorOut, NotFoundError } from "./errors";
import { Host, newWorkerId, type WorkerState } from "./host";
import { Log, type LogChoice } from "./log";
import { type Handle, native } from "./native";
import {
  type CheckOptions,
  type CleanupOptions,
  decode,
  type DeadLetterFilter,
  type DispatchOptions,
  type DispatchRequest,
  encode,
  encodeText,
  type ExecutionFilter,
  type ExecutionState,
  type FunctionOptions,
  type SignalOptions,
  type SqliteOptions,
  type StatsOptions,
  type WorkerOptions,
  type Duration,
} from "./options";
import { fromJson } from "./payload";
import { Run } from "./run";
import type { Failure } from "./errors";

/** A function that others call by its name. Arguments and result are JSON, or Buffers, at any depth. */
export type Handler = (context: Context, ...args: any[]) => unknown;

export interface OpenOptions extends SqliteOptions, LogChoice {}

/** Bounds a wait that is otherwise as long as it takes. */
export interface WaitOptions {
  timeout?: Duration;
  signal?: AbortSignal;
}

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

function recordOf(json: object): ExecutionRecord {
  const record = decode<ExecutionRecord>(json);
  record.progress = (record.progress ?? []).map((entry) => decode<Progress>(entry));
  return record;
}

/** One run of a function, here or in any other process on the store. */
export class Execution {
  constructor(
    private readonly stent: Stent,
    readonly id: string,
  ) {}

  /** Waits for its result. A failed one throws FailedError, a cancelled one CancelledError. */
  result<T = unknown>(options: WaitOptions = {}): Promise<T> {
    return this.submit("result", { timeout: options.timeout }, options.signal);
  }

  /** Waits until it is over, in whatever way. */
  async wait(options: WaitOptions = {}): Promise<ExecutionRecord> {
    return recordOf(await this.submit("wait", { timeout: options.timeout }, options.signal));
  }

  /** As it is now. */
  async state(): Promise<ExecutionRecord> {
    return recordOf(await this.submit("state", {}));
  }

  signal(name: string, payload?: unknown, options: SignalOptions = {}): Promise<null> {
    return this.submit("signal", { name, payload, ...options });
  }

  /** Cancels it with everything that it called. */
  cancel(reason?: string): Promise<null> {
    return this.submit("cancel", { reason });
  }

  private submit<T>(operation: string, request: object, signal?: AbortSignal): Promise<T> {
    return this.stent.submit<T>(operation, { execution_id: this.id, ...request }, signal);
  }
}

/** Runs the registered functions. It keeps the process alive until it has stopped, unless `unref` is called. */
export class Worker {
  private readonly changed: (() => void)[] = [];
  private reached: WorkerState = "starting";
  private leave: (() => void) | null;

  constructor(
    private readonly stent: Stent,
    private readonly handle: Handle,
    readonly id: string,
    leave: () => void,
  ) {
    this.leave = leave;
  }

  get state(): WorkerState {
    return this.reached;
  }

  status(): WorkerStatus {
    const out: [string | null] = [null];
    check(native.workerStatus(this.handle, out, errorOut));
    return decode(JSON.parse(out[0]!));
  }

  /** Resolves when the worker has come to the state, or past it. */
  async reaches(state: WorkerState): Promise<void> {
    const order: WorkerState[] = ["starting", "ready", "draining", "stopped"];
    while (order.indexOf(this.reached) < order.indexOf(state)) {
      await new Promise<void>((resolve) => this.changed.push(resolve));
    }
  }

  /** Takes nothing new; what runs is ended, and waiting workflows go on elsewhere. */
  drain(): void {
    if (this.reached !== "stopped") check(native.workerDrain(this.handle, errorOut));
  }

  /** Drains, and resolves when the worker has stopped. What runs longer than the time-out is given up. */
  async stop(timeout?: Duration): Promise<void> {
    if (this.reached === "stopped") return;
    await this.stent.submit("stop_worker", { worker_id: this.id, timeout });
    await this.reaches("stopped");
  }

  /** Lets the process end while the worker runs. */
  unref(): this {
    this.leave?.();
    this.leave = null;
    return this;
  }

  /** @internal */
  abandon(): void {
    native.workerStop(this.handle, 0, null);
    native.workerFree(this.handle);
    this.reached = "stopped";
  }

  /** @internal */
  reach(state: WorkerState): void {
    this.reached = state;
    if (state === "stopped") {
      this.unref();
      native.workerFree(this.handle);
    }
    for (const resolve of this.changed.splice(0)) resolve();
  }
}

const alive = new Set<Stent>();

// What is claimed goes back at once, instead of when its lease ends; a moment is all that there is time for. The end of a
// thread of worker_threads is an exit too: it ends what was opened there, and not the rest of the process.
process.on("exit", () => {
  if (!isMainThread) for (const one of alive) one.abandon();
  else if (alive.size > 0) native.shutdown(0, null);
});

/** What belongs to no store of its own is told by the last that was opened and has a logger. */
function takeProcessLog(): void {
  for (const one of [...alive].reverse()) if (one.takesProcessLog()) return;
}

/** An open store. Made by `open`. */
export class Stent {
  private readonly host: Host;
  private readonly handlers = new Map<string, Handler>();
  private readonly workers = new Map<string, Worker>();
  private closing: Promise<void> | null = null;

  private constructor(
    private readonly backend: Handle,
    private readonly executor: Handle,
    private readonly log: Log | null,
  ) {
    this.host = new Host();
    this.host.newRun = (tag, event) => this.newRun(tag, event);
    this.host.onWorker = ({ worker_id, state }) => this.workers.get(worker_id)?.reach(state);
    if (log) {
      this.host.onLog = (line) => log.line(line);
      try {
        check(native.pollerLogExecutor(this.host.poller, executor, JSON.stringify({ level: log.level }), errorOut));
      } catch (error) {
        this.host.close();
        throw error;
      }
    }
    alive.add(this);
    takeProcessLog();
  }

  /** Opens a store: a file, ":memory:", or "postgresql://user@host/database". */
  static async open(url: string, options: OpenOptions = {}): Promise<Stent> {
    const { logger, logLevel, ...store } = options;
    const log = Log.of({ logger, logLevel }, logger !== undefined);
    const text = Object.keys(store).length === 0 ? null : encodeText(store);
    const out = new BigUint64Array(1);
    await beside(native.backendOpen, url, text, out);
    const backend = out[0];
    let executor: Handle = 0n;
    try {
      check(native.executorNew(backend, null, out, errorOut));
      executor = out[0];
      return new Stent(backend, executor, log);
    } catch (error) {
      native.executorFree(executor);
      native.backendFree(backend);
      throw error;
    }
  }

  /** Makes a function known to the workers that are started from now on. */
  register(name: string, handler: Handler): void;
  register(name: string, options: FunctionOptions, handler: Handler): void;
  register(name: string, ...rest: [Handler] | [FunctionOptions, Handler]): void {
    const [options, handler] = rest.length === 1 ? [undefined, rest[0]] : rest;
    check(native.executorRegister(this.executor, name, encodeText(options), null, null, null, errorOut));
    this.handlers.set(name, handler);
  }

  /** Starts an execution; it is durable when the promise resolves. */
  async dispatch(name: string, args: unknown[] = [], options?: DispatchOptions): Promise<Execution> {
    const id = await this.submit<string>("dispatch", { function: name, args, options: encode(options) });
    return new Execution(this, id);
  }

  /** Starts many, in order, in few transactions. */
  async dispatchMany(requests: DispatchRequest[]): Promise<Execution[]> {
    const encoded = requests.map((request) => ({ ...request, options: encode(request.options) }));
    const ids = await this.submit<string[]>("dispatch_many", { requests: encoded });
    return ids.map((id) => new Execution(this, id));
  }

  /** One that was dispatched before. Nothing is asked of the store. */
  execution(id: string): Execution {
    return new Execution(this, id);
  }

  /** Newest first, without their progress. */
  async list(filter: ExecutionFilter = {}): Promise<ExecutionRecord[]> {
    const found = await this.submit<object[]>("list", encode(filter));
    return found.map(recordOf);
  }

  stats(): Promise<Record<string, unknown>>;
  stats(options: { format: "prometheus" }): Promise<string>;
  stats(options: StatsOptions = {}): Promise<unknown> {
    return this.submit("stats", encode(options));
  }

  async deadLetters(filter: DeadLetterFilter = {}): Promise<{ task: Record<string, unknown>; reason: string; movedAt: string }[]> {
    const found = await this.submit<{ task: object }[]>("dead_letters", encode(filter));
    return found.map((letter) => ({ ...decode<{ reason: string; movedAt: string }>(letter), task: decode(letter.task) }));
  }

  /** Starts an execution anew from a dead letter, without the calls that failed. */
  async replayDeadLetter(taskId: string): Promise<Execution> {
    const ids = await this.submit<{ execution_id: string }>("replay_dead_letter", { task_id: taskId });
    return new Execution(this, ids.execution_id);
  }

  discardDeadLetter(taskId: string): Promise<null> {
    return this.submit("discard_dead_letter", { task_id: taskId });
  }

  /** Lets a task go on that was parked because its code did not match its record. */
  resume(taskId: string): Promise<null> {
    return this.submit("resume", { task_id: taskId });
  }

  cleanup(options: CleanupOptions = {}): Promise<{ executions: number; dead_letters: number }> {
    return this.submit("cleanup", encode(options));
  }

  /** One operation of the backend protocol, to look at records and to repair them. Names are the library's. */
  backendCall<T = unknown>(operation: string, request: object = {}): Promise<T> {
    return this.submit<T>("backend_call", { operation, request });
  }

  /**
   * Runs the conformance suite against the store, whoever wrote it. It wants a store of its own, on which no worker
   * runs: what has ended there is cleaned away. A case that fails is no error; the report tells of it.
   */
  async check(options?: CheckOptions): Promise<CheckReport> {
    const out: [string | null] = [null];
    await beside(native.backendCheck, this.backend, encodeText(options), out);
    return decode(JSON.parse(out[0]!));
  }

  /**
   * Copies the store to a new file, as it is at one moment, while workers go on. For SQLite; other stores have tools of
   * their own, and throw an error of status UNSUPPORTED.
   */
  async backup(path: string): Promise<void> {
    await beside(native.backendBackup, this.backend, path, null);
  }

  /** Starts a worker for the functions that are registered by now; resolves when it is ready. */
  async startWorker(options: WorkerOptions = {}): Promise<Worker> {
    const id = options.workerId ?? newWorkerId();
    const out = new BigUint64Array(1);
    const text = encodeText({ ...options, workerId: id });
    const leave = this.host.stay();
    try {
      check(native.workerStart(this.executor, text, this.host.poller, out, errorOut));
    } catch (error) {
      leave();
      throw error;
    }
    const worker = new Worker(this, out[0], id, leave);
    this.workers.set(id, worker);
    await worker.reaches("ready");
    if (worker.state === "stopped") {
      throw new ClosedError({ status: "CLOSED", message: `the worker ${id} stopped before it was ready` });
    }
    return worker;
  }

  /** The workers that were started here and have not stopped. */
  workersHere(): Worker[] {
    return [...this.workers.values()].filter((worker) => worker.state !== "stopped");
  }

  /** Stops the workers, then closes the store. What runs longer than the time-out is given up. */
  close(options: { timeout?: Duration } = {}): Promise<void> {
    this.closing ??= this.closeNow(options.timeout ?? "10s");
    return this.closing;
  }

  [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")](): Promise<void> {
    return this.close();
  }

  private async closeNow(timeout: Duration): Promise<void> {
    const workers = [...this.workers.values()];
    for (const worker of workers) worker.drain();
    const stopped = await Promise.allSettled(workers.map((worker) => worker.stop(timeout)));
    this.host.close();
    try {
      await beside(native.backendClose, this.backend);
    } finally {
      native.executorFree(this.executor);
      native.backendFree(this.backend);
      alive.delete(this);
      takeProcessLog();
    }
    for (const one of stopped) if (one.status === "rejected") throw one.reason;
  }

  /** @internal The thread ends: what it holds is given up, and whatever could be waited for is not. */
  abandon(): void {
    for (const worker of this.workersHere()) worker.abandon();
    this.host.close();
    native.backendClose(this.backend, null);
    native.executorFree(this.executor);
    native.backendFree(this.backend);
    alive.delete(this);
  }

  /** @internal */
  takesProcessLog(): boolean {
    if (!this.log || this.closing) return false;
    check(native.pollerLog(this.host.poller, JSON.stringify({ level: this.log.level }), errorOut));
    return true;
  }

  /** @internal */
  submit<T>(operation: string, request: object, signal?: AbortSignal): Promise<T> {
    return this.host.submit<T>(this.executor, operation, request, signal);
  }

  private newRun(tag: number, event: Handle): Run {
    const task: { function: string; args: unknown[]; kwargs: Record<string, unknown> } = fromJson(native.eventJson(event));
    const handler = this.handlers.get(task.function);
    const run: Run = new Run(tag, native.eventTask(event), this.host, () => {
      if (!handler) {
        throw new NotFoundError({ status: "NOT_FOUND", message: `'${task.function}' is not registered here` });
      }
      return handler(new Context(run, task.kwargs, this.log), ...task.args);
    });
    return run;
  }
}
