// Spans of the handlers' own hang below those that the library tells.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import type { Context, Stent } from "../src/index";
import { freshUrl, STORES, using } from "./house";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const DISPATCHER = "00f067aa0ba902b7";

context.setGlobalContextManager(new AsyncLocalStorageContextManager());

/** Trace and span, as any library that traces sees them. */
const here = () => {
  const span = trace.getActiveSpan()?.spanContext();
  return span ? `${span.traceId} ${span.spanId}` : "nowhere";
};

async function contexts(stent: Stent, traceparent?: string): Promise<string[]> {
  stent.register("child", async () => here());
  stent.register("parent", async (task: Context) => {
    const before = here();
    const inside = await task.step("step", async () => here());
    return [before, inside, await task.call("child"), here()];
  });
  await stent.startWorker({});
  return (await stent.dispatch("parent", [], { traceparent })).result({ timeout: "60s" }) as Promise<string[]>;
}

for (const store of STORES) {
  const on = (name: string, body: (stent: Stent) => Promise<void>) => test(name, () => using(freshUrl(store), body));

  describe(store, () => {
    on("the context of the dispatch is current", async (stent) => {
      const found = await contexts(stent, `00-${TRACE}-${DISPATCHER}-01`);
      assert.deepEqual(found, Array(4).fill(`${TRACE} ${DISPATCHER}`));
      assert.equal(here(), "nowhere");
    });

    on("without a trace there is no context", async (stent) => {
      assert.deepEqual(await contexts(stent), Array(4).fill("nowhere"));
    });
  });
}
