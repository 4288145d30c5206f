// Every line of bindings/scenarios.md, on both stores.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { registerAll } from "../scenarios/functions";
import {
  CancelledError,
  ConflictError,
  type Execution,
  FailedError,
  NotFoundError,
  type Schedule,
  type Stent,
  type Tick,
  type Worker,
} from "../src/index";
import { folder, freshUrl, lines, scenarioWorker, STORES, until, using } from "./house";

type Body = (stent: Stent, worker: Worker) => Promise<void>;

const cardDeclined = {
  type: "CardDeclined",
  message: "the card 42 was declined",
  code: "card_declined",
  details: { card: "42" },
};

async function failureOf(execution: Execution): Promise<FailedError> {
  const error = await execution.result().then(
    () => assert.fail("it did not fail"),
    (error) => error,
  );
  assert.ok(error instanceof FailedError, String(error));
  return error;
}

const tasksOf = (stent: Stent, execution: Execution) =>
  stent.backendCall<{ state: string; retries: number }[]>("list_tasks_for_execution", { execution_id: execution.id });

/** Those with a worker in this process. */
const SCENARIOS: Record<string, Body> = {
  async hello(stent) {
    assert.equal(await (await stent.dispatch("node.hello", ["ada"])).result(), "hello, ada");
  },

  async sequence(stent) {
    const execution = await stent.dispatch("node.sequence", [100]);
    assert.equal(await execution.result(), 115);
    const states = (await tasksOf(stent, execution)).map((task) => task.state);
    assert.deepEqual(states, Array(6).fill("completed"));
  },

  async fan_out(stent) {
    assert.equal(await (await stent.dispatch("node.fan_out", [50])).result(), 42925);
  },

  async race(stent) {
    const call = await stent.dispatch("node.race", ["greet", ["ada"], "1h"]);
    assert.deepEqual(await call.result(), { winner: "call", result: "hello, ada" });
    const file = path.join(folder(), "file");
    const sleep = await stent.dispatch("node.race", ["until_cancelled", [file], "3s"]);
    assert.deepEqual(await sleep.result(), { winner: "sleep" });
    await until("the loser is cancelled", () => lines(file) === "started cancelled");
  },

  async sleep(stent, worker) {
    const execution = await stent.dispatch<{ began: string; woke: string }>("node.sleeper", ["3s"]);
    await until("it sleeps", async () => {
      const { coroutines, running } = worker.status();
      return coroutines === 1 && running === 0 && (await execution.state()).state === "running";
    });
    const { began, woke } = await execution.result();
    assert.ok(Date.parse(woke) - Date.parse(began) >= 3000, `${began} ${woke}`);
  },

  async signals(stent) {
    const execution = await stent.dispatch("node.inbox", [3]);
    await execution.signal("message", { n: 1 }, { id: "a" });
    await execution.signal("message", { n: 2 }, { id: "b" });
    await execution.signal("message", { n: 2 }, { id: "b" });
    await execution.signal("message", { n: 3 });
    assert.deepEqual(await execution.result(), [{ n: 1 }, { n: 2 }, { n: 3 }]);
  },

  async retry(stent) {
    assert.equal(await (await stent.dispatch("node.retried", [2])).result(), 3);
  },

  async snooze(stent) {
    const began = performance.now();
    assert.deepEqual(await (await stent.dispatch("node.put_off", [])).result(), [1, [1, 2]]);
    assert.ok(performance.now() - began >= 1000);
  },

  async failure(stent) {
    assert.deepEqual(await (await stent.dispatch("node.purchase", ["42", true])).result(), cardDeclined);
    const { failure } = await failureOf(await stent.dispatch("node.purchase", ["42", false]));
    const { type, message, code, details } = failure;
    assert.deepEqual({ type, message, code, details }, cardDeclined);
    assert.equal(failure.retryable, false);
    const execution = await stent.dispatch("node.throws");
    const thrown = (await failureOf(execution)).failure;
    assert.deepEqual([thrown.type, thrown.message], ["Error", "out of paper"]);
    assert.match(thrown.stack ?? "", /functions\.(ts|js)/);
    assert.deepEqual((await tasksOf(stent, execution)).map((task) => task.retries).filter((n) => n > 1), []);
    assert.equal(await (await stent.dispatch("node.hello", ["ada"])).result(), "hello, ada");
  },

  async schedule(stent) {
    const hourly = (name: string, owner?: string): Schedule => {
      return { name, function: "node.hello", args: ["ada"], cron: "0 * * * *", timeZone: "Europe/Berlin", owner };
    };
    await stent.putSchedule(hourly("old", "scenarios"));
    stent.declareSchedules("scenarios", [hourly("greeting")], { removeOthers: true });
    await stent.startWorker();
    const kept = async () => {
      const all = await stent.schedules({ next: 2 });
      assert.equal(all.length, 1);
      return all[0]!;
    };
    const first = await kept();
    assert.deepEqual([first.name, first.owner, first.timeZone], ["greeting", "scenarios", "Europe/Berlin"]);
    assert.equal(Date.parse(first.next[1]!) - Date.parse(first.next[0]!), 3_600_000);
    const resultOf = (tick: Tick) => stent.execution(tick.executionId!).result();
    const [tick] = await stent.triggerSchedule("greeting");
    assert.equal(tick!.state, "started");
    assert.equal(await resultOf(tick!), "hello, ada");

    await stent.pauseSchedule("greeting", { note: "enough" });
    const paused = await kept();
    assert.deepEqual([paused.pauseNote, paused.next], ["enough", []]);
    await stent.resumeSchedule("greeting");
    assert.equal((await kept()).next.length, 2);

    const to = new Date(tick!.at);
    const from = new Date(to.getTime() - 3 * 3_600_000);
    const ticks = await stent.backfillSchedule("greeting", { from, to, overlap: "allow" });
    assert.equal(ticks.length, 3);
    for (const each of ticks) assert.equal(await resultOf(each), "hello, ada");
    await stent.deleteSchedule("greeting");
    await assert.rejects(stent.deleteSchedule("greeting"), NotFoundError);
  },

  async cancel(stent) {
    const file = path.join(folder(), "file");
    const execution = await stent.dispatch("node.holder", [file]);
    await until("it has started", () => lines(file) === "started");
    await execution.cancel("enough");
    await until("it is told", () => lines(file) === "started cancelled");
    const record = await execution.wait();
    assert.deepEqual([record.state, record.cancelReason], ["cancelled", "enough"]);
    await assert.rejects(execution.result(), CancelledError);
  },

  async idempotent(stent) {
    const [file, other] = [path.join(folder(), "file"), path.join(folder(), "other")];
    const options = { idempotencyKey: "k" };
    const first = await stent.dispatch("node.once", [file], options);
    const second = await stent.dispatch("node.once", [file], options);
    assert.equal(first.id, second.id);
    await assert.rejects(stent.dispatch("node.once", [other], options), ConflictError);
    assert.deepEqual(await first.result(), [1, 1]);
    assert.equal(lines(file), "paid");
  },

  async counters(stent) {
    const execution = await stent.dispatch("node.ledger", [4]);
    assert.equal(await execution.result(), null);
    const { counters, stateValues, progress } = await execution.state();
    assert.deepEqual(counters, { items: 4, total: 10 });
    assert.deepEqual(stateValues, { last: { i: 4 } });
    const said = progress.map((entry) => entry.detail as { i?: number } | null).filter((detail) => detail?.i);
    assert.deepEqual(said, [{ i: 1 }, { i: 2 }, { i: 3 }, { i: 4 }]);
  },

  async bytes(stent) {
    const reversed = (bytes: string | number[]): [string, unknown[]] => ["node.reversed", [Buffer.from(bytes as string)]];
    const relay = await stent.dispatch("node.relay", [[reversed("321"), reversed([0, 255])]]);
    assert.deepEqual(await relay.result(), [Buffer.from("123"), Buffer.from([255, 0])]);
    const alone = await stent.dispatch("node.reversed", [Buffer.from('}1:"a"{')]);
    assert.deepEqual(await alone.result(), Buffer.from('{"a":1}'));
  },
};

