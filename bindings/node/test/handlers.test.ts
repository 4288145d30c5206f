// What handlers may do, and what becomes of them.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { describe, test } from "node:test";
import {
  ApplicationError,
  CancelledError,
  ConflictError,
  type Context,
  FailedError,
  type Handler,
  InvalidError,
  LeaseLostError,
  NotFoundError,
  open,
  type Stent,
  TimeoutError,
} from "../src/index";
import { freshUrl, STORES, until, using } from "./house";

const once = { retryPolicy: { maxAttempts: 1 } };

/** Registers, starts a worker, dispatches, and gives the result. */
async function run(stent: Stent, handler: Handler, args: unknown[] = [], workers = {}): Promise<unknown> {
  stent.register("main", once, handler);
  stent.register("echo", (_, value) => value);
  await stent.startWorker(workers);
  return (await stent.dispatch("main", args)).result({ timeout: "60s" });
}

const failure = async (stent: Stent, handler: Handler) => {
  const error = await run(stent, handler).then(
    () => assert.fail("it did not fail"),
    (error) => error,
  );
  assert.ok(error instanceof FailedError, String(error));
  return error.failure;
};

for (const store of STORES) {
  const on = (name: string, body: (stent: Stent) => Promise<void>) => test(name, () => using(freshUrl(store), body));

  describe(store, () => {
    on("arguments, kwargs and results are JSON, undefined is null", async (stent) => {
      stent.register("nothing", () => undefined);
      const result = await run(
        stent,
        async (context: Context, a, b) => [a, b, context.kwargs, await context.call("nothing")],
        [1, { deep: ["ü", null] }],
      );
      assert.deepEqual(result, [1, { deep: ["ü", null] }, {}, null]);
    });

    on("a step is run once, and its failure is what every run gets", async (stent) => {
      let ran = 0;
      const result = await run(stent, async (context: Context) => {
        const first = await context.step("slow", async () => {
          ran++;
          await delay(30);
          return { ran };
        });
        const second = await context.step("bad", () => Promise.reject(new TypeError("no"))).catch((error) => error);
        return [first, second.failure.type, second instanceof FailedError];
      });
      assert.deepEqual(result, [{ ran: 1 }, "TypeError", true]);
      assert.equal(ran, 1);
    });

    on("a step races with a sleep, and what arrives first is seen first", async (stent) => {
      const result = await run(stent, async (context: Context) => {
        const seen: string[] = [];
        // It ends when all else has.
        let end = () => {};
        const others = new Promise<void>((resolve) => (end = resolve));
        const step = context.step("slow", () => others).then(() => seen.push("step"));
        const sleep = context.sleep("20ms").then(() => seen.push("sleep"));
        const call = context.call("echo", [1]).then(async () => {
          seen.push("call");
          await context.call("echo", [2]);
          seen.push("second call");
        });
        await Promise.all([sleep, call]);
        end();
        await step;
        return seen;
      });
      assert.equal((result as string[]).at(-1), "step");
      assert.equal((result as string[]).length, 4);
    });

    on("map wakes once, and fails as the first that failed", async (stent) => {
      stent.register("odd", once, (_, n) => {
        if (n % 2 === 0) throw new ApplicationError("Even", `${n} is even`, { retryable: false });
        return n;
      });
      const result = await run(stent, async (context: Context) => {
        const good = await context.map<number>("odd", [[1], [3], [5]]);
        const bad = await context.map("odd", [[7], [8]], { key: "mine" }).catch((error) => error.failure.type);
        return [good, bad, await context.map("odd", [])];
      });
      assert.deepEqual(result, [[1, 3, 5], "Even", []]);
    });

    on("values that are the same in every run", async (stent) => {
      const result = (await run(stent, async (context: Context) => {
        const before = [context.timestamp(), context.random(), context.uuid()];
        await context.sleep("10ms");
        return [...before, context.now().getTime() > Date.parse(before[0] as string)];
      })) as [string, number, string, boolean];
      assert.ok(result[1] >= 0 && result[1] < 1 && result[3]);
      assert.match(result[2], /^[0-9a-f-]{36}$/);
    });

    on("a signal that does not come in time", async (stent) => {
      const result = await run(stent, (context: Context) =>
        context.waitSignal("never", { timeout: "20ms" }).catch((error) => error.failure.type),
      );
      assert.equal(result, "SignalTimeout");
    });

    on("continueAs starts over with new arguments", async (stent) => {
      const result = await run(
        stent,
        async (context: Context, n: number) => {
          await context.call("echo", [n]);
          return n < 3 ? context.continueAs(n + 1) : { n, run: context.info.run };
        },
        [0],
      );
      assert.deepEqual(result, { n: 3, run: 3 });
    });

    on("with one place for waiting workflows they are replayed, and come to the same", async (stent) => {
      let begun = 0;
      stent.register("saga", async (context: Context) => {
        begun++;
        const first = await context.call<number>("echo", [1]);
        const [second, third] = await Promise.all([context.call("echo", [2]), context.sleep("30ms")]);
        const step = await context.step("s", () => "stepped");
        return [first, second, third, step, context.uuid()];
      });
      stent.register("echo", (_, value) => value);
      await stent.startWorker({ maxCoroutines: 1 });
      const sagas = await Promise.all(Array.from({ length: 20 }, () => stent.dispatch<unknown[]>("saga")));
      for (const saga of sagas) {
        const result = await saga.result({ timeout: "60s" });
        assert.deepEqual(result.slice(0, 4), [1, 2, null, "stepped"]);
      }
      assert.ok(begun > sagas.length, `${begun} runs of ${sagas.length} workflows: none was replayed`);
    });

    on("a task that is taken away by a time-out is told, and its end is refused", async (stent) => {
      let told: unknown;
      stent.register("slow", { ...once, timeout: "2s" }, async (context: Context) => {
        await delay(10_000, null, { signal: context.signal }).catch(() => {});
        told = context.signal.reason;
        return "too late";
      });
      await stent.startWorker();
      const error: any = await (await stent.dispatch("slow")).result().catch((error) => error);
      assert.equal(error.failure?.type, "Timeout");
      await until("it is told", () => told instanceof LeaseLostError);
    });

    on("a workflow that waits runs its catch and finally when it is cancelled", async (stent) => {
      const said: unknown[] = [];
      stent.register("waits", async (context: Context) => {
        try {
          await Promise.all([context.waitSignal("never"), context.sleep("1h")]);
        } catch (error) {
          said.push(error instanceof CancelledError, context.signal.aborted);
          throw error;
        } finally {
          said.push("finally");
        }
      });
      const worker = await stent.startWorker();
      const execution = await stent.dispatch("waits");
      await until("it waits", async () => {
        const tasks = await stent.backendCall<{ state: string }[]>("list_tasks_for_execution", { execution_id: execution.id });
        return tasks[0]?.state === "waiting" && worker.status().running === 0;
      });
      await execution.cancel("enough");
      assert.equal((await execution.wait({ timeout: "60s" })).state, "cancelled");
      await until("it is told", () => said.includes("finally"));
      assert.deepEqual(said, [true, true, "finally"]);
      await until("it is forgotten", () => worker.status().coroutines === 0);
    });

    // With no coroutine in memory it waits as rows, as after a crash.
    for (const maxCoroutines of [0, 100]) {
      on(`a cancelled workflow cleans up, with ${maxCoroutines} coroutines`, async (stent) => {
        const said: unknown[] = [];
        stent.register("refund", (_: Context, what) => {
          said.push(what);
          return what;
        });
        stent.register("order", { cleanup: "5m" }, async (context: Context) => {
          try {
            await Promise.all([context.waitSignal("never"), context.sleep("1h")]);
          } catch (error) {
            said.push(error instanceof CancelledError, context.info.cleanup, context.signal.aborted);
            throw error;
          } finally {
            await context.call("refund", ["money"]);
            await context.sleep("50ms");
            said.push("finally");
          }
        });
        const worker = await stent.startWorker({ maxCoroutines });
        const execution = await stent.dispatch("order");
        await until("it waits", async () => {
          const tasks = await stent.backendCall<{ state: string }[]>("list_tasks_for_execution", { execution_id: execution.id });
          return tasks[0]?.state === "waiting" && worker.status().running === 0;
        });
        await execution.cancel("enough");
        assert.equal((await execution.wait({ timeout: "60s" })).state, "cancelled");
        const once = said.filter((word) => typeof word === "string");
        assert.deepEqual(once, ["money", "finally"]);
        assert.deepEqual(said.slice(0, 3), [true, true, false]);
      });
    }

    on("questions to the store are promises with errors as classes", async (stent) => {
      const nobody = stent.execution("00000000-0000-4000-8000-000000000000");
      await assert.rejects(nobody.state(), NotFoundError);
      await assert.rejects(stent.dispatch(""), InvalidError);
      await assert.rejects(stent.dispatch("f", [], { nonsense: 1 } as object), /nonsense/);
      assert.throws(() => stent.register("f", { nonsense: 1 } as object, () => null), InvalidError);
      const waiting = await stent.dispatch("nobody has it");
      await assert.rejects(waiting.result({ timeout: 0.01 }), TimeoutError);
      const aborts = new AbortController();
      const result = waiting.result({ signal: aborts.signal });
      aborts.abort(new Error("enough"));
      await assert.rejects(result, /enough/);
      await waiting.cancel();
      await assert.rejects(waiting.result(), CancelledError);
      assert.equal((await stent.list({ state: "cancelled" })).length, 1);
      assert.match(await stent.stats({ format: "prometheus" }), /stent_executions/);
    });

    on("a queue that is paused waits", async (stent) => {
      stent.register("echo", (_, what) => what);
      await stent.startWorker();
      await stent.pause({ queue: "mail", reason: "the relay is down" });
      const waits = await stent.dispatch("echo", ["here"], { queue: "mail" });
      assert.equal(await (await stent.dispatch("echo", ["there"])).result(), "there");
      await assert.rejects(waits.wait({ timeout: 0 }), /the queue 'mail' is paused since/);
      const [pause] = await stent.pauses();
      assert.deepEqual([pause.queue, pause.function, pause.reason, pause.running], ["mail", null, "the relay is down", 0]);
      await stent.unpause({ queue: "mail" });
      assert.equal(await waits.result(), "here");
      await assert.rejects(stent.unpause({ queue: "mail" }), NotFoundError);
      assert.deepEqual(await stent.pauses(), []);
    });

    on("one of a unique key starts", async (stent) => {
      let free = () => {};
      const freed = new Promise<void>((resolve) => (free = resolve));
      stent.register("imports", async (_, number: number) => {
        await freed;
        return number;
      });
      await stent.startWorker();
      const first = await stent.dispatch("imports", [1], { uniqueKey: "nightly" });
      assert.equal((await stent.dispatch("imports", [2], { uniqueKey: "nightly" })).id, first.id);
      const refused = stent.dispatch("imports", [3], { uniqueKey: "nightly", uniqueExisting: "refuse" });
      await assert.rejects(refused, new RegExp(`is taken by execution ${first.id}, which is not over`));
      free();
      assert.equal(await first.result(), 1);
      assert.equal((await stent.dispatch("imports", [4], { uniqueKey: "nightly", uniqueFor: "1h" })).id, first.id);
      const second = await stent.dispatch("imports", [5], { uniqueKey: "nightly" });
      assert.notEqual(second.id, first.id);
      assert.equal(await second.result(), 5);
    });

    on("one of a key runs after the other", async (stent) => {
      const begun: string[] = [];
      let free = () => {};
      const freed = new Promise<void>((resolve) => (free = resolve));
      stent.register("imports", { maxConcurrentPerKey: 1 }, async (_, customer: string, number: number) => {
        begun.push(`${customer}${number}`);
        await freed;
        return number;
      });
      await stent.startWorker();
      const first = await stent.dispatch("imports", ["ada", 1], { concurrencyKey: "ada" });
      const second = await stent.dispatch("imports", ["ada", 2], { concurrencyKey: "ada" });
      const other = await stent.dispatch("imports", ["bob", 1], { concurrencyKey: "bob" });
      await until("both keys run", () => begun.length === 2);
      assert.deepEqual([...begun].sort(), ["ada1", "bob1"]);
      await assert.rejects(second.wait({ timeout: 0 }), /'imports' waits for a slot of the key 'ada': 1 of 1 are held/);
      free();
      assert.deepEqual([await first.result(), await second.result(), await other.result()], [1, 2, 1]);
    });

    on("a key starts no more often than its rate says", async (stent) => {
      const begun: string[] = [];
      stent.register("imports", { ratePerKey: { limit: 1, period: "10m", burst: 2 } }, (_, customer: string) => {
        begun.push(customer);
        return customer;
      });
      await stent.startWorker();
      const two = await stent.dispatchMany([
        { function: "imports", args: ["ada"], options: { concurrencyKey: "ada" } },
        { function: "imports", args: ["ada"], options: { concurrencyKey: "ada" } },
        { function: "imports", args: ["bob"], options: { concurrencyKey: "bob" } },
      ]);
      assert.deepEqual(await Promise.all(two.map((one) => one.result())), ["ada", "ada", "bob"]);
      const third = await stent.dispatch("imports", ["ada"], { concurrencyKey: "ada" });
      await assert.rejects(third.wait({ timeout: 0.2 }), /'imports' waits for a token of the key 'ada': the next comes at 2/);
      assert.deepEqual(begun.sort(), ["ada", "ada", "bob"]);
      assert.throws(
        () => stent.register("wrong", { rate: { limits: 1 } as object }, () => 1),
        /there is no option "limits"; did you mean "limit"/,
      );
      await third.cancel();
    });

    on("a queue starts no more often than its rate says", async (stent) => {
      for (const name of ["letter", "reminder"]) stent.register(name, { queue: "mail" }, (_, customer: string) => customer);
      await stent.startWorker({ queueRates: { mail: { limit: 1, period: "10m", burst: 2 } } });
      const two = await stent.dispatchMany(["letter", "reminder"].map((name) => ({ function: name, args: ["ada"] })));
      assert.deepEqual(await Promise.all(two.map((one) => one.result())), ["ada", "ada"]);
      const third = await stent.dispatch("letter", ["ada"]);
      await assert.rejects(third.wait({ timeout: 0.2 }), /'letter' waits for a token of the queue 'mail': the next comes at 2/);
      await assert.rejects(
        stent.startWorker({ queueRates: { mail: { limits: 1 } as object } }),
        /there is no option "limits"; did you mean "limit"/,
      );
      await stent.startWorker({ queueRates: { mail: null } });
      assert.equal(await third.result(), "ada");
    });

    on("schedules are declared", async (stent) => {
      stent.register("hello", (_, name) => `hello, ${name}`);
      const hourly = { name: "hourly", function: "hello", args: ["ada"], cron: "0 * * * *", timeZone: "Europe/Berlin" };
      stent.declareSchedules("billing", [hourly], { removeOthers: true });
      await stent.startWorker();
      const [tick] = await stent.triggerSchedule("hourly");
      assert.equal(await stent.execution(tick!.executionId!).result(), "hello, ada");
    });

    on("dead letters are listed, replayed and discarded", async (stent) => {
      let broken = true;
      stent.register("fragile", once, () => {
        if (broken) throw new Error("broken");
        return "repaired";
      });
      await stent.startWorker();
      await (await stent.dispatch("fragile")).wait();
      const [letter] = await stent.deadLetters({ function: "fragile" });
      broken = false;
      const replayed = await stent.replayDeadLetter(letter.task.id as string);
      assert.equal(await replayed.result(), "repaired");
      await assert.rejects(stent.discardDeadLetter(letter.task.id as string), NotFoundError);
      assert.equal((await stent.cleanup({ olderThan: "1d" })).executions, 0);
    });
  });
}

