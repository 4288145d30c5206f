// One task in the hands of its handler: the promises that it waits for, and how it ends.

import { check, errorOf, errorOut, failureOf } from "./checked";
import { type Failure, LeaseLostError, NondeterminismError, STATUS, StentError } from "./errors";
import type { Schemas } from "./references";
import { cancelled, type Host, type Hosted } from "./host";
import { type Handle, native } from "./native";
import { fromJson, toJson } from "./payload";
import { parse, parseArgs } from "./schema";
import { inTrace } from "./tracing";
import type { Transaction } from "./transaction";

/** A result that says: from the start again, with these arguments. */
export class ContinueAs {
  declare protected readonly brand: undefined;

  constructor(readonly args: readonly unknown[]) {}
}

/** A result that says: not now. Returned or thrown, the handler runs again after this time, with its record; no attempt is charged. */
export class Snooze {
  declare protected readonly brand: undefined;

  /** A number of seconds, or text such as "1h30m". */
  constructor(readonly duration: number | string) {}
}

/** The promise of a durable operation. */
export class DurablePromise<T> extends Promise<T> {
  /** Cancels the operation, if it has not ended: a call with all that it called, a sleep, a wait. */
  cancel: () => void = () => {};

  /** What is made of it by `then` is a promise like any other. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }
}

/** What a promise gives of what has arrived. */
export type Read = (carried: unknown) => unknown;

interface Waiting {
  read: Read;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const opOut = new Uint32Array(1);
const recordedOut = new Int32Array(1);
const tokenOut: [string | null] = [null];

export class Run implements Hosted {
  readonly aborts = new AbortController();
  private readonly waiting = new Map<number, Waiting>();
  private turn = true;
  /** Steps whose bodies run. */
  private steps = 0;
  /** The handler has returned, and its task has been ended. */
  private done = false;
  private evicted = false;
  private freed = false;
  private lastNames: Record<string, unknown> = {};
  /** The end that comes with the next turn, for a handler that returned out of its turn. */
  private end: (() => void) | null = null;

  constructor(
    readonly tag: number,
    readonly task: Handle,
    private readonly host: Host,
    private readonly name: string,
    private readonly schemas: Schemas,
    private readonly body: () => unknown,
    /** It goes on where it waited, and has a slot again. */
    private readonly onTurn: () => void = () => {},
  ) {}

  start(): void {
    let result: unknown;
    try {
      result = inTrace(this.task, this.body);
    } catch (thrown) {
      this.finish(() => this.fail(thrown));
      return;
    }
    Promise.resolve(result).then(
      (value) => this.finish(() => this.complete(value)),
      (thrown) => this.finish(() => this.fail(thrown)),
    );
  }

  /** As the library's log names them. Of a task that is another's by now they are those that it had. */
  names(): Record<string, unknown> {
    if (this.freed) return this.lastNames;
    this.lastNames = {
      function: this.name,
      task: native.taskId(this.task),
      execution: native.taskExecutionId(this.task),
      attempt: native.taskAttempt(this.task),
      worker: native.taskWorkerId(this.task),
    };
    return this.lastNames;
  }

  /** Checks what a durable call answered. */
  inTurn(status: number): number {
    if (this.freed) throw this.lost();
    if (status === STATUS.SUSPEND) {
      throw new NondeterminismError({
        status: "NONDETERMINISM",
        message:
          "a durable operation was asked for out of turn, after something else was awaited while others were pending; " +
          "what takes time belongs into ctx.step or an activity",
      });
    }
    return check(status);
  }

  /** Starts an operation, and asks to be told of its end. */
  operation<T>(spawn: (op: Uint32Array) => number, read: Read): DurablePromise<T> {
    return this.durable<T>(read, () => {
      this.guard();
      this.inTurn(spawn(opOut));
      return this.notify(opOut[0]);
    });
  }

  /** One promise of the results of many, which wakes the handler once. */
  group<T>(spawns: ((op: Uint32Array) => number)[], read: Read): DurablePromise<T[]> {
    return this.durable<T[]>((carried) => (carried as unknown[]).map(read), () => {
      this.guard();
      const ops = new Uint32Array(spawns.length);
      spawns.forEach((spawn, index) => {
        this.inTurn(spawn(opOut));
        ops[index] = opOut[0];
      });
      const tag = this.host.ask(this);
      this.inTurn(native.taskNotifyAll(this.task, ops, ops.length, this.host.poller, tag, errorOut));
      return { tag, ops: [...ops] };
    });
  }

