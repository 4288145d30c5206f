// A store, what is registered and dispatched on it, and the workers that run here.

import { isMainThread } from "node:worker_threads";
import { beside, check, errorOut } from "./checked";
import { type Codec, NativeCodec } from "./codec";
import { Context } from "./context";
import { ClosedError, misuse, NotFoundError } from "./errors";
import { checkId, Execution } from "./execution";
import { BatchDefinition, type Define, define, Definition } from "./functions";
import { Host, newWorkerId } from "./host";
import { BatchItem } from "./item";
import { Log, type LogChoice } from "./log";
import { type Handle, native } from "./native";
import {
  type BackfillOptions,
  type CheckOptions,
  type CleanupOptions,
  decode,
  type DeadLetterFilter,
  type DeclareOptions,
  type DispatchOptions,
  type DispatchRequest,
  type Duration,
  encode,
  encodeText,
  type ExecutionFilter,
  type PauseOptions,
  type Schedule,
  type ScheduleFilter,
  type SchedulePauseOptions,
  type SqliteOptions,
  type StatsOptions,
  type TriggerOptions,
  type UnpauseOptions,
  type WorkerOptions,
} from "./options";
import { fromJson, toJson } from "./payload";
import {
  type CheckReport,
  type DeadLetter,
  deadLetterOf,
  type ExecutionRecord,
  type KeptSchedule,
  type Pause,
  recordOf,
  scheduleOf,
  type Tick,
} from "./records";
import { type Callee, Reference, referenceOf, type Rest, shown } from "./references";
import { Run } from "./run";
import { parseArgs } from "./schema";
import { Values } from "./values";
import { Asked, type RunOptions, Worker } from "./worker";

export interface OpenOptions extends SqliteOptions, LogChoice {
  /** Writes and reads the values of handlers and callers; a NativeCodec where nobody says. */
  codec?: Codec | undefined;
}

/** What `register` takes: definitions, or what `define` makes one of. */
export interface Register extends Define {
  (...definitions: Definition<any, any>[]): void;
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
  /** @internal */
  readonly values: Values;
  /** Makes functions known to the workers that are started from now on. */
  readonly register: Register = (...given: any[]) => this.makeKnown(given) as any;
  private readonly host: Host;
  private known = new Map<string, Definition<any, any>>();
  private readonly workers = new Map<string, Worker>();
  /** Functions that came too late for the workers that are here. */
  private readonly late = new Set<string>();
  private closing: Promise<void> | null = null;

  private constructor(
    private readonly backend: Handle,
    private readonly executor: Handle,
    private readonly log: Log | null,
    codec: Codec,
  ) {
    this.values = new Values(codec);
    this.host = new Host(this.values);
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
    if (typeof url !== "string") throw misuse(`open: the store's URL is ${shown(url)}; it must be a string`);
    const { logger, logLevel, codec = new NativeCodec(), ...store } = options;
    const log = Log.of({ logger, logLevel }, logger !== undefined);
    if (typeof codec?.write !== "function" || typeof codec.read !== "function") {
      throw misuse("open: codec must be an object with the functions write and read");
    }
    const text = Object.keys(store).length === 0 ? null : encodeText("sqlite", store, "open");
    const out = new BigUint64Array(1);
    await beside(native.backendOpen, url, text, out);
    const backend = out[0];
    let executor: Handle = 0n;
    try {
      check(native.executorNew(backend, null, out, errorOut));
      executor = out[0];
      return new Stent(backend, executor, log, codec);
    } catch (error) {
      native.executorFree(executor);
      native.backendFree(backend);
      throw error;
    }
  }

  private mustBeOpen(doing: string): void {
    if (this.closing) throw new ClosedError({ status: "CLOSED", message: `${doing}: the store was closed` });
  }

  private makeKnown(given: unknown[]): Definition<any, any> | undefined {
    this.mustBeOpen("register");
    if (typeof given[0] === "string") {
      const definition = (define as (...given: unknown[]) => Definition<any, any>)(...given);
      this.makeOneKnown(definition);
      return definition;
    }
    given.forEach((one, index) => {
      if (one instanceof Definition) return;
      const hint = one === undefined ? " (a circular import?)" : "";
      throw misuse(`register: argument ${index + 1} is ${shown(one)}${hint}; it must be what \`define\` gives`);
    });
    for (const one of given) this.makeOneKnown(one as Definition<any, any>);
    return undefined;
  }

