// The log, in the hands of an object like `console`.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { InvalidError, type LogFields, type Logger, type LogLevel, open } from "../src/index";
import { folder, freshUrl, root, STORES, until } from "./house";

type Line = { level: LogLevel; message: string } & LogFields;

/** A logger that keeps its lines. */
function kept(): { lines: Line[]; logger: Logger } {
  const lines: Line[] = [];
  const at = (level: LogLevel) => (message: string, fields: LogFields) => lines.push({ level, message, ...fields });
  return { lines, logger: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

const once = { retryPolicy: { maxAttempts: 1 } };

for (const store of STORES) {
  describe(store, () => {
    test("a dead letter is a line with its ids, in the hands of the store's own logger", async () => {
      const [mine, other] = [kept(), kept()];
      const stent = await open(freshUrl(store), { logger: mine.logger });
      const beside = await open(freshUrl(store), { logger: other.logger });
      try {
        stent.register("fragile", once, () => {
          throw new Error("broken");
        });
        const worker = await stent.startWorker();
        const execution = await stent.dispatch("fragile");
        await execution.wait();
        const find = () => mine.lines.find((line) => line.message.includes("dead-lettered"));
        await until("the line comes", () => find() !== undefined);
        const { level, message, task, ...fields } = find()!;
        assert.ok(level === "warn" || level === "error", level);
        assert.match(message, /broken/);
        assert.match(String(task), /^[0-9a-f-]{36}$/);
        const { target, function: name, execution: id, worker: by } = fields;
        assert.deepEqual({ target, name, id, by }, { target: "stent.worker", name: "fragile", id: execution.id, by: worker.id });
      } finally {
        await stent.close();
        await beside.close();
      }
      assert.deepEqual(other.lines, []);
    });

    test("an attempt that failed and is tried again is a warning with its error and the next time", async () => {
      const { lines, logger } = kept();
      const stent = await open(freshUrl(store), { logger, logLevel: "warn" });
      try {
        stent.register("flaky", { retryPolicy: { maxAttempts: 3, initialDelay: "5ms" } }, (context) => {
          if (context.info.attempt < 3) throw new RangeError("not yet");
          return context.info.attempt;
        });
        const worker = await stent.startWorker();
        const execution = await stent.dispatch("flaky");
        assert.equal(await execution.result({ timeout: "60s" }), 3);
        await until("both lines come", () => lines.length === 2);
        for (const [index, line] of lines.entries()) {
          const { level, function: name, execution: id, attempt, error, worker: by } = line;
          assert.deepEqual([level, name, id, by], ["warn", "flaky", execution.id, worker.id]);
          assert.deepEqual([Number(attempt), error], [index + 1, "RangeError"]);
          assert.match(line.message, /not yet/);
          assert.ok(Date.parse(String(line.retryAt)) > Date.now() - 60_000, String(line.retryAt));
        }
      } finally {
        await stent.close();
      }
    });

    test("what a handler says is told once, with its ids and its own facts, also where it is replayed", async () => {
      const { lines, logger } = kept();
      const stent = await open(freshUrl(store), { logger, logLevel: "info" });
      try {
        stent.register("echo", (context, value) => {
          context.log.debug("too small to be told");
          return value;
        });
        stent.register("says", async (context) => {
          context.log.info("first", { card: 42 });
          await context.call("echo", [1]);
          context.log.warn("second");
          await context.call("echo", [2]);
          context.log.error("third");
        });
        // Nothing stays in memory: each answer is a run from the top.
        const worker = await stent.startWorker({ maxCoroutines: 0 });
        const execution = await stent.dispatch("says");
        await execution.result({ timeout: "60s" });
        const said = lines.filter((line) => line.target === "stent.task");
        assert.deepEqual(said.map(({ level, message }) => [level, message]), [
          ["info", "first"],
          ["warn", "second"],
          ["error", "third"],
        ]);
        assert.equal(said[0].card, 42);
        for (const line of said) {
          assert.deepEqual(
            [line.function, line.execution, line.attempt, line.worker],
            ["says", execution.id, 1, worker.id],
          );
          assert.match(String(line.task), /^[0-9a-f-]{36}$/);
        }
      } finally {
        await stent.close();
      }
    });
  });
}

/** Runs a program beside the package. */
function program(body: string): { stdout: string; stderr: string; status: number | null } {
  const file = path.join(folder(), "program.js");
  const header = `const stent = require(${JSON.stringify(path.join(root, "dist/src/index.js"))});\n`;
  fs.writeFileSync(file, `${header}(async () => {${body}})();`);
  return spawnSync(process.execPath, [file], { encoding: "utf8", timeout: 60_000 });
}

const FAILS = `
  store.register("fragile", { retryPolicy: { maxAttempts: 1 } }, (context) => {
    context.log.info("not told");
    throw new Error("broken");
  });
  await store.startWorker();
  await (await store.dispatch("fragile")).wait();
  await store.close();
`;

test("where nobody says, warnings and errors are on the console's error stream", () => {
  const told = program(`const store = await stent.open(":memory:"); ${FAILS}`);
  assert.equal(told.status, 0, told.stderr);
  assert.equal(told.stdout, "");
  assert.match(told.stderr, /dead-lettered.*broken/);
  assert.match(told.stderr, /function: 'fragile'/);
  assert.doesNotMatch(told.stderr, /not told/);
});

test("with `false` nothing is told", () => {
  const told = program(`const store = await stent.open(":memory:", { logger: false }); ${FAILS}`);
  assert.deepEqual([told.status, told.stdout, told.stderr], [0, "", ""]);
});

for (const [how, bad, warned] of [
  ["throws", `() => { throw new Error("the disk is full"); }`, /Stent's logger threw: Error: the disk is full/],
  ["throws what has no text", `() => { throw Object.create(null); }`, /Stent's logger threw: \[Object: null prototype\]/],
  ["rejects", `async () => { throw new Error("the disk is full"); }`, /Stent's logger threw: Error: the disk is full/],
] as const) {
  test(`a logger that ${how} harms nobody, and is told of as a warning`, () => {
    const told = program(`
      const bad = ${bad};
      const store = await stent.open(":memory:", { logger: { debug: bad, info: bad, warn: bad, error: bad } });
      store.register("says", (context) => { context.log.error("hello"); return "done"; });
      await store.startWorker();
      console.log(await (await store.dispatch("says")).result());
      await store.close();
    `);
    assert.deepEqual([told.status, told.stdout], [0, "done\n"], told.stderr);
    assert.match(told.stderr, warned);
  });
}

test("what is no logger is refused at once", async () => {
  const { logger } = kept();
  const { debug: _, ...partly } = logger;
  await assert.rejects(open(":memory:", { logger: partly as Logger }), (error) => {
    return error instanceof InvalidError && /no function 'debug'/.test(error.message);
  });
  await assert.rejects(open(":memory:", { logger, logLevel: "loud" as "info" }), /logLevel is "loud".*error, warn, info, debug/);
});

test("configure holds for the process, and only before the first store", () => {
  const file = path.join(folder(), "program.js");
  fs.writeFileSync(
    file,
    `const stent = require(${JSON.stringify(path.join(root, "dist/src/index.js"))});
     const fs = require("node:fs");
     const threads = () => fs.readdirSync("/proc/self/task").map((id) => fs.readFileSync("/proc/self/task/" + id + "/comm", "utf8"));
     (async () => {
       try { stent.configure({ runtimeThreds: 1 }); } catch (error) { console.log(error.name); }
       stent.configure({ runtimeThreads: 3 });
       const store = await stent.open(":memory:");
       try { stent.configure({ runtimeThreads: 1 }); } catch (error) { console.log(error.name); }
       console.log(threads().filter((name) => name.startsWith("stent-rt-")).length);
       await store.close();
     })();`,
  );
  const said = execFileSync(process.execPath, [file], { encoding: "utf8", timeout: 60_000 });
  assert.equal(said, "InvalidError\nConflictError\n3\n");
});