  /** Runs the body unless it is recorded; what it comes to is what every run gets. */
  step<T>(name: string, options: string | null, body: () => T | Promise<T>): DurablePromise<T> {
    const place = `the result of the step '${name}'`;
    return this.durable<T>((carried) => this.host.values.read(carried, place), () => {
      this.guard();
      this.inTurn(native.taskStepBegin(this.task, name, options, opOut, recordedOut, errorOut));
      const op = opOut[0];
      const recorded = recordedOut[0] === 1;
      const asked = this.notify(op);
      if (!recorded) this.runStep(op, place, body);
      return asked;
    });
  }

  /** As a step; but its own transaction records it, and the store is asked whether it has. */
  transaction<T>(name: string, options: string | null, run: Transaction, body: (connection: unknown) => unknown): DurablePromise<T> {
    const place = `the result of the step '${name}'`;
    return this.durable<T>((carried) => this.host.values.read(carried, place), () => {
      this.guard();
      this.inTurn(native.taskTransactionBegin(this.task, name, options, opOut, tokenOut, errorOut));
      const [op, token] = [opOut[0], tokenOut[0]];
      const asked = this.notify(op);
      if (token !== null) this.runTransaction(op, () => run(token, async (connection) => this.host.values.text(await body(connection), place)));
      return asked;
    });
  }

  private notify(op: number): { tag: number; ops: number[] } {
    const tag = this.host.ask(this);
    this.inTurn(native.taskNotify(this.task, op, this.host.poller, tag, errorOut));
    return { tag, ops: [op] };
  }

  private durable<T>(read: Read, begin: () => { tag: number; ops: number[] }): DurablePromise<T> {
    let ops: number[] = [];
    const promise = new DurablePromise<T>((resolve, reject) => {
      const asked = begin();
      ops = asked.ops;
      this.waiting.set(asked.tag, { read, resolve: resolve as (value: unknown) => void, reject });
    });
    promise.cancel = () => {
      for (const op of ops) this.inTurn(native.taskCancelOp(this.task, op, errorOut));
    };
    // The loser of a race is nobody's unhandled rejection.
    promise.catch(() => {});
    this.host.touch(this);
    return promise;
  }

  private guard(): void {
    if (this.aborts.signal.aborted) throw this.aborts.signal.reason;
  }

  private async runStep<T>(op: number, place: string, body: () => T | Promise<T>): Promise<void> {
    let result: string | null = null;
    const failure = await this.failureOfStep(async () => (result = this.host.values.text(await body(), place)));
    if (this.freed || this.done) return;
    const status = native.taskStepEnd(this.task, op, result, failure, errorOut);
    if (status === STATUS.INVALID) {
      // Too large, for one: the step has failed then.
      const why = this.failureText(attempt(() => check(status)));
      native.taskStepEnd(this.task, op, null, why, null);
    } else if (status < 0) {
      attempt(() => check(status)); // its lease is lost, or it is cancelled: an event tells
    }
  }

  private async runTransaction(op: number, transaction: () => Promise<void>): Promise<void> {
    const failure = await this.failureOfStep(transaction);
    if (this.freed || this.done) return;
    const status = native.taskTransactionEnd(this.task, op, failure, errorOut);
    if (status < 0) attempt(() => check(status)); // as above
  }

  /** Runs what a step does: why it failed, as JSON. */
  private async failureOfStep(body: () => Promise<unknown>): Promise<string | null> {
    this.steps++;
    let failure: string | null = null;
    try {
      await body();
    } catch (thrown) {
      failure = this.failureText(thrown);
    }
    this.steps--;
    if (this.evicted && this.steps === 0) this.free();
    return failure;
  }

  answer(tag: number, status: number, json: string): void {
    const waiting = this.waiting.get(tag);
    this.waiting.delete(tag);
    this.turn = true;
    this.onTurn();
    if (this.end) {
      this.end();
      return;
    }
    try {
      if (status < 0) throw errorOf(json, this.host.values);
      waiting?.resolve(waiting.read(fromJson(json)));
    } catch (error) {
      waiting?.reject(error);
    }
    this.host.touch(this);
  }

