// Handlers that take many tasks in one call.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ApplicationError, batch, type BatchItem, CancelledError, type Context, FailedError, InvalidError, open, Snooze, type Stent } from "../src/index";
import { milliseconds } from "../src/options";
import { freshUrl, Process, type Store, STORES, until, using } from "./house";

const once = { retryPolicy: { maxAttempts: 1 } };
const patient = { timeout: "60s" };

/** Dispatches one for each argument, and gives what each came to: its result, or the failure. */
async function outcomes(stent: Stent, name: string, args: unknown[]): Promise<any[]> {
  const executions = await stent.dispatchMany(args.map((arg) => ({ function: name, args: [arg] })));
  return Promise.all(executions.map((one) => one.result(patient).catch((error: FailedError) => error.failure ?? error)));
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

const DIES = "STENT_TEST_BATCH_DIES";

/** A process that dies as it runs a batch of two. */
async function dies(url: string): Promise<void> {
  const stent = await open(url, { logger: false });
  stent.register(batch("kills", { size: 2, wait: "1h" }, () => process.kill(process.pid, "SIGKILL") as any));
  await stent.startWorker({ leaseDuration: "1s" });
}

if (process.env[DIES]) void dies(process.env[DIES]);
else for (const store of STORES) cases(store);

function cases(store: Store): void {
  const on = (name: string, body: (stent: Stent, url: string) => Promise<void>) =>
    test(name, () => {
      const url = freshUrl(store);
      return using(url, (stent) => body(stent, url));
    });

  describe(store, () => {
    on("what may have killed its worker is a batch of its own, at once", async (stent, url) => {
      const executions = await stent.dispatchMany([1, 2].map((arg) => ({ function: "kills", args: [arg] })));
      const killed = new Process(process.execPath, [__filename], { [DIES]: url });
      await killed.ends();
      assert.equal(killed.signal, "SIGKILL", killed.said);
      const seen: unknown[] = [];
      stent.register(
        batch("kills", { size: 9, wait: "1h" }, (items: BatchItem<[number]>[]) => {
          seen.push(items.map(({ info }) => [info.attempt, info.apart]));
          return items.map(({ args }) => args[0]);
        }),
      );
      await stent.startWorker({ maxConcurrency: 20 });
      assert.deepEqual(await Promise.all(executions.map((one) => one.result(patient))), [1, 2]);
      assert.deepEqual(seen, [[[2, true]], [[2, true]]]);
    });

    on("each task has an outcome of its own", async (stent) => {
      const calls: number[] = [];
      const options = { size: 8, wait: "1h", retryPolicy: { maxAttempts: 2, initialDelay: 0 } };
      stent.register(
        batch("mixed", options, async (items: BatchItem<[what: string]>[]) => {
          calls.push(items.length);
          if (items.length === 1) return [`${items[0].args[0]} again`];
          return items.map(({ args: [what], info }) => {
            if (what === "final") return new ApplicationError("Refused", "never", { retryable: false });
            if (what === "undefined") return undefined;
            if (what === "promise") return Promise.resolve("kept");
            if (what === "rejects") return Promise.reject(new ApplicationError("Broken", "too", { retryable: false }));
            if (what === "NaN") return NaN;
            return `${what} ${info.attempt} ${info.function}`;
          });
        }),
      );
      await stent.startWorker({ maxConcurrency: 32 });
      const [a, final, nothing, promise, rejects, nan, b, c] = await outcomes(stent, "mixed", [
        "a", "final", "undefined", "promise", "rejects", "NaN", "b", "c",
      ]);
      assert.deepEqual([a, nothing, promise, b, c], ["a 1 mixed", null, "kept", "b 1 mixed", "c 1 mixed"]);
      assert.deepEqual([final.type, rejects.type, nan.type], ["Refused", "Broken", "INVALID"]);
      // It was full: it waits for an hour else.
      assert.deepEqual(calls, [8]);
    });

    on("one that failed is tried again, and one that was put off comes back", async (stent) => {
      const seen: string[] = [];
      const options = { wait: "20ms", retryPolicy: { maxAttempts: 2, initialDelay: 0 } };
      stent.register(
        batch("again", options, (items: BatchItem<[what: string]>[]) =>
          items.map((item) => {
            const { args: [what], info } = item;
            seen.push(`${what} ${info.attempt} ${info.snoozes} ${info.heartbeat}`);
            item.heartbeat(info.attempt);
            if (what === "fails" && info.attempt === 1) return new Error("once");
            if (what === "later" && info.snoozes === 0) return new Snooze("10ms");
            return what;
          }),
        ),
      );
      await stent.startWorker();
      assert.deepEqual(await outcomes(stent, "again", ["fails", "later", "good"]), ["fails", "later", "good"]);
      assert.deepEqual(seen.sort(), ["fails 1 0 null", "fails 2 0 1", "good 1 0 null", "later 1 0 null", "later 1 1 1"]);
    });

    on("what the call throws counts for each, and so does an answer of another length", async (stent) => {
      const wrong = { ...once, size: 3, wait: "1h" };
      stent.register(
        batch("throws", wrong, () => {
          throw new ApplicationError("Down", "the database", { code: "57P03" });
        }),
        batch("rejects", wrong, async () => Promise.reject(new TypeError("no"))),
        batch("short", wrong, (items) => [Promise.reject(new Error("nobody asks")), ...items.slice(2)]),
        batch("none", wrong, (() => undefined) as any),
      );
      await stent.startWorker();
      for (const [name, type, message] of [
        ["throws", "Down", "the database"],
        ["rejects", "TypeError", "no"],
        ["short", "INVALID", "the handler of 'short' answered 2 outcomes for 3 tasks; there must be one for each"],
        ["none", "INVALID", "the handler of 'none' answered undefined; it must be an array with an outcome for each task"],
      ]) {
        const failures = await outcomes(stent, name, [1, 2, 3]);
        assert.deepEqual(failures.map((one) => [one.type, one.message]), Array(3).fill([type, message]));
      }
    });

    on("without a wait it takes what is there", async (stent) => {
      const calls: number[] = [];
      stent.register(
        batch("store", {}, (items: BatchItem<[n: number]>[]) => {
          calls.push(items.length);
          return items.map(({ args: [n] }) => n);
        }),
      );
      const all = outcomes(stent, "store", numbers(50));
      await until("all are there", async () => (await stent.list({ limit: 100 })).length === 50);
      await stent.startWorker({ maxConcurrency: 50, prefetch: 0 });
      assert.deepEqual(await all, numbers(50));
      assert.ok(calls.length < 50, `${calls.length} calls for 50 tasks`);
    });

    on("one that waits begins when its time is up, and when no slot is left", async (stent) => {
      const calls: string[] = [];
      const called = (name: string) => (items: BatchItem[]) => {
        calls.push(`${name} ${items.length}`);
        return items.map(() => null);
      };
      stent.register(batch("timed", { wait: "30ms" }, called("timed")), batch("slots", { wait: "1h" }, called("slots")));
      await stent.startWorker({ maxConcurrency: 4 });
      assert.deepEqual(await outcomes(stent, "timed", [1]), [null]);
      assert.deepEqual(await outcomes(stent, "slots", [1, 2, 3, 4]), Array(4).fill(null));
      assert.deepEqual(calls, ["timed 1", "slots 4"]);
    });

    on("one that waits begins when a workflow that goes on has taken the last slot", async (stent) => {
      let goOn = () => {};
      const gate = new Promise<void>((resolve) => (goOn = resolve));
      stent.register(batch("slots", { wait: "1h" }, (items) => items.map(() => null)));
      stent.register("workflow", async (ctx: Context) => {
        await ctx.waitSignal("go");
        await ctx.step("long", () => gate);
      });
      const worker = await stent.startWorker({ maxConcurrency: 2 });
      const workflow = await stent.dispatch("workflow");
      await until("it waits", async () => worker.status().coroutines === 1 && worker.status().running === 0);
      const gathered = await stent.dispatch("slots");
      await until("it is gathered", () => worker.status().running === 1);
      await workflow.signal("go");
      assert.equal(await gathered.result(patient), null);
      goOn();
      await workflow.result(patient);
    });

    on("one that was cancelled while it waited does not come, and one that runs is told", async (stent) => {
      const seen: number[][] = [];
      const told: unknown[] = [];
      stent.register(
        batch("waits", { ...once, size: 2, wait: "1h" }, async (items: BatchItem<[n: number]>[]) => {
          seen.push(items.map(({ args: [n] }) => n));
          const { signal } = items[0];
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          told.push(signal.reason);
          return items.map(() => "done");
        }),
      );
      const worker = await stent.startWorker();
      const first = await stent.dispatch("waits", [1]);
      await until("it is gathered", () => worker.status().running === 1);
      await first.cancel();
      await until("its slot is free", () => worker.status().running === 0);
      const others = await stent.dispatchMany([2, 3].map((n) => ({ function: "waits", args: [n] })));
      await until("they run", () => seen.length === 1);
      const [cancelled, other] = seen[0][0] === 2 ? others : [...others].reverse();
      await cancelled.cancel();
      assert.equal(await other.result(patient), "done");
      assert.ok(told[0] instanceof CancelledError);
      assert.deepEqual(seen.map((ns) => ns.sort()), [[2, 3]]);
    });

    on("a worker that drains begins what is gathered", async (stent) => {
      stent.register(batch("waits", { wait: "1h" }, (items: BatchItem<[n: number]>[]) => items.map(({ args: [n] }) => n)));
      const worker = await stent.startWorker();
      const execution = await stent.dispatch("waits", [7]);
      await until("it is gathered", () => worker.status().running === 1);
      await worker.stop("30s");
      assert.equal(await execution.result(patient), 7);
    });
  });
}

if (!process.env[DIES])
  test("options are looked at when it is defined, and batches larger than a worker are told of", async () => {
  const none = (items: unknown[]) => items;
  for (const size of [0, 1.5, 10_001, "5", null]) {
    assert.throws(() => batch("bad", { size } as any, none), (error) => error instanceof InvalidError && /'bad': size is/.test(error.message));
  }
  for (const wait of [-1, "2h", "soon", "", NaN, null]) {
    assert.throws(() => batch("bad", { wait } as any, none), /'bad': wait is .* at most an hour/);
  }
  assert.throws(() => batch("bad", {}, undefined as any), /handler of 'bad'/);
  assert.throws(() => batch("bad", none as any, none), /options of 'bad'/);
  const read = [1.5, "90", "250ms", "1h30m", " 1.5s "].map(milliseconds);
  assert.deepEqual(read, [1_500, 90_000, 250, 5_400_000, 1_500]);
  const warned: string[] = [];
  const log = { debug() {}, info() {}, error() {}, warn: (text: string) => warned.push(text) };
  await using stent = await open(":memory:", { logger: log });
  assert.throws(() => stent.register(batch("bad", { sise: 5 } as any, none)), /sise/);
  stent.register(batch("large", { size: 50 }, none));
  await stent.startWorker({ maxConcurrency: 8 });
  assert.deepEqual(warned, [
    "'large' takes up to 50 tasks at once, and this worker has 8 slots: its batches are no larger; a larger maxConcurrency makes them so",
  ]);
});