  private makeOneKnown(one: Definition<any, any>): void {
    const options = encodeText("function", one.options, `register '${one.name}'`);
    check(native.executorRegister(this.executor, one.name, options, null, null, null, errorOut));
    if (!this.known.has(one.name) && this.workersHere().length > 0) this.tellIfLate(one.name);
    this.known.set(one.name, one);
  }

  /**
   * Takes handlers back: workers that are started from now on don't have them, those that run keep them. NotFoundError: one is
   * not registered here.
   */
  unregister(...functions: Callee[]): void {
    this.mustBeOpen("unregister");
    for (const { name } of functions.map((one) => referenceOf(one, "unregister"))) {
      check(native.executorUnregister(this.executor, name, errorOut));
      // A map of its own: those that run keep theirs.
      this.known = new Map(this.known);
      this.known.delete(name);
      this.late.delete(name);
    }
  }

  /** Unless another worker is started for it, at once. */
  private tellIfLate(name: string): void {
    this.late.add(name);
    setImmediate(() => {
      const running = this.workersHere();
      if (!this.late.delete(name) || running.length === 0) return;
      const workers = running.map((worker) => worker.id).join(", ");
      const why = `'${name}' was registered after the worker ${workers} had started, which does not run it`;
      const fields = { target: "stent.node", function: name };
      this.log?.write("warn", `${why}: register functions before startWorker, or start another worker`, fields);
    });
  }

  /** Starts an execution; it is durable when the promise resolves. */
  dispatch<Args extends any[], Result>(
    callee: Reference<Args, Result>,
    ...rest: Rest<Args, DispatchOptions>
  ): Promise<Execution<Result>>;
  dispatch<T = unknown>(
    callee: string,
    args?: readonly unknown[],
    options?: DispatchOptions,
  ): Promise<Execution<NoInfer<T>>>;
  async dispatch(callee: Callee, args: readonly unknown[] = [], options?: DispatchOptions): Promise<Execution<any>> {
    const called = referenceOf(callee, "dispatch");
    const id = await this.submit<string>("dispatch", this.request(called, args, options));
    return new Execution(this, id, called);
  }

  /** Starts many, in order, in few transactions. */
  dispatchMany<Args extends any[], Result>(
    callee: Reference<Args, Result>,
    argsList: readonly Readonly<Args>[],
    options?: DispatchOptions,
  ): Promise<Execution<Result>[]>;
  dispatchMany(requests: readonly DispatchRequest[]): Promise<Execution[]>;
  async dispatchMany(
    what: Reference<any, any> | readonly DispatchRequest[],
    argsList: readonly any[] = [],
    options?: DispatchOptions,
  ): Promise<Execution<any>[]> {
    const wanted = what instanceof Reference ? argsList.map((args: unknown[]) => ({ function: what, args, options })) : what;
    const called = wanted.map((one) => referenceOf(one.function, "dispatchMany"));
    const requests = wanted.map((one, index) => this.request(called[index], one.args ?? [], one.options));
    const ids = await this.submit<string[]>("dispatch_many", { requests });
    return ids.map((id, index) => new Execution(this, id, called[index]));
  }

  private request(callee: Reference<any, any>, args: readonly unknown[], options: DispatchOptions | undefined): object {
    const place = `the arguments of '${callee.name}'`;
    parseArgs(callee.schemas.args, args, place);
    const encoded = encode("dispatch", options, "dispatch");
    if (encoded.id !== undefined) checkId(encoded.id, "dispatch: id");
    if (options?.kwargs) encoded.kwargs = this.values.members(options.kwargs, "kwargs");
    return { function: callee.name, args: this.values.args(args, place), options: encoded };
  }

  /** One that was dispatched before. Nothing is asked of the store. */
  execution<T = unknown>(id: string): Execution<NoInfer<T>>;
  execution<Result>(callee: Reference<any, Result>, id: string): Execution<Result>;
  execution(first: string | Reference<any, any>, second?: string): Execution<any> {
    const [callee, id] = first instanceof Reference ? [first, second] : ["an execution", first];
    checkId(id, "execution");
    return new Execution(this, id as string, referenceOf(callee, "execution"));
  }

  /** Newest first, without their progress. */
  async list(filter?: ExecutionFilter): Promise<ExecutionRecord[]> {
    const found = await this.submit<object[]>("list", encode("execution_filter", filter, "list"));
    return found.map((one) => recordOf(one, this.values));
  }

  stats(): Promise<Record<string, unknown>>;
  stats(options: { format: "prometheus" }): Promise<string>;
  stats(options?: StatsOptions): Promise<unknown> {
    return this.submit("stats", encode("stats", options, "stats"));
  }

