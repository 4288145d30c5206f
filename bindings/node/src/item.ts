// One task of a batch, as its handler sees it.

import type { Context, TaskInfo } from "./context";
import type { HandlerLog } from "./log";

/** One task of a batch. */
export class BatchItem<Args extends any[] = any[]> {
  /** Aborted when the task's work is in vain: cancelled, timed out, or another worker's. */
  readonly signal: AbortSignal;

  /** @internal */
  constructor(
    readonly args: Args,
    private readonly context: Context,
  ) {
    this.signal = context.signal;
  }

  get kwargs(): Record<string, unknown> {
    return this.context.kwargs;
  }

  get info(): TaskInfo {
    return this.context.info;
  }

  /** Goes to the store's logger, with the task's ids. */
  get log(): HandlerLog {
    return this.context.log;
  }

  /** Says how far the handler has come with it, for its next attempt. Leases need no heartbeat. */
  heartbeat(details?: unknown): void {
    this.context.heartbeat(details);
  }
}
