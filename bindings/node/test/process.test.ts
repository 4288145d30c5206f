// When the process ends, and when it stays; and that its loop is never blocked.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { Worker as Thread } from "node:worker_threads";
import { freshUrl, folder, Process, root, STORES, until, using } from "./house";

/** Runs a program beside the package; what it said, when it has ended by itself. */
async function program(body: string, ...args: string[]): Promise<Process> {
  const file = path.join(folder(), "program.js");
  const header = `const { open } = require(${JSON.stringify(path.join(root, "dist/src/index.js"))});\n`;
  fs.writeFileSync(file, `${header}(async () => {${body}})().catch((error) => { console.error(error); process.exit(9); });`);
  return new Process(process.execPath, [file, ...args]);
}

test("an idle client does not keep the process alive, a question does", async () => {
  const run = await program(`
    const stent = await open(process.argv[2]);
    const execution = await stent.dispatch("nobody has it");
    await execution.result({ timeout: "300ms" }).catch((error) => console.log(error.status));
    console.log("idle");
  `, freshUrl("sqlite"));
  await run.ends();
  assert.deepEqual([run.code, run.said], [0, "TIMEOUT\nidle\n"]);
});

test("a worker keeps the process alive until it has stopped, or is unreferenced", async () => {
  const url = freshUrl("sqlite");
  const body = (more: string) => `
    const stent = await open(process.argv[2]);
    stent.register("echo", (_, value) => value);
    const worker = await stent.startWorker();
    ${more}
    console.log("ready");
  `;
  const stays = await program(body('process.once("SIGTERM", () => stent.close().then(() => console.log("closed")));'), url);
  await stays.says("ready");
  await using(url, async (stent) => {
    const execution = await stent.dispatch("echo", ["still there"]);
    assert.equal(await execution.result({ timeout: "60s" }), "still there");
  });
  stays.child.kill("SIGTERM");
  await stays.ends();
  assert.deepEqual([stays.code, stays.said], [0, "ready\nclosed\n"]);
  const ends = await program(body("worker.unref();"), url);
  await ends.ends();
  assert.deepEqual([ends.code, ends.said], [0, "ready\n"]);
});

test("a process that exits in the middle gives back what it holds, at no charge", async () => {
  const url = freshUrl("sqlite");
  const exits = await program(`
    const stent = await open(process.argv[2]);
    stent.register("long", () => { setTimeout(() => process.exit(0), 50); return new Promise(() => {}); });
    await stent.startWorker();
    await stent.dispatch("long");
  `, url);
  await exits.ends();
  assert.equal(exits.code, 0);
  await using(url, async (stent) => {
    stent.register("long", (context) => context.info.attempt);
    await stent.startWorker();
    const [execution] = await stent.list();
    // Long before the lease of half a minute would have ended.
    assert.equal(await stent.execution(execution.id).result({ timeout: "60s" }), 1);
  });
});

test("the loop goes round while workflows run and wait", async () => {
  await using(freshUrl("sqlite"), async (stent) => {
    stent.register("echo", (_, value) => value);
    stent.register("busy", async (context) => {
      for (let i = 0; i < 20; i++) await context.call("echo", [i]);
      return "done";
    });
    await stent.startWorker({ maxConcurrency: 64 });
    const begun = performance.now();
    let [rounds, longest, last] = [0, 0, begun];
    const timer = setInterval(() => {
      const now = performance.now();
      [rounds, longest, last] = [rounds + 1, Math.max(longest, now - last), now];
    }, 1);
    const executions = await stent.dispatchMany(Array.from({ length: 50 }, () => ({ function: "busy" })));
    for (const execution of executions) assert.equal(await execution.result(), "done");
    clearInterval(timer);
    assert.ok(rounds > 10, `${rounds} rounds`);
    // A synchronous wait for the store would be as long as a workflow, and those end together.
    const all = performance.now() - begun;
    assert.ok(longest < Math.max(500, all / 2), `the loop stood still for ${longest} of ${all} ms`);
  });
});

test("a worker that stops while it is asked to has stopped", () =>
  using(freshUrl("sqlite"), async (stent) => {
    const worker = await stent.startWorker();
    // The event overtakes the question, as it may on a loaded machine: the library has forgotten the worker by then.
    const submit = stent.submit.bind(stent);
    stent.submit = async (...question) => {
      await worker.reaches("stopped");
      const asked = { worker_id: worker.id, state: "stopped", timeout: 0 };
      await until("it is forgotten", () => submit("wait_worker", asked).then(() => false, (error) => error.status === "NOT_FOUND"));
      return submit<any>(...question);
    };
    worker.drain();
    await worker.stop();
    assert.equal(worker.state, "stopped");
  }));

