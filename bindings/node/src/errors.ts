// What goes wrong, as classes.

import { type Handle, native, type NativeFunction } from "./native";
import { fromJson, toJson } from "./payload";

/** Statuses by the names that the library gives them. */
export const STATUS = {
  OK: 0,
  PENDING: 1,
  SUSPEND: 2,
  INVALID: -1,
  NOT_FOUND: -2,
  CONFLICT: -3,
  TIMEOUT: -4,
  CANCELLED: -5,
  CLOSED: -6,
  LEASE_LOST: -7,
  NONDETERMINISM: -8,
  FAILED: -9,
  BACKEND: -10,
  UNSUPPORTED: -11,
  WRONG_THREAD: -12,
  FORKED: -13,
  PANIC: -99,
} as const;

export type Status = keyof typeof STATUS;

/** How a function failed, in the one shape that all languages share. */
export interface Failure {
  type: string;
  message: string;
  code?: string | null;
  retryable?: boolean;
  details?: unknown;
  stack?: string | null;
}

interface Told {
  status: Status;
  message: string;
  retryable: boolean;
  details: Record<string, unknown>;
  failure: Failure | null;
}

/** An error of the library. `status` says which; there is a class for each. */
export class StentError extends Error {
  readonly status: Status;
  /** The same call may succeed later, without a change by the caller. */
  readonly retryable: boolean;
  /** Facts for programs, such as the option that was unknown and those that are known. */
  readonly details: Record<string, unknown>;

  constructor(told: Partial<Told> & { status: Status; message: string }) {
    super(told.message);
    this.name = new.target.name;
    this.status = told.status;
    this.retryable = told.retryable ?? false;
    this.details = told.details ?? {};
  }
}

/** The caller's mistake; the message says which, and what would be right. */
export class InvalidError extends StentError {}
/** There is no such execution, task or dead letter. */
export class NotFoundError extends StentError {}
/** It exists already, or is over already, or is not in the state that the call needs. */
export class ConflictError extends StentError {}
/** The time was up. What was waited for goes on. */
export class TimeoutError extends StentError {}
/** The execution, or the operation, was cancelled. */
export class CancelledError extends StentError {}
/** The store was closed, or the worker stopped. */
export class ClosedError extends StentError {}
/** The task is another worker's by now: nothing that this handler does can be recorded any more. */
export class LeaseLostError extends StentError {}
/** A handler asks for something else than what its record holds at this place. */
export class NondeterminismError extends StentError {}
/** The store: busy, unreachable, corrupt, full, read-only. */
export class BackendError extends StentError {}
/** This store, or this build, can't do it. */
export class UnsupportedError extends StentError {}
/** The process was forked from one that was using the library. */
export class ForkedError extends StentError {}
/** A defect of the library. */
export class PanicError extends StentError {}

/** A call, or the awaited execution, failed. `failure` tells how, whatever language it failed in. */
export class FailedError extends StentError implements Failure {
  readonly failure: Failure;

  constructor(told: Partial<Told> & { message: string }) {
    super({ ...told, status: "FAILED" });
    this.failure = told.failure ?? { type: "Unknown", message: told.message };
  }

  get type(): string {
    return this.failure.type;
  }

  get code(): string | null | undefined {
    return this.failure.code;
  }
}

/** To be thrown by a handler that has more to say of its failure than a message. */
export class ApplicationError extends Error implements Failure {
  readonly type: string;
  readonly code: string | null;
  readonly details: unknown;
  readonly retryable: boolean;

  constructor(type: string, message: string, more: { code?: string; details?: unknown; retryable?: boolean } = {}) {
    super(message);
    this.name = type;
    this.type = type;
    this.code = more.code ?? null;
    this.details = more.details ?? null;
    this.retryable = more.retryable ?? true;
  }
}

type Maker = (told: Told) => StentError;
const of = (kind: new (told: Told) => StentError): Maker => (told) => new kind(told);
const invalid = of(InvalidError);

/** The class of each status; those that are no errors never get here. */
const CLASSES: Record<Status, Maker> = {
  OK: invalid,
  PENDING: invalid,
  SUSPEND: invalid,
  INVALID: invalid,
  NOT_FOUND: of(NotFoundError),
  CONFLICT: of(ConflictError),
  TIMEOUT: of(TimeoutError),
  CANCELLED: of(CancelledError),
  CLOSED: of(ClosedError),
  LEASE_LOST: of(LeaseLostError),
  NONDETERMINISM: of(NondeterminismError),
  FAILED: of(FailedError),
  BACKEND: of(BackendError),
  UNSUPPORTED: of(UnsupportedError),
  WRONG_THREAD: of(UnsupportedError),
  FORKED: of(ForkedError),
  PANIC: of(PanicError),
};

/** The error that a JSON text of the library tells of. */
export function errorOf(json: string): StentError {
  const told: Told = fromJson(json);
  return (CLASSES[told.status] ?? of(StentError))(told);
}

/** Where a call writes its error. Calls on the JavaScript thread come one after another, so one place will do. */
export const errorOut = new BigUint64Array(1);

/** Throws what the last call wrote, if its status is an error; gives the status. */
export function check(status: number, out: BigUint64Array = errorOut): number {
  if (status >= 0) return status;
  const handle: Handle = out[0];
  const json: string = native.errorJson(handle);
  native.errorFree(handle);
  throw errorOf(json);
}

/** Calls a function that blocks on a thread of koffi's; its last parameter, the error, is given here. */
export function beside(blocking: NativeFunction, ...args: unknown[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const errors = new BigUint64Array(1);
    blocking.async(...args, errors, (failed: Error | null, status: number) => {
      try {
        if (failed) throw failed;
        check(status, errors);
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** Anything that was thrown, as the failure that is recorded. A failure that came from a call is passed on as it is. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof FailedError) return thrown.failure;
  if (!(thrown instanceof Error)) {
    return { type: "Error", message: typeof thrown === "string" ? thrown : String(thrown) };
  }
  const more = thrown as Error & Partial<Failure>;
  const failure: Failure = {
    type: thrown instanceof StentError ? thrown.status : thrown.name || thrown.constructor.name,
    message: thrown.message,
    stack: thrown.stack ?? null,
  };
  if (typeof more.code === "string") failure.code = more.code;
  if (typeof more.retryable === "boolean") failure.retryable = more.retryable;
  if (more.details !== undefined && isJson(more.details)) failure.details = more.details;
  return failure;
}

function isJson(value: unknown): boolean {
  try {
    return toJson(value) !== null;
  } catch {
    return false;
  }
}
