// Durable execution: workflows that survive crashes. See README.md.

import { check, errorOut } from "./checked";
import { native } from "./native";
import { type ConfigureOptions, encodeText } from "./options";
import { Stent } from "./stent";

export { type Codec, NativeCodec } from "./codec";
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
export { Execution, type WaitOptions, type WatchOptions } from "./execution";
export { batch, BatchDefinition, define, Definition, type Handler, reference, signal } from "./functions";
export { BatchItem } from "./item";
export { Reference, SignalReference } from "./references";
export type { WorkerState } from "./host";
export type { HandlerLog, LogFields, Logger, LogLevel } from "./log";
export type * from "./options";
export type {
  CheckedCase,
  CheckReport,
  DeadLetter,
  ExecutionRecord,
  KeptSchedule,
  Pause,
  Progress,
  Tick,
  WorkerStatus,
} from "./records";
export { ContinueAs, DurablePromise, Snooze } from "./run";
export type { StandardSchemaV1 } from "./schema";
export { type OpenOptions, Stent } from "./stent";
export type { QueryClient, QueryPool, SqliteDatabase } from "./transaction";
export { type RunOptions, Worker } from "./worker";

/** Opens a store: a file, ":memory:", or "postgresql://user@host/database". */
export const open = Stent.open;

/** Sets what holds for the whole process, before the first store is opened. */
export function configure(options: ConfigureOptions): void {
  check(native.configure(encodeText("configure", options, "configure"), errorOut));
}

/** The library's version. */
export const version = (): string => native.version();