  async deadLetters(filter?: DeadLetterFilter): Promise<DeadLetter[]> {
    const found = await this.submit<{ task: object }[]>("dead_letters", encode("dead_letter_filter", filter, "deadLetters"));
    return found.map((letter) => deadLetterOf(letter, this.values));
  }

  /** Starts an execution anew from a dead letter, without the calls that failed. */
  async replayDeadLetter(taskId: string): Promise<Execution> {
    const ids = await this.submit<{ execution_id: string }>("replay_dead_letter", { task_id: taskId });
    return this.execution(ids.execution_id);
  }

  discardDeadLetter(taskId: string): Promise<null> {
    return this.submit("discard_dead_letter", { task_id: taskId });
  }

  /** Lets a task go on that was parked because its code did not match its record. */
  resume(taskId: string): Promise<null> {
    return this.submit("resume", { task_id: taskId });
  }

  /** Pauses a queue or a function: when this resolves, no worker claims a task of it any more. */
  pause(options: PauseOptions): Promise<null> {
    return this.submit("pause", encode("pause", options, "pause"));
  }

  /** Its tasks are claimed again. */
  unpause(options: UnpauseOptions): Promise<null> {
    return this.submit("unpause", encode("unpause", options, "unpause"));
  }

  /** What is paused: queues first, by name, then functions. */
  pauses(): Promise<Pause[]> {
    return this.submit("pauses", {});
  }

  cleanup(options?: CleanupOptions): Promise<{ executions: number; dead_letters: number }> {
    return this.submit("cleanup", encode("cleanup", options, "cleanup"));
  }

  /** Puts a schedule into the store, in place of one of the same name. */
  putSchedule(schedule: Schedule): Promise<null> {
    return this.submit("schedule_put", this.schedule(schedule));
  }

  /** Workers that are started from now on put an owner's schedules when they start. */
  declareSchedules(owner: string, schedules: readonly Schedule[], options?: DeclareOptions): void {
    this.mustBeOpen("declareSchedules");
    const text = toJson(schedules.map((one) => this.schedule(one)), "declareSchedules");
    const how = encodeText("declare_schedules", options, "declareSchedules");
    check(native.executorSchedulesDeclare(this.executor, owner, text, how, errorOut));
  }

  private schedule(schedule: Schedule): object {
    const doing = `schedule ${shown(schedule?.name)}`;
    const encoded = encode("schedule", schedule, doing);
    const request = this.request(referenceOf(schedule.function, doing), schedule.args ?? [], schedule.options);
    return { ...encoded, ...request };
  }

  /** Schedules by name, each with what comes next and what was. */
  async schedules(filter?: ScheduleFilter): Promise<KeptSchedule[]> {
    const found = await this.submit<object[]>("schedule_list", encode("schedule_filter", filter, "schedules"));
    return found.map((one) => scheduleOf(one, this.values));
  }

  /** What it has started goes on. */
  deleteSchedule(name: string): Promise<null> {
    return this.submit("schedule_delete", { name });
  }

  /** It starts nothing by its times until it is resumed. */
  pauseSchedule(name: string, options?: SchedulePauseOptions): Promise<null> {
    return this.submit("schedule_pause", { name, ...encode("pause_schedule", options, "pauseSchedule") });
  }

  /** It goes on from now. */
  resumeSchedule(name: string): Promise<null> {
    return this.submit("schedule_resume", { name });
  }

  /** Makes a tick now, and tells what became of it. */
  async triggerSchedule(name: string, options?: TriggerOptions): Promise<Tick[]> {
    const asked = { name, ...encode("trigger_schedule", options, "triggerSchedule") };
    return (await this.submit<object[]>("schedule_trigger", asked)).map((tick) => decode<Tick>(tick));
  }

  /** Makes the ticks of a time that is over, but for those that were started. */
  async backfillSchedule(name: string, options: BackfillOptions): Promise<Tick[]> {
    const asked = { name, ...encode("backfill_schedule", options, "backfillSchedule") };
    return (await this.submit<object[]>("schedule_backfill", asked)).map((tick) => decode<Tick>(tick));
  }

  /** One operation of the backend protocol, to look at records and to repair them. Names are the library's. */
  backendCall<T = unknown>(operation: string, request: object = {}): Promise<NoInfer<T>> {
    return this.submit("backend_call", { operation, request });
  }

