// Where the program uses OpenTelemetry, spans of its handlers hang below those that the library tells of their runs.

import { type Handle, native } from "./native";

/** What is used of @opentelemetry/api, which is the program's own. */
interface Api {
  context: { active(): object; with<T>(context: object, run: () => T): T };
  trace: { setSpanContext(context: object, span: object): object };
}

/** Under which the API keeps what a program has set up. */
const GLOBAL = Symbol.for("opentelemetry.js.api.1");

let found: Api | null | undefined;

function api(): Api | null {
  // A program may set it up after it has loaded this package.
  if (found === undefined && GLOBAL in globalThis) {
    try {
      found = require("@opentelemetry/api") as Api;
    } catch {
      found = null;
    }
  }
  return found ?? null;
}

/** Runs a handler with its task's trace context as the current one. */
export function inTrace<T>(task: Handle, run: () => T): T {
  const otel = api();
  const traceparent = otel && native.taskTraceparent(task);
  if (!traceparent) return run();
  const [, traceId, spanId, flags] = traceparent.split("-");
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return otel.context.with(otel.trace.setSpanContext(otel.context.active(), span), run);
}
