// One run of a function, as those see it who wait for it.

import { inspect } from "node:util";
import { misuse } from "./errors";
import { type Reference, signalOf, type SignalReference } from "./references";
import { type Duration, encode, type ExecutionState, type SignalOptions } from "./options";
import { type ExecutionRecord, type Progress, recordOf } from "./records";
import { parse } from "./schema";
import type { Values } from "./values";

/** Bounds a wait that is otherwise as long as it takes. */
export interface WaitOptions {
  timeout?: Duration | undefined;
  signal?: AbortSignal | undefined;
}

export interface WatchOptions {
  signal?: AbortSignal | undefined;
  /** Seconds between two looks at the store: 0.25, if nobody says. The end is seen at once. */
  every?: number | undefined;
}

/** Who asks the store. */
export interface Asker {
  readonly values: Values;
  submit<T>(operation: string, request: object, signal?: AbortSignal): Promise<T>;
}

type Sending<Sent> = undefined extends Sent
  ? [payload?: Sent, options?: SignalOptions | undefined]
  : [payload: Sent, options?: SignalOptions | undefined];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const OVER: ReadonlySet<ExecutionState> = new Set(["completed", "failed", "timed_out", "cancelled"] as const);

class Pause {
  readonly end: Promise<void>;
  private timer!: NodeJS.Timeout;

  constructor(seconds: number) {
    this.end = new Promise((resolve) => (this.timer = setTimeout(resolve, seconds * 1000)));
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

/** An id that is no UUID is most often one of the caller's business. */
export function checkId(id: unknown, doing: string): void {
  if (typeof id === "string" && UUID.test(id)) return;
  const told = JSON.stringify(id) ?? String(id);
  throw misuse(
    `${doing}: ${told} is no execution's id, which is a UUID; an id of your own goes into the dispatch option ` +
      `idempotencyKey: whoever dispatches with the same key gets the same execution`,
    { key: "id" },
  );
}

/** One run of a function, here or in any other process on the store. */
export class Execution<T = unknown> {
  /** @internal */
  constructor(
    private readonly asker: Asker,
    readonly id: string,
    private readonly callee: Reference<any, T>,
  ) {}

  /** Waits for its result. A failed one throws FailedError, a cancelled one CancelledError. */
  async result(options: WaitOptions = {}): Promise<T> {
    const place = `the result of '${this.callee.name}'`;
    const carried = await this.submit("result", { timeout: options.timeout }, options.signal);
    return parse(this.callee.schemas.result, this.asker.values.read(carried, place), place) as T;
  }

  /** Waits until it is over, in whatever way. */
  async wait(options: WaitOptions = {}): Promise<ExecutionRecord> {
    return recordOf(await this.submit("wait", { timeout: options.timeout }, options.signal), this.asker.values);
  }

  /** As it is now. */
  async state(): Promise<ExecutionRecord> {
    return recordOf(await this.submit("state", {}), this.asker.values);
  }

  signal<Sent>(signal: SignalReference<Sent, any>, ...rest: Sending<Sent>): Promise<null>;
  signal(name: string, payload?: unknown, options?: SignalOptions): Promise<null>;
  async signal(named: string | SignalReference<any, any>, payload?: unknown, options: SignalOptions = {}): Promise<null> {
    const { name, schema } = signalOf(named, "signal");
    const place = `the signal '${name}'`;
    parse(schema, payload, place);
    const carried = payload === undefined ? null : this.asker.values.write(payload, place);
    return this.submit("signal", { name, payload: carried, ...encode("signal", options, "signal") });
  }

  /** Cancels it with everything that it called. */
  cancel(reason?: string): Promise<null> {
    return this.submit("cancel", { reason });
  }

  /** Its record now, and whenever it has changed; the last one is that of its end. */
  async *changes(options: WatchOptions = {}): AsyncGenerator<ExecutionRecord, void, undefined> {
    const { signal, every = 0.25 } = options;
    signal?.throwIfAborted();
    const left = new AbortController();
    const leave = () => left.abort(signal?.reason);
    signal?.addEventListener("abort", leave);
    const over = this.submit("wait", {}, left.signal);
    // What went wrong is told below, if anybody still listens.
    over.catch(() => {});
    try {
      for (let last = ""; ; ) {
        const found = await this.submit<object>("state", {}, left.signal);
        const text = JSON.stringify(found);
        const record = recordOf(found, this.asker.values);
        if (text !== last) yield record;
        last = text;
        if (OVER.has(record.state)) return;
        const pause = new Pause(every);
        await Promise.race([over, pause.end]).finally(() => pause.stop());
      }
    } finally {
      signal?.removeEventListener("abort", leave);
      left.abort();
    }
  }

  /** Each line of its progress: those that are there, and those that come, until it is over. */
  async *progress(options: WatchOptions = {}): AsyncGenerator<Progress, void, undefined> {
    const told = new Map<string, number>();
    for await (const record of this.changes(options)) {
      const here = new Map<string, number>();
      for (const entry of record.progress) {
        const text = inspect(entry, { depth: null });
        here.set(text, (here.get(text) ?? 0) + 1);
        if (here.get(text)! <= (told.get(text) ?? 0)) continue;
        told.set(text, here.get(text)!);
        yield entry;
      }
    }
  }

  private submit<R>(operation: string, request: object, signal?: AbortSignal): Promise<R> {
    return this.asker.submit<R>(operation, { execution_id: this.id, ...request }, signal);
  }
}
