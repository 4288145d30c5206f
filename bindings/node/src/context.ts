// What a handler is given.

import { errorOut } from "./checked";
import { type Callee, type Reference, referenceOf, type Rest, signalOf, type SignalReference } from "./references";
import { type HandlerLog, handlerLog, type Log } from "./log";
import { native } from "./native";
import {
  type CallOptions,
  decode,
  type Duration,
  encodeText,
  type StepOptions,
  type TransactionOptions,
  type WaitSignalOptions,
} from "./options";
import { fromJson } from "./payload";
import { ContinueAs, Snooze, type DurablePromise, type Read, type Run } from "./run";
import { parse, parseArgs } from "./schema";
import { type QueryClient, type QueryPool, type SqliteDatabase, transactionOn } from "./transaction";
import type { Values } from "./values";

/** What is known of a task beside its arguments. */
export interface TaskInfo {
  taskId: string;
  executionId: string;
  parentTaskId: string | null;
  function: string;
  kind: "orchestrator" | "activity";
  stepKey: string | null;
  /** 1 for the first; grows with each failure that is retried. */
  attempt: number;
  /** Larger than that of any earlier claim of the task. */
  fence: number;
  workerId: string;
  deadline: string | null;
  queue: string | null;
  tags: string[];
  priority: number;
  traceparent: string | null;
  /** What the last attempt said by `heartbeat`. */
  heartbeat: unknown;
  run: number;
  /** How often it was put off by `Snooze`. */
  snoozes: number;
  createdAt: string;
  /** Its execution was cancelled or timed out, and this run is to clean up. */
  cleanup: boolean;
  /** A worker may have died of it, so it runs apart from others; of a batch it is the only one. */
  apart: boolean;
}

const textOut: [string | null] = [null];
const randomOut = new BigUint64Array(1);

/** Operations of this object are durable: recorded once, and answered from the record when the handler runs again. */
export class Context {
  /** Aborted when the task's work is in vain: cancelled, timed out, or another worker's. */
  readonly signal: AbortSignal;
  private ownLog: HandlerLog | undefined;

  constructor(
    private readonly run: Run,
    readonly kwargs: Record<string, unknown>,
    private readonly values: Values,
    private readonly storeLog: Log | null,
  ) {
    this.signal = run.aborts.signal;
  }

  /** Goes to the store's logger, with the task's ids; not again in a replay. */
  get log(): HandlerLog {
    const [isMuted, names] = [() => this.isReplaying, () => this.run.names()];
    return (this.ownLog ??= handlerLog(this.storeLog, isMuted, names));
  }

  /** Asked anew each time: a task that waited goes on under another fence. */
  get info(): TaskInfo {
    const info = decode<TaskInfo>(fromJson(native.taskInfo(this.run.task)));
    info.heartbeat = this.values.look(info.heartbeat);
    return info;
  }

  /** Calls a function, in whatever language it is written, and takes its result. */
  call<Args extends any[], Result>(
    callee: Reference<Args, Result>,
    ...rest: Rest<Args, CallOptions>
  ): DurablePromise<Result>;
  call<T = unknown>(callee: string, args?: readonly unknown[], options?: CallOptions): DurablePromise<NoInfer<T>>;
  call(callee: Callee, args: readonly unknown[] = [], options?: CallOptions): DurablePromise<any> {
    const called = referenceOf(callee, "call");
    return this.run.operation(this.spawn(called, args, this.optionsText(options)), this.resultOf(called));
  }

  /** Calls a function once for each array of arguments, all at once; the results come in the same order. */
  map<Args extends any[], Result>(
    callee: Reference<Args, Result>,
    argsList: readonly Readonly<Args>[],
    options?: CallOptions,
  ): DurablePromise<Result[]>;
  map<T = unknown>(
    callee: string,
    argsList: readonly (readonly unknown[])[],
    options?: CallOptions,
  ): DurablePromise<NoInfer<T>[]>;
  map(callee: Callee, argsList: readonly (readonly unknown[])[], options?: CallOptions): DurablePromise<any[]> {
    const called = referenceOf(callee, "map");
    const { key, ...rest } = options ?? {};
    const shared = this.optionsText(options && rest);
    const spawns = argsList.map((args, index) => {
      const own = key === undefined ? shared : this.optionsText({ ...rest, key: `${key}-${index + 1}` });
      return this.spawn(called, args, own);
    });
    return this.run.group(spawns, this.resultOf(called));
  }

  /** What can't be carried fails here and now. */
  private spawn(callee: Reference<any, any>, args: readonly unknown[], options: string | null) {
    const place = `the arguments of '${callee.name}'`;
    parseArgs(callee.schemas.args, args, place);
    const text = this.values.argsText(args, place);
    return (op: Uint32Array): number => native.taskSpawnCall(this.run.task, callee.name, text, options, op, errorOut);
  }

  private optionsText(options: CallOptions | undefined): string | null {
    const kwargs = options?.kwargs && this.values.members(options.kwargs, "kwargs");
    return encodeText("call", kwargs ? { ...options, kwargs } : options, "call");
  }

  private resultOf(callee: Reference<any, any>): Read {
    const place = `the result of '${callee.name}'`;
    return (carried) => parse(callee.schemas.result, this.values.read(carried, place), place);
  }

