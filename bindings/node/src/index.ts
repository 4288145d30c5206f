// Durable execution: workflows that survive crashes. See README.md.

import { check, errorOut } from "./errors";
import { native } from "./native";
import { type ConfigureOptions, encodeText } from "./options";
import { Stent } from "./stent";

export { Context, type TaskInfo } from "./context";
export {
  ApplicationError,
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
  UnsupportedError,
} from "./errors";
export type { WorkerState } from "./host";
export type { HandlerLog, LogFields, Logger, LogLevel } from "./log";
export type * from "./options";
export { ContinueAs, DurablePromise } from "./run";
export {
  type CheckedCase,
  type CheckReport,
  Execution,
  type ExecutionRecord,
  type Handler,
  type OpenOptions,
  type Progress,
  Stent,
  type WaitOptions,
  Worker,
  type WorkerStatus,
} from "./stent";

/** Opens a store: a file, ":memory:", or "postgresql://user@host/database". */
export const open = Stent.open;

/** Sets what holds for the whole process, before the first store is opened. */
export function configure(options: ConfigureOptions): void {
  check(native.configure(encodeText(options), errorOut));
}

/** The library's version. */
export const version = (): string => native.version();
