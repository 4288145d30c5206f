// The load of what measures: fan-outs of a thousand activities that do nothing.

import assert from "node:assert/strict";
import * as path from "node:path";
import type { Stent } from "../src/index";
import { freshUrl, using } from "./house";

export const isRelease = path.basename(process.env.STENT_LIB_DIR ?? "release") !== "debug";
export const BLOCK = isRelease ? 10_000 : 1_000;

/** How many are measured over: a fifth, where not all are asked for. */
export const amount = (all: number): number => (process.env.STENT_STRESS ? all : all / 5);

/** A block of activities, so that the same is in flight in each. */
export async function activities(stent: Stent, count = BLOCK): Promise<void> {
  const fans = await stent.dispatchMany(Array.from({ length: count / 1000 }, () => ({ function: "fan" })));
  for (const fan of fans) assert.equal(await fan.result(), 1000);
}

export async function withFans(body: (stent: Stent) => Promise<void>): Promise<void> {
  await using(freshUrl("sqlite"), async (stent) => {
    stent.register("noop", () => null);
    stent.register("fan", async (context) => (await context.map("noop", Array(1000).fill([]))).length);
    stent.register("inbox", (context) => context.waitSignal("message"));
    await stent.startWorker({ maxConcurrency: 256 });
    await body(stent);
  });
}
