// What goes wrong, as classes.

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
  code?: string | null | undefined;
  retryable?: boolean | undefined;
  /** Seconds, or the text of an HTTP header Retry-After. */
  retry_after?: number | string | undefined;
  details?: unknown;
  stack?: string | null | undefined;
}

export interface Told {
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
/** The caller's mistake, as it is told on this side of the library. */
export const misuse = (message: string, details: Record<string, unknown> = {}): InvalidError =>
  new InvalidError({ status: "INVALID", message, details });

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

  get code(): string | null {
    return this.failure.code ?? null;
  }
}

/** To be thrown by a handler that has more to say of its failure than a message. */
export class ApplicationError extends Error implements Failure {
  readonly type: string;
  readonly code: string | null;
  readonly details: unknown;
  readonly retryable: boolean;
  /** No attempt sooner than in so many seconds; or the text of an HTTP header Retry-After, as it came. */
  readonly retryAfter: number | string | undefined;

  constructor(type: string, message: string, more: { code?: string | undefined; details?: unknown; retryable?: boolean | undefined; retryAfter?: number | string | null | undefined } = {}) {
    super(message);
    this.name = type;
    this.type = type;
    this.code = more.code ?? null;
    this.details = more.details ?? null;
    this.retryable = more.retryable ?? true;
    this.retryAfter = more.retryAfter ?? undefined;
  }
}
