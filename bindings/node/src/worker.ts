// A worker that was started here.

import { Batches } from "./batches";
import { check, errorOut } from "./checked";
import { NotFoundError, TimeoutError } from "./errors";
import type { Asker } from "./execution";
import type { Definition } from "./functions";
import type { WorkerState } from "./host";
import { type Handle, native } from "./native";
import { decode, type Duration } from "./options";
import type { WorkerStatus } from "./records";

export interface RunOptions {
  /** How long what runs may take to its end, when the end was asked for: 10 seconds, if nobody says. */
  drain?: Duration | undefined;
  /** Asks for the end as SIGTERM and SIGINT do. */
  signal?: AbortSignal | undefined;
}

/** Until the process is told to end, or the signal is aborted. */
export class Asked {
  readonly end: Promise<void>;
  private resolve: () => void = () => {};

  constructor(private readonly signal: AbortSignal | undefined) {
    this.end = new Promise((resolve) => (this.resolve = resolve));
    for (const word of ["SIGTERM", "SIGINT"]) process.on(word, this.asked);
    signal?.addEventListener("abort", this.asked);
    if (signal?.aborted) this.asked();
  }

  /** The next signal does what it does to every process. */
  forget(): void {
    for (const word of ["SIGTERM", "SIGINT"]) process.off(word, this.asked);
    this.signal?.removeEventListener("abort", this.asked);
  }

  private readonly asked = (): void => {
    this.forget();
    this.resolve();
  };
}

/** Runs the registered functions. It keeps the process alive until it has stopped, unless `unref` is called. */
export class Worker {
  private readonly changed: (() => void)[] = [];
  private reached: WorkerState = "starting";
  /** @internal A handler took longer than the time it was given: nobody waits for it again. */
  hasGivenUp = false;
  /** @internal */
  readonly batches = new Batches(() => {
    const { running, slots } = this.status();
    return running < slots;
  });
  private leave: (() => void) | null;

  /** @internal */
  constructor(
    private readonly asker: Asker,
    private readonly handle: Handle,
    readonly id: string,
    /** @internal What it runs. */
    readonly known: ReadonlyMap<string, Definition<any, any>>,
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
    try {
      await this.asker.submit("stop_worker", { worker_id: this.id, timeout });
    } catch (error) {
      if (error instanceof TimeoutError) {
        this.hasGivenUp = true;
        this.unref();
      }
      // The library has forgotten one that has stopped by now; the event that tells of it is on its way.
      if (!(error instanceof NotFoundError)) throw error;
    }
    await this.reaches("stopped");
  }

  /**
   * Resolves when the worker has stopped: drained, after SIGTERM, SIGINT or the abort of `signal`. With handlers that run longer
   * than `drain` it rejects with a TimeoutError; other workers take over what they did. A second signal ends the process.
   */
  run(options: RunOptions = {}): Promise<void> {
    return this.runUntil(new Asked(options.signal), options.drain);
  }

  /** @internal */
  async runUntil(asked: Asked, drain: Duration = "10s"): Promise<void> {
    await Promise.race([asked.end, this.reaches("stopped")]);
    asked.forget();
    await this.stop(drain);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
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
    if (state === "draining") this.batches.drain();
    if (state === "stopped") {
      this.unref();
      native.workerFree(this.handle);
    }
    for (const resolve of this.changed.splice(0)) resolve();
  }
}
