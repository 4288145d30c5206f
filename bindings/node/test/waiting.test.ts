// Waits that are given up, progress and changes as they come, and workers that run until they are told to end.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, test } from "node:test";
import { CancelledError, type Context, open, TimeoutError } from "../src/index";
import { folder, freshUrl, Process, root, STORES, until, using } from "./house";

const aborted = (error: Error) => error.name === "AbortError";

for (const store of STORES) {
  describe(store, () => {
    test("progress comes line by line, while it runs, to the end", () =>
      using(freshUrl(store), async (stent) => {
        stent.register("says", async (context: Context) => {
          context.progress({ i: 1 });
          await context.waitSignal("on");
          context.progress({ i: 2 });
          context.progress({ i: 2 });
          await context.waitSignal("on");
          return "done";
        });
        await stent.startWorker();
        const execution = await stent.dispatch("says");
        const states: string[] = [];
        // Hours between two looks: the end is seen without.
        const ended = (async () => {
          for await (const { state } of execution.changes({ every: 3600 })) states.push(state);
        })();
        const seen: unknown[] = [];
        for await (const { detail } of execution.progress({ every: 0.01 })) {
          const said = (detail as { i?: number } | null)?.i;
          if (said === undefined) continue;
          seen.push(said);
          // The next one comes only because this one was seen.
          if (seen.length !== 2) await execution.signal("on");
        }
        assert.deepEqual(seen, [1, 2, 2]);
        await ended;
        assert.equal(states.at(-1), "completed");
      }));

    test("changes are seen until the end, whatever it is", () =>
      using(freshUrl(store), async (stent) => {
        stent.register("waits", async (context: Context) => {
          context.setState("s", "waiting");
          await context.waitSignal("never");
        });
        const execution = await stent.dispatch("waits");
        const states: string[] = [];
        let isCancelled = false;
        for await (const { state, stateValues } of execution.changes({ every: 0.01 })) {
          if (state === "pending") await stent.startWorker();
          if (stateValues.s === "waiting" && !isCancelled) {
            isCancelled = true;
            await execution.cancel();
          }
          if (states.at(-1) !== state) states.push(state);
        }
        assert.equal(states[0], "pending");
        assert.equal(states.at(-1), "cancelled");
        await assert.rejects(execution.result(), CancelledError);
      }));
  });
}

test("whoever gives up waiting is let go, and what was waited for goes on", () =>
  using(":memory:", async (stent) => {
    const execution = await stent.dispatch("nobody");
    const aborts = new AbortController();
    const { signal } = aborts;
    const iterated = (async () => {
      for await (const record of execution.changes({ signal, every: 3600 })) assert.equal(record.state, "pending");
    })();
    const waits = [execution.result({ signal }), execution.wait({ signal }), iterated];
    // They wait by then.
    await delay(20);
    aborts.abort();
    for (const wait of waits) await assert.rejects(wait, aborted);
    await assert.rejects(execution.result({ signal }), aborted);
    await assert.rejects(execution.progress({ signal }).next(), aborted);
    await assert.rejects(execution.wait({ signal: AbortSignal.timeout(1) }), { name: "TimeoutError" });
    // Who leaves the loop leaves nothing behind.
    for await (const _ of execution.changes({ every: 3600 })) break;
    assert.equal((await execution.state()).state, "pending");
  }));

test("an iterator does not hide what goes wrong", async () => {
  const stent = await open(":memory:");
  const nobody = stent.execution("00000000-0000-4000-8000-000000000000");
  await assert.rejects(nobody.progress().next(), { name: "NotFoundError" });
  const execution = await stent.dispatch("nobody");
  const changes = execution.changes({ every: 3600 });
  await changes.next();
  const next = changes.next();
  next.catch(() => {});
  await stent.close();
  await assert.rejects(next, { name: "ClosedError" });
});