  /**
   * Runs the conformance suite against the store, whoever wrote it. It wants a store of its own, on which no worker
   * runs: what has ended there is cleaned away. A case that fails is no error; the report tells of it.
   */
  async check(options?: CheckOptions): Promise<CheckReport> {
    this.mustBeOpen("check");
    const out: [string | null] = [null];
    await beside(native.backendCheck, this.backend, encodeText("check", options, "check"), out);
    return decode(JSON.parse(out[0]!));
  }

  /**
   * Copies the store to a new file, as it is at one moment, while workers go on. For SQLite; other stores have tools of
   * their own, and throw an error of status UNSUPPORTED.
   */
  async backup(path: string): Promise<void> {
    this.mustBeOpen("backup");
    await beside(native.backendBackup, this.backend, path, null);
  }

  /** Starts a worker for the functions that are registered by now; resolves when it is ready. */
  async startWorker(options: WorkerOptions = {}): Promise<Worker> {
    this.mustBeOpen("startWorker");
    const id = options.workerId ?? newWorkerId();
    const out = new BigUint64Array(1);
    const text = encodeText("worker", { ...options, workerId: id }, "startWorker");
    const leave = this.host.stay();
    try {
      check(native.workerStart(this.executor, text, this.host.poller, out, errorOut));
    } catch (error) {
      leave();
      throw error;
    }
    this.late.clear();
    const worker = new Worker(this, out[0], id, this.known, leave);
    this.workers.set(id, worker);
    await worker.reaches("ready");
    if (worker.state === "stopped") {
      throw new ClosedError({ status: "CLOSED", message: `the worker ${id} stopped before it was ready` });
    }
    this.tellIfLarge(worker);
    return worker;
  }

  private tellIfLarge(worker: Worker): void {
    const { slots } = worker.status();
    for (const one of worker.known.values()) {
      if (!(one instanceof BatchDefinition) || one.size <= slots) continue;
      const why = `'${one.name}' takes up to ${one.size} tasks at once, and this worker has ${slots} slots`;
      const fields = { target: "stent.node", function: one.name, worker: worker.id };
      this.log?.write("warn", `${why}: its batches are no larger; a larger maxConcurrency makes them so`, fields);
    }
  }

  /**
   * Starts a worker and runs it until the process is told to end, by SIGTERM or SIGINT, or `signal` is aborted; then it drains.
   * See Worker.run. The store is still open then.
   */
  async serve(options: WorkerOptions & RunOptions = {}): Promise<void> {
    const { drain, signal, ...rest } = options;
    const asked = new Asked(signal);
    try {
      const worker = await this.startWorker(rest);
      await worker.runUntil(asked, drain);
    } finally {
      asked.forget();
    }
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

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async closeNow(timeout: Duration): Promise<void> {
    const all = [...this.workers.values()];
    const workers = all.filter((worker) => !worker.hasGivenUp);
    for (const worker of workers) worker.drain();
    const stopped = await Promise.allSettled(workers.map((worker) => worker.stop(timeout)));
    this.host.close();
    const late = stopped.find((one) => one.status === "rejected");
    try {
      // Where handlers were given up the library is not asked to wait for them again.
      if (all.some((worker) => worker.hasGivenUp)) await beside(native.backendShutdown, this.backend, 0).catch(() => {});
      else await beside(native.backendClose, this.backend);
    } finally {
      // No event tells of those that were given up.
      for (const worker of this.workersHere()) worker.reach("stopped");
      native.executorFree(this.executor);
      native.backendFree(this.backend);
      alive.delete(this);
      takeProcessLog();
    }
    if (late) throw late.reason;
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
    const handle = native.eventTask(event);
    const worker = this.workers.get(native.taskWorkerId(handle));
    const definition = (worker?.known ?? this.known).get(task.function);
    const look = () => worker?.batches.look();
    const body = (): unknown => {
      if (!definition) {
        throw new NotFoundError({ status: "NOT_FOUND", message: `'${task.function}' is not registered here` });
      }
      const place = `the arguments of '${task.function}'`;
      const given = task.args.map((arg, index) => this.values.read(arg, `${place}[${index}]`));
      const args = parseArgs(definition.schemas.args, given, place);
      for (const [key, held] of Object.entries(task.kwargs)) task.kwargs[key] = this.values.read(held, `kwargs.${key}`);
      const context = new Context(run, task.kwargs, this.values, this.log);
      if (!(definition instanceof BatchDefinition)) return definition.handler(context, ...args);
      return worker!.batches.add(definition, new BatchItem(args, context));
    };
    const run: Run = new Run(tag, handle, this.host, task.function, definition?.schemas ?? {}, body, look);
    look();
    return run;
  }
}
