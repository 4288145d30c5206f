// The library's functions, as koffi declares them. Handles are numbers here: koffi gives pointers as bigint.

import * as fs from "node:fs";
import * as path from "node:path";
import koffi = require("koffi");

export type Handle = bigint;

const SONAME = "libstent.so.0";

/** The package that carries the library for this kind of machine: beside this one, if npm found that it fits. */
function packaged(): string | undefined {
  try {
    return require.resolve(`@stent-dev/stent-linux-${process.arch}-gnu/${SONAME}`);
  } catch {
    return undefined;
  }
}

/** Where the library may be, the first first. What `STENT_LIB_DIR` names is the only place. */
function places(): string[] {
  const given = process.env.STENT_LIB_DIR;
  if (given) return [path.join(given, SONAME)];
  const found = packaged();
  const checkout = path.join(__dirname, "../../../..");
  const built = fs.existsSync(path.join(checkout, "include/stent.h")) ? [path.join(checkout, "target/release", SONAME)] : [];
  // Without a folder it is the loader that looks.
  return [...(found ? [found] : []), ...built, SONAME];
}

function load(): ReturnType<typeof koffi.load> {
  const tried: string[] = [];
  for (const place of places()) {
    // A file that is there and can't be loaded is told of, and none in its place is taken.
    if (place !== SONAME && !fs.existsSync(place)) {
      tried.push(`${place}: there is no such file`);
      continue;
    }
    try {
      return koffi.load(place);
    } catch (why) {
      tried.push(`${place}: ${(why as Error).message}`);
      if (place !== SONAME) break;
    }
  }
  if (!process.env.STENT_LIB_DIR && !packaged()) {
    tried.unshift(`the package @stent-dev/stent-linux-${process.arch}-gnu: it is not installed`);
  }
  const list = tried.map((line) => `\n  ${line}`).join("");
  throw new Error(`Stent's library was not found. Tried:${list}\nSTENT_LIB_DIR names the folder of one that is elsewhere.`);
}

const library = load();
const text = koffi.disposable("stent_text", "str", library.func("void stent_free(void *)"));
const textOut = koffi.out(koffi.pointer(text));

const int = "int32_t";
const str = "const char *";
const any = "void *";
const declare = (name: string, result: string, ...parameters: unknown[]) =>
  library.func(name, result, parameters as string[]);

export type NativeFunction = ReturnType<typeof declare>;

export const native = {
  version: declare("stent_version", str),
  describe: declare("stent_describe", str),
  configure: declare("stent_configure", int, str, any),
  shutdown: declare("stent_shutdown", int, "int64_t", any),
  errorJson: declare("stent_error_json", str, any),
  errorFree: declare("stent_error_free", "void", any),

  backendOpen: declare("stent_backend_open", int, str, str, any, any),
  backendCheck: declare("stent_backend_check", int, any, str, textOut, any),
  backendBackup: declare("stent_backend_backup", int, any, str, str, any),
  backendClose: declare("stent_backend_close", int, any, any),
  backendFree: declare("stent_backend_free", "void", any),

  executorNew: declare("stent_executor_new", int, any, str, any, any),
  executorFree: declare("stent_executor_free", "void", any),
  executorRegister: declare("stent_executor_register", int, any, str, str, any, any, any, any),
  executorSubmit: declare("stent_executor_submit", int, any, str, str, any, "uint64_t", any),
  executorSubmitCancel: declare("stent_executor_submit_cancel", int, any, any, "uint64_t", any),

  workerStart: declare("stent_worker_start", int, any, str, any, any, any),
  workerStatus: declare("stent_worker_status", int, any, textOut, any),
  workerStop: declare("stent_worker_stop", int, any, "int64_t", any),
  workerDrain: declare("stent_worker_drain", int, any, any),
  workerFree: declare("stent_worker_free", "void", any),

  pollerNew: declare("stent_poller_new", int, any, any),
  pollerFd: declare("stent_poller_fd", int, any),
  pollerTake: declare("stent_poller_take", int, any, any, "size_t", any, any),
  pollerLog: declare("stent_poller_log", int, any, str, any),
  pollerFree: declare("stent_poller_free", "void", any),

  eventType: declare("stent_event_type", str, any),
  eventTag: declare("stent_event_tag", "uint64_t", any),
  eventStatus: declare("stent_event_status", int, any),
  eventJson: declare("stent_event_json", str, any),
  eventTask: declare("stent_event_task", any, any),
  eventFree: declare("stent_event_free", "void", any),

  taskInfo: declare("stent_task_info", str, any),
  taskIsCancelled: declare("stent_task_is_cancelled", int, any),
  taskIsReplaying: declare("stent_task_is_replaying", int, any),
  taskSpawnCall: declare("stent_task_spawn_call", int, any, str, str, str, any, any),
  taskSpawnSleep: declare("stent_task_spawn_sleep", int, any, str, any, any),
  taskSpawnWaitSignal: declare("stent_task_spawn_wait_signal", int, any, str, str, any, any),
  taskStepBegin: declare("stent_task_step_begin", int, any, str, str, any, any, any),
  taskStepEnd: declare("stent_task_step_end", int, any, "uint32_t", str, str, any),
  taskNotify: declare("stent_task_notify", int, any, "uint32_t", any, "uint64_t", any),
  taskNotifyAll: declare("stent_task_notify_all", int, any, any, "size_t", any, "uint64_t", any),
  taskCancelOp: declare("stent_task_cancel_op", int, any, "uint32_t", any),
  taskNow: declare("stent_task_now", int, any, textOut, any),
  taskRandom: declare("stent_task_random", int, any, any, any),
  taskUuid: declare("stent_task_uuid", int, any, textOut, any),
  taskProgress: declare("stent_task_progress", int, any, str, any),
  taskCounterAdd: declare("stent_task_counter_add", int, any, str, str, any),
  taskStateSet: declare("stent_task_state_set", int, any, str, str, any),
  taskHeartbeat: declare("stent_task_heartbeat", int, any, str, any),
  taskLog: declare("stent_task_log", int, any, int, str, any),
  taskComplete: declare("stent_task_complete", int, any, str, any),
  taskFail: declare("stent_task_fail", int, any, str, any),
  taskSuspend: declare("stent_task_suspend", int, any, any),
  taskContinue: declare("stent_task_continue", int, any, str, any),
  taskFree: declare("stent_task_free", "void", any),
};

const dup = koffi.load(null).func("int dup(int)");

/** A descriptor of one's own for what is behind another: a socket closes what it watches. */
export function duplicate(descriptor: number): number {
  const copy: number = dup(descriptor);
  if (copy < 0) throw new Error("dup: the process has no descriptors left");
  return copy;
}

/** Everything that the library knows, as `stent_describe` tells it. */
export function describe(): Description {
  return JSON.parse(native.describe());
}

export interface Description {
  statuses: { name: string; constant: string; code: number; doc: string }[];
  operations: { name: string }[];
  submissions: { name: string; request: { name: string }[] }[];
  options: { name: string; fields: { name: string }[] }[];
  events: { name: string }[];
}