const onSqlite = (name: string, body: (stent: Stent) => Promise<void>) => test(name, () => using(freshUrl("sqlite"), body));

onSqlite("what is thrown fails the task with its type, message and stack, and the host lives", async (stent) => {
  class Custom extends Error {
    override name = "Custom";
    code = "E_CUSTOM";
    details = { a: 1 };
  }
  const thrown: [string, unknown, string][] = [
    ["sync", new Custom("one"), "Custom"],
    ["text", "just text", "Error"],
    ["uncarried", Object.assign(new Error("three"), { details: () => 1 }), "Error"],
  ];
  for (const [name, value] of thrown) {
    stent.register(name, once, () => {
      throw value;
    });
  }
  stent.register("rejects", once, async () => Promise.reject(new RangeError("four")));
  stent.register("unspeakable", once, () => () => 5);
  await stent.startWorker();
  const failed = async (name: string) => {
    const error = await (await stent.dispatch(name)).result().catch((error) => error);
    assert.ok(error instanceof FailedError, String(error));
    return error.failure;
  };
  for (const [name, , type] of thrown) assert.equal((await failed(name)).type, type);
  assert.deepEqual((await failed("uncarried")).details, { notCarried: "details is a function" });
  const custom = await failed("sync");
  assert.deepEqual([custom.message, custom.code, custom.details], ["one", "E_CUSTOM", { a: 1 }]);
  assert.match(custom.stack!, /handlers\.test/);
  assert.deepEqual([(await failed("rejects")).type, (await failed("unspeakable")).type], ["RangeError", "INVALID"]);
});