  /** Sleeps durably: the task wakes at the time that was fixed when the sleep was first reached. */
  sleep(duration: Duration): DurablePromise<null> {
    const text = String(duration);
    return this.run.operation((op) => native.taskSpawnSleep(this.run.task, text, op, errorOut), () => null);
  }

  /** Takes the oldest signal of the name that no wait has taken. */
  waitSignal<Taken>(signal: SignalReference<any, Taken>, options?: WaitSignalOptions): DurablePromise<Taken>;
  waitSignal<T = unknown>(name: string, options?: WaitSignalOptions): DurablePromise<NoInfer<T>>;
  waitSignal(named: string | SignalReference<any, any>, options?: WaitSignalOptions): DurablePromise<any> {
    const { name, schema } = signalOf(named, "waitSignal");
    const [place, text] = [`the signal '${name}'`, encodeText("wait_signal", options, "waitSignal")];
    return this.run.operation(
      (op) => native.taskSpawnWaitSignal(this.run.task, name, text, op, errorOut),
      (carried) => parse(schema, this.values.read(carried, place), place),
    );
  }

  /** Runs the body here, once: what it comes to is recorded. A crash in between runs it again. */
  step<T>(name: string, body: () => T | Promise<T>, options?: StepOptions): DurablePromise<T> {
    return this.run.step<T>(name, encodeText("step", options, "step"), body);
  }

  /**
   * Runs the body in a transaction on the store's own database, once: the transaction has the step's record too, so what the body
   * does there is done exactly once. It is given the client that a pool of `pg` lends, or the client or SQLite database itself;
   * it neither commits nor rolls back. What it throws rolls back, and is recorded as the step's failure; but what the database
   * refuses for others' sake is begun again, so the body may run more than once.
   */
  transaction<C extends QueryClient, T>(
    name: string,
    pool: QueryPool<C>,
    body: (client: C) => T | Promise<T>,
    options?: TransactionOptions,
  ): DurablePromise<T>;
  transaction<D extends QueryClient | SqliteDatabase, T>(
    name: string,
    database: D,
    body: (database: D) => T | Promise<T>,
    options?: TransactionOptions,
  ): DurablePromise<T>;
  transaction(name: string, database: object, body: (connection: any) => unknown, options?: TransactionOptions): DurablePromise<any> {
    const { schema = "stent", attempts, ...step } = options ?? {};
    const run = transactionOn(database, schema, attempts);
    return this.run.transaction(name, encodeText("step", step, "transaction"), run, body);
  }

  /** The time of the last thing that this task was told: the same in every run. */
  now(): Date {
    return new Date(this.timestamp());
  }

  /** As `now`, to the microsecond: RFC 3339. */
  timestamp(): string {
    this.run.inTurn(native.taskNow(this.run.task, textOut, errorOut));
    return textOut[0]!;
  }

  /** 0 to 1, the same in every run; not for secrets. */
  random(): number {
    this.run.inTurn(native.taskRandom(this.run.task, randomOut, errorOut));
    return Number(randomOut[0] >> 11n) / 2 ** 53;
  }

  /** The same in every run: a good idempotency key for a call to another system. */
  uuid(): string {
    this.run.inTurn(native.taskUuid(this.run.task, textOut, errorOut));
    return textOut[0]!;
  }

  /** Adds a line to the execution's progress. */
  progress(detail: unknown): void {
    this.run.inTurn(native.taskProgress(this.run.task, this.values.text(detail, "the progress"), errorOut));
  }

  /** Adds to a counter of the execution, which begins at 0. */
  count(name: string, amount: number | bigint = 1): void {
    this.run.inTurn(native.taskCounterAdd(this.run.task, name, String(amount), errorOut));
  }

  /** Sets a named value of the execution. */
  setState(key: string, value: unknown): void {
    const text = this.values.text(value, `the state '${key}'`);
    this.run.inTurn(native.taskStateSet(this.run.task, key, text, errorOut));
  }

  /** Says how far the handler has come, for its next attempt. Leases need no heartbeat. */
  heartbeat(details?: unknown): void {
    this.run.inTurn(native.taskHeartbeat(this.run.task, this.values.text(details, "the heartbeat"), errorOut));
  }

  /**
   * The other side wants nobody to ask for a while (429 with Retry-After): no other task of this one's concurrency key, or of
   * its function, starts in that time. Recorded with whatever the attempt comes to; a longer hold stands.
   * @param time seconds, or text such as "1m30s", or that header's as it came.
   */
  hold(what: "key" | "function", time: number | string): void {
    this.run.inTurn(native.taskHold(this.run.task, what, String(time), errorOut));
  }

  /** True while the handler is answered from what earlier runs recorded. */
  get isReplaying(): boolean {
    return native.taskIsReplaying(this.run.task) === 1;
  }

  /** To be returned: the task starts over with these arguments, an empty record and the signals not taken. */
  continueAs(...args: unknown[]): ContinueAs {
    return new ContinueAs(args);
  }

  /** To be returned: the handler runs again after this time, from the top and with its record; no attempt is charged. */
  snooze(duration: number | string): Snooze {
    return new Snooze(duration);
  }
}
