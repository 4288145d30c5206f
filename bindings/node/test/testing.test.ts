// The helper for tests, as they use it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { define, TimeoutError } from "@stent-dev/stent";
import { testWorker } from "@stent-dev/stent/testing";
import { folder, root, until } from "./house";

const greet = define("greet", async (_, name: string) => `hello, ${name}`);
const welcome = define("welcome", async (context, name: string) => {
  context.log.info("greeting");
  const greeting = await context.call(greet, [name]);
  await context.sleep("1ms");
  return { greeting };
});
const hangs = define("hangs", () => new Promise<never>(() => {}));

test("one line makes a worker, and the block's end ends it", async () => {
  let ended: () => unknown;
  {
    await using host = await testWorker([greet, welcome]);
    const result: { greeting: string } = await host.run(welcome, ["ada"]);
    assert.deepEqual(result, { greeting: "hello, ada" });
    const text = await host.run<string>("greet", ["bo"]);
    assert.equal(text, "hello, bo");
    assert.deepEqual(host.log.filter((line) => line.level === "info").map((line) => line.message), ["greeting"]);
    assert.equal((await host.stent.list()).length, 2);
    ended = () => host.run(greet, ["ada"]);
  }
  await assert.rejects(ended as () => Promise<unknown>, { name: "ClosedError" });
});

test("stores in memory are each test's own, and options go through", async () => {
  await using one = await testWorker([greet], { worker: { maxConcurrency: 3 } });
  await using other = await testWorker([greet]);
  await one.run(greet, ["ada"]);
  assert.equal(one.worker.status().slots, 3);
  assert.deepEqual(await other.stent.list(), []);
});

test("with no place for what waits, what is not the same in every run is found", async () => {
  const fickle = define("fickle", async (context) => {
    await context.call(greet, [`${Math.random()}`]);
    await context.sleep("1ms");
  });
  await using host = await testWorker([greet, fickle], { worker: { maxCoroutines: 0 }, patience: "200ms" });
  await assert.rejects(host.run(fickle), TimeoutError);
  const said = () => host.log.map((line) => line.message).join("\n");
  await until("it is told", () => /the task is parked: .*greet#1 was recorded/.test(said()));
});

test("a handler that hangs fails the test, and keeps nothing", async () => {
  const host = await testWorker([hangs], { patience: 0.05 });
  await assert.rejects(host.run(hangs), TimeoutError);
  await host.close();
  assert.deepEqual([host.stent.workersHere(), host.worker.state], [[], "stopped"]);
  await assert.rejects(host.stent.list(), { name: "ClosedError" });
});

test("what can't be registered opens nothing", async () => {
  await assert.rejects(testWorker([greet, undefined as never]), /argument 2 is undefined/);
  await assert.rejects(testWorker(greet as never), /must be an array/);
});

test("it is found by its name, from modules of both kinds, and node:test ends by itself", () => {
  const place = folder();
  fs.mkdirSync(path.join(place, "node_modules/@stent-dev"), { recursive: true });
  fs.symlinkSync(root, path.join(place, "node_modules/@stent-dev/stent"));
  fs.writeFileSync(
    path.join(place, "some.test.mjs"),
    `import { test } from "node:test";
     import { define } from "@stent-dev/stent";
     import { testWorker } from "@stent-dev/stent/testing";
     const one = define("one", () => 1);
     test("one", async () => {
       const host = await testWorker([one]);
       if ((await host.run(one)) !== 1) throw new Error("not one");
       await host.close();
     });`,
  );
  const env = { ...process.env };
  // A test runner in a test runner tells its results in another way.
  delete env.NODE_TEST_CONTEXT;
  const said = execFileSync(process.execPath, ["--test", "--test-reporter=tap", "some.test.mjs"], { cwd: place, env, encoding: "utf8" });
  assert.match(said, /^# pass 1$/m);
});
