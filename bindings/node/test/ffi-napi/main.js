// A workflow by ffi-napi: no binding, handlers that are called back. Usage, where ffi-napi or its fork is installed:
//
//     main.js <libstent.so> <store url> ["@2060.io/"]
//
// A callback comes on a thread of the library, which waits until the event loop has run it. So what waits for handlers
// must not block the loop: result and stop are called by `.async`.

const installed = require("node:module").createRequire(`${process.cwd()}/`);
const scope = process.argv[4] ?? "";
const ffi = installed(`${scope}ffi-napi`);
const ref = installed(`${scope}ref-napi`);

const text = ref.types.CString;
const handle = ref.refType(ref.types.void);
const out = ref.refType(handle);
const errors = out;

const stent = ffi.Library(process.argv[2], {
  stent_backend_open: ["int", [text, text, out, errors]],
  stent_executor_new: ["int", [handle, text, out, errors]],
  stent_executor_register: ["int", [handle, text, text, "pointer", handle, "pointer", errors]],
  stent_worker_start: ["int", [handle, text, handle, out, errors]],
  stent_executor_dispatch: ["int", [handle, text, text, text, out, errors]],
  stent_executor_result: ["int", [handle, text, "int64", out, errors]],
  stent_task_args: [text, [handle]],
  stent_task_call: ["int", [handle, text, text, text, out, errors]],
  stent_task_complete: ["int", [handle, text, errors]],
  stent_error_message: [text, [handle]],
  stent_free: ["void", [handle]],
  stent_worker_stop: ["int", [handle, "int64", errors]],
  stent_worker_free: ["void", [handle]],
  stent_executor_free: ["void", [handle]],
  stent_backend_free: ["void", [handle]],
  stent_shutdown: ["int", ["int64", errors]],
});

const place = () => ref.alloc(handle, ref.NULL);

/** Without blocking the loop. */
const later = (name, ...args) =>
  new Promise((resolve, reject) => stent[name].async(...args, (error, status) => (error ? reject(error) : resolve(status))));

function check(what, status, error) {
  if (status < 0) throw new Error(`${what}: ${stent.stent_error_message(error.deref())}`);
  return status;
}

/** A text that the library gave, copied and freed. */
function taken(where) {
  const pointer = where.deref();
  const copy = ref.reinterpretUntilZeros(pointer, 1).toString("utf8");
  stent.stent_free(pointer);
  return copy;
}

// Kept here, for the garbage collector does not know that the library has them.
const handlers = {
  greet: ffi.Callback("int", [handle, handle], (_, task) => {
    const [name] = JSON.parse(stent.stent_task_args(task));
    return stent.stent_task_complete(task, JSON.stringify(`hello, ${name}`), ref.NULL);
  }),
  hello: ffi.Callback("int", [handle, handle], (_, task) => {
    const result = place();
    const status = stent.stent_task_call(task, "greet", stent.stent_task_args(task), null, result, ref.NULL);
    // A suspension is passed on, like anything else that is not a result.
    return status === 0 ? stent.stent_task_complete(task, taken(result), ref.NULL) : status;
  }),
};

async function main() {
  const [backend, executor, worker, id, result, error] = [place(), place(), place(), place(), place(), place()];
  check("open", stent.stent_backend_open(process.argv[3], null, backend, error), error);
  check("executor", stent.stent_executor_new(backend.deref(), null, executor, error), error);
  for (const [name, handler] of Object.entries(handlers)) {
    check(name, stent.stent_executor_register(executor.deref(), name, null, handler, ref.NULL, ref.NULL, error), error);
  }
  check("start", stent.stent_worker_start(executor.deref(), null, ref.NULL, worker, error), error);
  check("dispatch", stent.stent_executor_dispatch(executor.deref(), "hello", '["ada"]', null, id, error), error);
  const execution = taken(id);
  check("result", await later("stent_executor_result", executor.deref(), execution, 20000, result, error), error);
  console.log(taken(result));
  check("stop", await later("stent_worker_stop", worker.deref(), 10000, error), error);
  stent.stent_worker_free(worker.deref());
  stent.stent_executor_free(executor.deref());
  stent.stent_backend_free(backend.deref());
  check("shutdown", await later("stent_shutdown", 10000, error), error);
  return handlers;
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
