// A worker that was started here.

import { check, errorOut } from "./checked";
import type { Asker } from "./execution";
import type { WorkerState } from "./host";
import { type Handle, native } from "./native";
import { decode, type Duration } from "./options";
import type { WorkerStatus } from "./records";

/** Runs the registered functions. It keeps the process alive until it has stopped, unless `unref` is called. */
export class Worker {
  private readonly changed: (() => void)[] = [];
  private reached: WorkerState = "starting";
  private leave: (() => void) | null;

  /** @internal */
  constructor(
    private readonly asker: Asker,
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
    await this.asker.submit("stop_worker", { worker_id: this.id, timeout });
    await this.reaches("stopped");
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
    if (state === "stopped") {
      this.unref();
      native.workerFree(this.handle);
    }
    for (const resolve of this.changed.splice(0)) resolve();
  }
}
