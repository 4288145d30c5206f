// How well: rates, waiting workflows, memory. With the release of the library the goals hold; another build holds a tenth.

import assert from "node:assert/strict";
import * as path from "node:path";
import { test } from "node:test";
import type { Stent } from "../src/index";
import { freshUrl, until, using } from "./house";

const isRelease = path.basename(process.env.STENT_LIB_DIR ?? "release") !== "debug";
const ACTIVITIES_PER_SECOND = isRelease ? 3_000 : 300;
const WAITING = isRelease ? 10_000 : 2_000;
/** A wave, and how many of them fill the caches, which are bounded: the store's pages and the journals. */
const WAVE = isRelease ? 20_000 : 2_000;
const FILLING = 10;
const MEASURED = 5;

/** So many activities, as children of fan-outs of a thousand. */
async function activities(stent: Stent, count: number): Promise<void> {
  const fans = await stent.dispatchMany(Array.from({ length: count / 1000 }, () => ({ function: "fan" })));
  for (const fan of fans) assert.equal(await fan.result(), 1000);
}

async function withFans(body: (stent: Stent) => Promise<void>): Promise<void> {
  await using(freshUrl("sqlite"), async (stent) => {
    stent.register("noop", () => null);
    stent.register("fan", async (context) => (await context.map("noop", Array(1000).fill([]))).length);
    stent.register("inbox", (context) => context.waitSignal("message"));
    await stent.startWorker({ maxConcurrency: 256 });
    await body(stent);
  });
}

const resident = (): number => {
  global.gc?.();
  return process.memoryUsage.rss() / 2 ** 20;
};

test("activities a second, and memory that stays flat", () =>
  withFans(async (stent) => {
    const waves = async (count: number) => {
      for (let wave = 0; wave < count; wave++) await activities(stent, WAVE);
    };
    const began = performance.now();
    await waves(FILLING);
    const rate = (FILLING * WAVE) / ((performance.now() - began) / 1000);
    const before = resident();
    await waves(MEASURED);
    const after = resident();
    const sizes = `${before.toFixed(0)} MiB after ${FILLING * WAVE} activities, ${after.toFixed(0)} MiB after ${MEASURED * WAVE} more`;
    console.log(`node: ${rate.toFixed(0)} activities/s on SQLite; resident ${sizes}`);
    assert.ok(rate >= ACTIVITIES_PER_SECOND, `${rate} activities a second`);
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
