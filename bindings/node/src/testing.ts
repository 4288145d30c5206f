// For tests: a worker on a store in memory, in one line. `require("@stent-dev/stent/testing")`.

import { misuse, TimeoutError } from "./errors";
import type { Execution } from "./execution";
import type { Definition } from "./functions";
import type { Callee, Reference, Rest } from "./references";
import type { LogFields, Logger, LogLevel } from "./log";
import type { DispatchOptions, Duration, WorkerOptions } from "./options";
import { type OpenOptions, Stent } from "./stent";
import type { Worker } from "./worker";

export interface TestOptions {
  /** For the store, such as a codec; what it logs is kept in `log`, unless a logger is given. */
  open?: OpenOptions | undefined;
  worker?: WorkerOptions | undefined;
  /** How long `run` waits for a result: 10 seconds, if nobody says. */
  patience?: Duration | undefined;
}

export interface TestLine {
  level: LogLevel;
  message: string;
  fields: LogFields;
}

/** A store in memory with a worker, and what they have logged. Made by `testWorker`; ends by `await using`, or `close`. */
export class TestWorker {
  /** @internal */
  constructor(
    readonly stent: Stent,
    readonly worker: Worker,
    readonly log: TestLine[],
    private readonly patience: Duration,
  ) {}

  /** Dispatches, and gives the result. */
  run<Args extends any[], Result>(callee: Reference<Args, Result>, ...rest: Rest<Args, DispatchOptions>): Promise<Result>;
  run<T = unknown>(callee: string, args?: readonly unknown[], options?: DispatchOptions): Promise<NoInfer<T>>;
  async run(callee: Callee, args: readonly unknown[] = [], options?: DispatchOptions): Promise<any> {
    // The same for both kinds of callees.
    const execution: Execution = await this.stent.dispatch(callee as string, args, options);
    return execution.result({ timeout: this.patience });
  }

  /** A handler that still runs is given up: it is the test that has ended. */
  async close(): Promise<void> {
    try {
      await this.stent.close({ timeout: "1s" });
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A worker for the functions, on a store in memory of its own: `await using host = await testWorker([greet, welcome])`. */
export async function testWorker(functions: Definition<any, any>[], options: TestOptions = {}): Promise<TestWorker> {
  if (!Array.isArray(functions)) throw misuse("testWorker: the functions must be an array of what `define` gives");
  const log: TestLine[] = [];
  const at = (level: LogLevel) => (message: string, fields: LogFields) => log.push({ level, message, fields });
  const logger: Logger = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  const stent = await Stent.open(":memory:", { logger, ...options.open });
  try {
    stent.register(...functions);
    return new TestWorker(stent, await stent.startWorker(options.worker), log, options.patience ?? "10s");
  } catch (error) {
    await stent.close();
    throw error;
  }
}