test("a store that is closed says so", async () => {
  await using(freshUrl("sqlite"), async (stent) => {
    await stent.close();
    await assert.rejects(stent.dispatch("f"), { name: "ClosedError" });
    await stent.close();
  });
});

test("a thread that ends with an open store ends what it made, and nothing else", async () => {
  const url = freshUrl("sqlite");
  await using(url, async (stent) => {
    stent.register("echo", (_, value) => value);
    await stent.startWorker();
    const thread = new Thread(
      `const { open } = require(${JSON.stringify(path.join(root, "dist/src/index.js"))});
       const { parentPort } = require("node:worker_threads");
       (async () => {
         const stent = await open(${JSON.stringify(url)});
         stent.register("hangs", () => new Promise(() => {}));
         await stent.startWorker({ leaseDuration: "1h" });
         const execution = await stent.dispatch("hangs");
         while ((await execution.state()).state !== "running") await new Promise((resolve) => setTimeout(resolve, 5));
         parentPort.postMessage(execution.id);
         setTimeout(() => process.exit(0), 0);
       })();`,
      { eval: true },
    );
    const hung = await new Promise<string>((resolve, reject) => thread.on("message", resolve).on("error", reject));
    await new Promise((resolve) => thread.on("exit", resolve));
    // The main thread's worker lives, and its store.
    const execution = await stent.dispatch("echo", ["still there"]);
    assert.equal(await execution.result({ timeout: "60s" }), "still there");
    // What the thread held is given back at once, and not when its lease would have ended.
    stent.register("hangs", () => "taken over");
    await stent.startWorker();
    assert.equal(await stent.execution(hung).result({ timeout: "60s" }), "taken over");
  });
});

test("what a terminated thread held is taken over, and nothing new goes to it", async () => {
  const url = freshUrl("sqlite");
  await using(url, async (stent) => {
    // No code of its own runs any more: neither listeners nor `finally`.
    const thread = new Thread(
      `const { open } = require(${JSON.stringify(path.join(root, "dist/src/index.js"))});
       const { parentPort } = require("node:worker_threads");
       (async () => {
         const stent = await open(${JSON.stringify(url)});
         stent.register("hangs", () => new Promise(() => {}));
         await stent.startWorker({ leaseDuration: "1h", hostTimeout: "2s" });
         const execution = await stent.dispatch("hangs");
         while ((await execution.state()).state !== "running") await new Promise((resolve) => setTimeout(resolve, 5));
         parentPort.postMessage(execution.id);
       })();`,
      { eval: true },
    );
    const hung = await new Promise<string>((resolve, reject) => thread.on("message", resolve).on("error", reject));
    await thread.terminate();
    const later = await Promise.all(Array.from({ length: 3 }, () => stent.dispatch("hangs")));
    stent.register("hangs", () => "taken over");
    await stent.startWorker();
    for (const execution of [stent.execution(hung), ...later]) {
      assert.equal(await execution.result({ timeout: "60s" }), "taken over");
    }
  });
});

for (const store of STORES) {
  test(`a thread that dies by an error nobody caught holds nothing back, on ${store}`, async () => {
    const url = freshUrl(store);
    await using(url, async (stent) => {
      const thread = new Thread(
        `const { open } = require(${JSON.stringify(path.join(root, "dist/src/index.js"))});
         (async () => {
           const stent = await open(${JSON.stringify(url)});
           stent.register("dies", () => {
             setTimeout(() => { throw new Error("nobody catches this"); }, 1);
             return new Promise(() => {});
           });
           await stent.startWorker({ leaseDuration: "1h" });
         })();`,
        { eval: true },
      );
      let why: Error | undefined;
      thread.on("error", (error) => (why = error as Error));
      const execution = await stent.dispatch("dies");
      await until("the thread is dead", () => why !== undefined);
      assert.match(why!.message, /nobody catches this/);
      stent.register("dies", () => "taken over");
      stent.register("throws", { retryPolicy: { maxAttempts: 1 } }, () => {
        throw null;
      });
      await stent.startWorker();
      assert.equal(await execution.result({ timeout: "60s" }), "taken over");
      // Whatever a handler throws, the next task is taken.
      await assert.rejects((await stent.dispatch("throws")).result({ timeout: "60s" }), { name: "FailedError" });
      assert.equal(await (await stent.dispatch("dies")).result({ timeout: "60s" }), "taken over");
    });
  });
}