onSqlite("an error text that was cut in the middle of an emoji is told", async (stent) => {
  const failed = await failure(stent, () => {
    throw Object.assign(new Error("no \u{1f600}".slice(0, -1)), { details: { cut: "\ud83d" } });
  });
  assert.deepEqual([failed.type, failed.message], ["Error", "no \ufffd"]);
});

onSqlite("a durable operation out of turn is an error that says what to do", async (stent) => {
  const told = await failure(stent, async (context: Context) => {
    // While it waits, the task may be nobody's: its end comes with what it waits for.
    const sleep = context.sleep("2s");
    await delay(50);
    await context.call("echo", [1]);
    return sleep;
  });
  assert.equal(told.type, "NONDETERMINISM");
  assert.match(told.message, /context|step/);
});

onSqlite("the loser of a race is nobody's unhandled rejection", async (stent) => {
  stent.register("fails", once, () => {
    throw new ApplicationError("Late", "late", { retryable: false });
  });
  const result = await run(stent, async (context: Context) => {
    context.call("fails");
    await context.sleep("50ms");
    return "calm";
  });
  assert.equal(result, "calm");
});

test("a store is checked beside the loop", async () => {
  await using(":memory:", async (stent) => {
    let rounds = 0;
    const timer = setInterval(() => rounds++, 1);
    const report = await stent.check({ only: ["records/an_existing_id", "fences/"], timeout: "30s" });
    clearInterval(timer);
    assert.ok(rounds > 0);
    assert.deepEqual([report.level, report.failed, report.notOffered], ["engine", 0, 0]);
    assert.equal(report.passed, report.cases.length);
    assert.equal(report.cases[0].name, "records/an_existing_id_is_a_conflict");
    for (const each of report.cases) assert.equal(each.outcome, "passed", each.name);
    await assert.rejects(stent.check({ only: ["nonsense"] }), InvalidError);
  });
});

test("a store in use is copied", async () => {
  const copy = `${freshUrl("sqlite")}-copy`;
  await using(freshUrl("sqlite"), async (stent) => {
    const id = await stent.dispatch("nobody", [7]).then((execution) => execution.id);
    await stent.backup(copy);
    await assert.rejects(stent.backup(copy), ConflictError);
    await using(copy, async (copied) => {
      assert.equal((await copied.execution(id).state()).state, "pending");
    });
  });
});

test("what could not be opened leaves nothing open", async () => {
  const url = freshUrl("sqlite");
  await assert.rejects(open(url, { busyTimeout: "soon" }), InvalidError);
  const descriptors = () => fs.readdirSync("/proc/self/fd").map((name) => {
    // The one of the folder itself is gone by now.
    try {
      return fs.readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      return "";
    }
  });
  await until("the file is closed", () => !descriptors().some((file) => file.startsWith(url)));
});