  giveTurn(): void {
    if (!this.turn || this.done || this.freed || this.waiting.size === 0) return;
    this.turn = false;
    const status = native.taskSuspend(this.task, errorOut);
    // Its end has been sent on its way then, and an event tells.
    if (status < 0) attempt(() => check(status));
  }

  private finish(end: () => void): void {
    if (this.freed) return;
    if (this.turn || this.aborts.signal.aborted) end();
    else this.end = end;
  }

  private complete(value: unknown): void {
    if (value instanceof Snooze) return this.snooze(value);
    const end = attempt(() => {
      if (value instanceof ContinueAs) return this.continueText(value);
      // As who waits for it will see it.
      const place = `the result of '${this.name}'`;
      parse(this.schemas.result, value === undefined ? null : value, place);
      return this.host.values.text(value, place);
    });
    if (end instanceof Error) return this.fail(end);
    const finish = value instanceof ContinueAs ? native.taskContinue : native.taskComplete;
    this.close(finish(this.task, end, errorOut));
  }

  private snooze({ duration }: Snooze): void {
    this.close(native.taskSnooze(this.task, String(duration), errorOut));
  }

  private continueText(next: ContinueAs): string {
    const place = `the new arguments of '${this.name}'`;
    parseArgs(this.schemas.args, next.args, place);
    return this.host.values.argsText(next.args, place);
  }

  private fail(thrown: unknown): void {
    if (thrown instanceof Snooze) return this.snooze(thrown);
    this.close(native.taskFail(this.task, this.failureText(thrown), errorOut), true);
  }

  private failureText(thrown: unknown): string {
    return toJson(failureOf(thrown, this.host.values)) as string;
  }

  /** The task has been ended, or can't be: an event tells, but of what was refused as it is. */
  private close(status: number, isFailure = false): void {
    if (status === STATUS.INVALID) {
      const error = attempt(() => check(status)) as StentError;
      if (!isFailure) return this.fail(error);
      const plain: Failure = { type: error.status, message: error.message };
      status = native.taskFail(this.task, JSON.stringify(plain), errorOut);
    }
    if (status < 0) attempt(() => check(status));
    this.done = true;
    this.host.forgetQuestions(this.waiting.keys());
    this.waiting.clear();
    if (this.evicted) this.free();
  }

  ended(): void {
    this.free();
  }

  cancel(timedOut: boolean): void {
    const why = timedOut ? "the attempt took longer than its time-out" : "the execution is cancelled";
    const error = timedOut
      ? new LeaseLostError({ status: "LEASE_LOST", message: why })
      : cancelled(why);
    this.abort(error);
    if (this.end) this.end();
  }

  private abort(error: StentError): void {
    const waiting = [...this.waiting.values()];
    this.host.forgetQuestions(this.waiting.keys());
    this.waiting.clear();
    this.aborts.abort(error);
    for (const one of waiting) one.reject(error);
  }

  evict(isCancelled: boolean): void {
    this.evicted = true;
    if (isCancelled && !this.done && !this.freed) {
      // Its `catch` and `finally` run, as those of one that runs; the end of the handler frees it.
      if (!this.aborts.signal.aborted) this.abort(cancelled("the execution is cancelled"));
      if (this.end) this.end();
      return;
    }
    if (this.done || (this.waiting.size > 0 && this.steps === 0)) return this.free();
    this.host.forgetQuestions(this.waiting.keys());
    this.waiting.clear();
    this.aborts.abort(this.lost());
  }

  private lost(): LeaseLostError {
    return new LeaseLostError({ status: "LEASE_LOST", message: "the task is another worker's by now, or comes anew" });
  }

  private free(): void {
    if (this.freed) return;
    this.freed = true;
    this.host.forgetQuestions(this.waiting.keys());
    this.waiting.clear();
    this.host.forget(this);
    native.taskFree(this.task);
  }
}

/** What is thrown, as a value. */
function attempt<T>(body: () => T): T | Error {
  try {
    return body();
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
}
