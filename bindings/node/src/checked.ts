// Statuses and errors of the library's calls, as what is thrown; and what was thrown, as a failure that is recorded.

import {
  BackendError,
  CancelledError,
  ClosedError,
  ConflictError,
  FailedError,
  type Failure,
  ForkedError,
  InvalidError,
  LeaseLostError,
  NondeterminismError,
  NotFoundError,
  PanicError,
  type Status,
  StentError,
  TimeoutError,
  type Told,
  UnsupportedError,
} from "./errors";
import { type Handle, native, type NativeFunction } from "./native";
import { respelled } from "./options";
import { fromJson } from "./payload";
import type { Values } from "./values";

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

/**
 * The error that a JSON text of the library tells of. `values` reads what a handler gave as its details; `isRaw`: it is about
 * something that is written in the library's own names.
 */
export function errorOf(json: string, values?: Values, isRaw = false): StentError {
  const told: Told = fromJson(json);
  if (told.status === "INVALID" && !isRaw) respell(told);
  if (values && told.failure) told.failure.details = values.look(told.failure.details);
  return (CLASSES[told.status] ?? of(StentError))(told);
}

/** Options are named as they are written in JavaScript. */
function respell(told: Told): void {
  told.message = respelled(told.message);
  for (const [name, fact] of Object.entries(told.details ?? {})) {
    if (typeof fact === "string") told.details[name] = respelled(fact);
    else if (Array.isArray(fact)) told.details[name] = fact.map((word) => (typeof word === "string" ? respelled(word) : word));
  }
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
export function failureOf(thrown: unknown, values: Values): Failure {
  if (thrown instanceof FailedError) return withDetails({ ...thrown.failure }, thrown.failure.details, values);
  if (!(thrown instanceof Error)) {
    return { type: "Error", message: typeof thrown === "string" ? thrown : String(thrown) };
  }
  const more = thrown as Error & Partial<Failure> & { retryAfter?: unknown };
  const failure: Failure = {
    type: thrown instanceof StentError ? thrown.status : thrown.name || thrown.constructor.name,
    message: thrown.message,
    stack: thrown.stack ?? null,
  };
  if (typeof more.code === "string") failure.code = more.code;
  if (typeof more.retryable === "boolean") failure.retryable = more.retryable;
  const { retryAfter } = more;
  if (typeof retryAfter === "number" || typeof retryAfter === "string") failure.retry_after = retryAfter;
  return withDetails(failure, more.details, values);
}

/** Details that can't be carried are no reason to lose the failure: why not stands in their place. */
function withDetails(failure: Failure, details: unknown, values: Values): Failure {
  if (details === undefined) return failure;
  try {
    failure.details = values.write(details, "details");
  } catch (why) {
    failure.details = { notCarried: (why as Error).message };
  }
  return failure;
}