test("a handler's signal is aborted when its execution is cancelled", () =>
  using(":memory:", async (stent) => {
    let told: unknown;
    let begun = false;
    stent.register("long", async (context: Context) => {
      begun = true;
      // As fetch and others take it.
      await delay(3_600_000, null, { signal: context.signal }).catch(() => {});
      told = context.signal.reason;
    });
    await stent.startWorker();
    const execution = await stent.dispatch("long");
    await until("it runs", () => begun);
    await execution.cancel();
    await until("it is told", () => told instanceof CancelledError);
  }));

test("`serve` ends by a signal of the program's, drained, and `await using` ends the store", async () => {
  const url = freshUrl("sqlite");
  const aborts = new AbortController();
  {
    await using stent = await open(url);
    let ended = false;
    stent.register("slow", async () => {
      aborts.abort();
      await delay(100);
      ended = true;
    });
    await stent.dispatch("slow");
    const before = process.listenerCount("SIGTERM");
    await stent.serve({ signal: aborts.signal, drain: "20s", maxConcurrency: 1 });
    assert.ok(ended);
    assert.equal(process.listenerCount("SIGTERM"), before);
    assert.deepEqual(stent.workersHere(), []);
    await stent.dispatch("slow");
    await using worker = await stent.startWorker();
    await worker.run({ signal: AbortSignal.abort() });
    assert.equal(worker.state, "stopped");
    await assert.rejects(stent.serve({ maxConcurrency: -1 }), { name: "InvalidError" });
    assert.equal(process.listenerCount("SIGTERM"), before);
  }
});

test("a handler that is given up is told of once, and the store closes without it", async () => {
  await using stent = await open(freshUrl("sqlite"), { logger: false });
  const aborts = new AbortController();
  stent.register("hangs", () => {
    aborts.abort();
    return new Promise(() => {});
  });
  await stent.dispatch("hangs");
  await assert.rejects(stent.serve({ signal: aborts.signal, drain: 0.05 }), TimeoutError);
});

const SERVES = `
  const fs = require("node:fs");
  const { define, open } = require(${JSON.stringify(path.join(root, "dist/src/index.js"))});
  const [url, file, drain] = process.argv.slice(2);
  (async () => {
    const stent = await open(url);
    stent.register("slow", async () => {
      fs.appendFileSync(file, "began\\n");
      while (!fs.existsSync(file + ".go")) await new Promise((resolve) => setTimeout(resolve, 5));
      fs.appendFileSync(file, "ended\\n");
    });
    await stent.serve({ drain });
    await stent.close();
    console.log("closed");
  })();
`;

async function serving(drain: string): Promise<{ run: Process; file: string; url: string }> {
  const [place, url] = [folder(), freshUrl("sqlite")];
  const [program, file] = [path.join(place, "serves.js"), path.join(place, "file")];
  fs.writeFileSync(program, SERVES);
  await using(url, (stent) => stent.dispatch("slow"));
  const run = new Process(process.execPath, [program, url, file, drain]);
  await until("it runs", () => fs.existsSync(file));
  return { run, file, url };
}

for (const word of ["SIGTERM", "SIGINT"] as const) {
  test(`on ${word} what runs is ended, and the process ends well`, async () => {
    const { run, file, url } = await serving("20s");
    run.child.kill(word);
    fs.writeFileSync(`${file}.go`, "");
    await run.ends();
    assert.deepEqual([run.code, run.said], [0, "closed\n"]);
    assert.equal(fs.readFileSync(file, "utf8"), "began\nended\n");
    await using(url, async (stent) => assert.equal((await stent.list())[0].state, "completed"));
  });
}

test("what runs longer than the time to drain is given up, and the process ends badly", async () => {
  const { run, file } = await serving("100ms");
  run.child.kill("SIGTERM");
  await run.ends();
  assert.deepEqual([run.code, run.said], [1, ""]);
  assert.equal(fs.readFileSync(file, "utf8"), "began\n");
});

test("a second signal ends the process at once", async () => {
  const { run, file } = await serving("1h");
  run.child.kill("SIGTERM");
  // Until the first one was taken, both are one.
  await until("it is ended", () => {
    run.child.kill("SIGTERM");
    return run.signal !== undefined;
  });
  assert.equal(run.signal, "SIGTERM");
  assert.equal(fs.readFileSync(file, "utf8"), "began\n");
});
