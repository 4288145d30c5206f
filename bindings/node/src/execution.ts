// One run of a function, as those see it who wait for it.

import { misuse } from "./errors";
import { type Reference, signalOf, type SignalReference } from "./functions";
import { type Duration, encode, type SignalOptions } from "./options";
import { type ExecutionRecord, recordOf } from "./records";
import { parse } from "./schema";
import type { Values } from "./values";

/** Bounds a wait that is otherwise as long as it takes. */
export interface WaitOptions {
  timeout?: Duration | undefined;
  signal?: AbortSignal | undefined;
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

  private submit<R>(operation: string, request: object, signal?: AbortSignal): Promise<R> {
    return this.asker.submit<R>(operation, { execution_id: this.id, ...request }, signal);
  }
}