/** Those whose worker is a process of its own. */
const BY_PROCESS: Record<string, (stent: Stent, url: string) => Promise<void>> = {
  async crash(stent, url) {
    const file = path.join(folder(), "file");
    const first = scenarioWorker(url);
    const execution = await stent.dispatch("node.marks", [file, 5]);
    await until("the third mark", () => lines(file) === "1 2 3");
    first.child.kill("SIGKILL");
    await first.ends();
    fs.writeFileSync(`${file}.go`, "");
    scenarioWorker(url);
    assert.deepEqual(await execution.result({ timeout: "30s" }), [1, 2, 3, 4, 5]);
    assert.equal(lines(file), "1 2 3 3 4 5");
  },

  async drain(stent, url) {
    const file = path.join(folder(), "file");
    const first = scenarioWorker(url);
    const execution = await stent.dispatch("node.marks", [file, 5]);
    await until("the third mark", () => lines(file) === "1 2 3");
    first.child.kill("SIGTERM");
    await first.says("draining");
    fs.writeFileSync(`${file}.go`, "");
    await first.says("stopped");
    await first.ends();
    assert.deepEqual([first.code, lines(file)], [0, "1 2 3"]);
    scenarioWorker(url);
    assert.deepEqual(await execution.result({ timeout: "30s" }), [1, 2, 3, 4, 5]);
    assert.equal(lines(file), "1 2 3 4 5");
    assert.deepEqual((await tasksOf(stent, execution)).filter((task) => task.retries !== 0), []);
  },
};

for (const store of STORES) {
  describe(store, () => {
    for (const [name, body] of Object.entries(SCENARIOS)) {
      test(name, () =>
        using(freshUrl(store), async (stent) => {
          registerAll(stent);
          await body(stent, await stent.startWorker());
        }),
      );
    }
    for (const [name, body] of Object.entries(BY_PROCESS)) {
      test(name, () => {
        const url = freshUrl(store);
        return using(url, (stent) => body(stent, url));
      });
    }
  });
}
