// Values: what comes back as what it was, and what is refused where it is written, for good.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as vm from "node:vm";
import { ApplicationError, type Codec, type Context, FailedError, InvalidError, NativeCodec, open, type Stent } from "../src/index";
import { freshUrl, STORES, using } from "./house";

const DATE = new Date("2026-11-28T08:00:00.123Z");
const VALUES: unknown[] = [
  DATE,
  new Map<unknown, unknown>([["a", 1], [{ deep: DATE }, new Set([1n])]]),
  new Set(["x", Buffer.from([0, 255])]),
  12345678901234567890n,
  { $js: ["date", "mine"] },
  { $js: 5, more: DATE },
  [{ $js: { $js: ["set", []] } }],
  JSON.parse('{"__proto__": {"a": 1}, "at": 1}'),
];

class Money {
  constructor(
    readonly cents: number,
    readonly currency: string,
  ) {}
}
class Unknown {
  readonly field = 1;
}

const cyclic: { self?: unknown } = {};
cyclic.self = cyclic;

/** What can't be carried, and a part of what is said. */
const REFUSED: [unknown, RegExp][] = [
  [NaN, / is NaN, which JSON can't say/],
  [[1, { deep: [Infinity] }], /\[1\]\.deep\[0\] is Infinity/],
  [{ list: [1, undefined] }, /list\[1\] is undefined, which would come back as null/],
  // eslint-disable-next-line no-sparse-arrays
  [[1, , 3], /\[1\] is undefined/],
  [{ on: () => 1 }, /on is a function/],
  [{ of: Symbol("s") }, /of is a symbol/],
  [{ later: Promise.resolve(1) }, /later is a promise: await it first/],
  [{ item: new Unknown() }, /item is an instance of Unknown, which the codec does not know: register it/],
  [new Error("no"), /is an instance of Error/],
  [{ when: new Date(NaN) }, /when is a date without a time/],
  [cyclic, /self holds itself/],
  [new Map([["a", [NaN]]]), /is NaN/],
];

const impatient = { retryPolicy: { maxAttempts: 3, initialDelay: "1ms" } };

const failed = async (stent: Stent, name: string, args: unknown[] = []) => {
  const error = await (await stent.dispatch(name, args)).result({ timeout: "60s" }).catch((error) => error);
  assert.ok(error instanceof FailedError, String(error));
  return error.failure;
};

for (const store of STORES) {
  describe(store, () => {
    test("what JavaScript has comes back as what it was, from everywhere", () =>
      using(freshUrl(store), async (stent) => {
        stent.register("echo", (_, value) => value);
        stent.register("says", async (context: Context, value) => {
          context.setState("said", value);
          context.progress(value);
          const step = await context.step("step", () => value);
          const [mapped] = await context.map("echo", [[value]]);
          return [await context.call("echo", [value]), step, mapped, await context.waitSignal("go"), context.kwargs];
        });
        stent.register("again", async (context: Context, value, run = 1) => {
          return run === 1 ? context.continueAs(value, 2) : value;
        });
        stent.register("throws", { retryPolicy: { maxAttempts: 1 } }, (_, details) => {
          throw new ApplicationError("Told", "with details", { details });
        });
        await stent.startWorker();
        for (const value of VALUES) {
          const execution = await stent.dispatch("says", [value], { kwargs: { value } });
          await execution.signal("go", value);
          assert.deepEqual(await execution.result({ timeout: "60s" }), [value, value, value, value, { value }]);
          const state = await execution.state();
          assert.deepEqual([state.args, state.kwargs, state.stateValues], [[value], { value }, { said: value }]);
          assert.ok(state.progress.length > 0);
        }
        assert.deepEqual(await (await stent.dispatch("again", [DATE])).result(), DATE);
        assert.deepEqual((await failed(stent, "throws", [VALUES[1]])).details, VALUES[1]);
        const [letter] = await stent.deadLetters({ function: "throws" });
        assert.deepEqual(letter.task.args, [VALUES[1]]);
      }));

    test("what can't be carried is final, and is said where it is written", () =>
      using(freshUrl(store), async (stent) => {
        let runs = 0;
        const bad = REFUSED[1][0];
        const writes: Record<string, (context: Context) => unknown> = {
          "the result of 'result'": () => bad,
          "the arguments of 'echo'[0]": (context) => context.call("echo", [bad]),
          "kwargs.a": (context) => context.call("echo", [], { kwargs: { a: bad } }),
          "the state 's'": (context) => context.setState("s", bad),
          "the progress": (context) => context.progress(bad),
          "the heartbeat": (context) => context.heartbeat(bad),
          "the result of the step 's'": (context) => context.step("s", () => bad),
        };
        for (const [place, write] of Object.entries(writes)) {
          const name = place.includes("'result'") ? "result" : place;
          stent.register(name, impatient, (context) => {
            runs++;
            return write(context);
          });
        }
        stent.register("echo", (_, value) => value);
        await stent.startWorker();
        for (const place of Object.keys(writes)) {
          runs = 0;
          const failure = await failed(stent, place.includes("'result'") ? "result" : place);
          assert.ok(failure.message.startsWith(`${place}: [1].deep[0] is Infinity`), failure.message);
          assert.deepEqual([failure.type, failure.retryable, runs], ["INVALID", false, 1], place);
        }
      }));
  });
}

test("each of what can't be carried is refused before it is sent", async () => {
  await using(":memory:", async (stent) => {
    for (const [value, words] of REFUSED) {
      await assert.rejects(stent.dispatch("nobody", [value]), (error) => error instanceof InvalidError && words.test(error.message));
    }
    const execution = await stent.dispatch("nobody", []);
    await assert.rejects(execution.signal("s", [NaN]), /the signal 's': \[0\] is NaN/);
    assert.deepEqual((await stent.list()).map((one) => one.id), [execution.id]);
  });
});

test("undefined: a member is left away, and so are the last arguments, so that defaults are taken", async () => {
  await using(":memory:", async (stent) => {
    stent.register("defaults", (_, a = "a", b = "b") => [a, b]);
    stent.register("echo", (_, value) => value);
    await stent.startWorker();
    assert.deepEqual(await (await stent.dispatch("defaults", ["x", undefined])).result(), ["x", "b"]);
    assert.deepEqual(await (await stent.dispatch("defaults", [undefined])).result(), ["a", "b"]);
    assert.deepEqual(await (await stent.dispatch("echo", [{ note: undefined, n: 1 }])).result(), { n: 1 });
  });
});

test("objects of another realm are as good as ours", async () => {
  await using(":memory:", async (stent) => {
    stent.register("echo", (_, value) => value);
    await stent.startWorker();
    const value = vm.runInNewContext('({ when: new Date(0), all: new Set([1]), list: [{ a: 1 }] })');
    const execution = await stent.dispatch("echo", [value]);
    assert.deepEqual(await execution.result(), { when: new Date(0), all: new Set([1]), list: [{ a: 1 }] });
  });
});

test("a class that is registered comes back as what it was, and one that is not says so", async () => {
  const codec = new NativeCodec().register(Money, {
    write: ({ cents, currency }) => [cents, currency] as const,
    read: ([cents, currency]) => new Money(cents, currency),
  });
  assert.throws(() => codec.register(Unknown, { name: "date", write: () => 1, read: () => new Unknown() }), /'date' is taken/);
  const url = freshUrl("sqlite");
  const stent = await open(url, { codec, logger: false });
  try {
    stent.register("double", (_, money: Money) => new Money(money.cents * 2, money.currency));
    await stent.startWorker();
    const execution = await stent.dispatch("double", [new Money(21, "EUR")]);
    assert.deepEqual(await execution.result(), new Money(42, "EUR"));
    await using(url, async (other) => {
      await assert.rejects(other.execution(execution.id).result(), /the result of 'an execution' can't be read: no class 'Money' is registered/);
      const carried = { $js: ["Money", [42, "EUR"]] };
      assert.deepEqual((await other.execution(execution.id).state()).result, carried);
    });
  } finally {
    await stent.close();
  }
});

test("a codec of one's own writes and reads everything", async () => {
  // As one that encrypts would: what is carried is a text that only it can read.
  const secret: Codec = {
    write: (value, place) => {
      if (value === "unspeakable") throw new RangeError(`not this one (${place})`);
      return { sealed: Buffer.from(JSON.stringify(value)).toString("hex") };
    },
    read: (carried) => JSON.parse(Buffer.from((carried as { sealed: string }).sealed, "hex").toString()),
  };
  const stent = await open(freshUrl("sqlite"), { codec: secret, logger: false });
  try {
    stent.register("echo", (_, value) => value);
    stent.register("throws", { retryPolicy: { maxAttempts: 1 } }, () => {
      throw new ApplicationError("Told", "m", { details: { card: "42" } });
    });
    stent.register("nothing", () => undefined);
    stent.register("says", impatient, async (context: Context, value) => {
      context.setState("s", value);
      await context.sleep("1ms");
      const caught = await context.call("throws").catch((error) => error.failure.details);
      const all = await context.map("echo", [[value], ["b"]]);
      return [all, caught, await context.step("x", () => 5), await context.waitSignal("go"), context.kwargs.k];
    });
    await stent.startWorker({ maxCoroutines: 0 });
    const execution = await stent.dispatch("says", ["a"], { kwargs: { k: 7 } });
    await execution.signal("go", "gone");
    assert.deepEqual(await execution.result({ timeout: "60s" }), [["a", "b"], { card: "42" }, 5, "gone", 7]);
    assert.deepEqual((await execution.state()).stateValues, { s: "a" });
    const tasks = JSON.stringify(await stent.backendCall("list_tasks_for_execution", { execution_id: execution.id }));
    assert.ok(tasks.includes("sealed") && !tasks.includes('"gone"') && !tasks.includes('"42"'), tasks);
    await assert.rejects(stent.dispatch("echo", ["unspeakable"]), (error) => {
      return error instanceof InvalidError && /'echo'\[0\] can't be written: not this one/.test(error.message);
    });
  } finally {
    await stent.close();
  }
  await assert.rejects(open(":memory:", { codec: {} as Codec }), /codec must be an object with the functions write and read/);
});
