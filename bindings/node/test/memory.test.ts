// Memory: over many activities, and with many workflows that wait.

import assert from "node:assert/strict";
import { test } from "node:test";
import { activities, amount, isRelease, withFans } from "./fans";
import { until } from "./house";

const WAITING = amount(10_000);
const BLOCK = amount(10_000);
/** Blocks that fill the caches, which are bounded, and blocks over which nothing may be kept. */
const [FILLING, MEASURED] = [10, 10];

const resident = (): number => {
  global.gc?.();
  return process.memoryUsage.rss() / 2 ** 20;
};

test("memory stays flat over activities", () =>
  withFans(async (stent) => {
    const blocks = async (count: number) => {
      for (let block = 0; block < count; block++) {
        await activities(stent, BLOCK);
        // As a worker's retention does, sooner: SQLite keeps up to 64 MiB of the file in memory.
        await stent.cleanup({ olderThan: 0 });
      }
      return resident();
    };
    const before = await blocks(FILLING);
    const after = await blocks(MEASURED);
    const sizes = `${before.toFixed(0)} MiB after ${FILLING * BLOCK} activities, ${after.toFixed(0)} MiB after ${MEASURED * BLOCK} more`;
    console.log(`node: resident ${sizes}`);
    assert.ok(after <= before + (isRelease ? 20 : 64), sizes);
  }));

test("workflows that wait at once", () =>
  withFans(async (stent) => {
    const before = resident();
    const executions = [];
    for (let done = 0; done < WAITING; done += 1000) {
      executions.push(...(await stent.dispatchMany(Array.from({ length: 1000 }, () => ({ function: "inbox" })))));
    }
    const [worker] = stent.workersHere();
    await until("all wait", () => worker.status().coroutines === WAITING);
    assert.equal(worker.status().held, 0);
    const each = ((resident() - before) * 1024) / WAITING;
    console.log(`${WAITING} workflows wait: ${each.toFixed(1)} KiB each`);
    await Promise.all(executions.map((execution) => execution.signal("message", 7)));
    for (const execution of executions) assert.equal(await execution.result(), 7);
    assert.ok(each < 64, `${each} KiB each`);
  }));
