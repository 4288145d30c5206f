// References to functions and signals, with schemas; and what is no function is refused at once.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { type Context, define, FailedError, type Handler, InvalidError, type Reference, reference, signal, type StandardSchemaV1, type Stent } from "../src/index";
import { freshUrl, STORES, using } from "./house";

const Order = z.object({ id: z.string(), due: z.coerce.date(), note: z.string().optional() });

const once = { retryPolicy: { maxAttempts: 1 } };
let runs = 0;
const price = define("price", { args: [Order, z.number().default(1)], result: z.number() }, (_, order, count) => {
  runs++;
  // What the schema made of it.
  assert.ok(order.due instanceof Date);
  return order.id.length * count;
});
const lies = define("lies", { result: z.object({ total: z.number() }) }, () => {
  runs++;
  return { total: "much" } as unknown as { total: number };
});
const approval = signal("approval", z.object({ by: z.string() }));
const workflow = define("workflow", async (context: Context, id: string) => {
  const total = await context.call(price, [{ id, due: "2026-11-28" }, undefined]);
  const { by } = await context.waitSignal(approval);
  return { total, by };
});
const next = define("next", { ...once, args: [z.number()] }, (context, n) => {
  return n > 0 ? context.continueAs("no number") : n;
});

const failure = async (stent: Stent, callee: string | Reference<any, any>, args: unknown[] = []) => {
  const error = await (await stent.dispatch(callee as string, args)).result({ timeout: "60s" }).catch((error) => error);
  assert.ok(error instanceof FailedError, String(error));
  return error.failure;
};

for (const store of STORES) {
  describe(store, () => {
    test("functions are called by their references, and schemas are held to on both sides", () =>
      using(freshUrl(store), async (stent) => {
        stent.register(price, lies, workflow, next);
        await stent.startWorker();
        const execution = await stent.dispatch(workflow, ["abc"]);
        await assert.rejects(execution.signal(approval, { by: 5 } as never), /the signal 'approval': by: .*string/);
        await execution.signal(approval, { by: "ada" });
        assert.deepEqual(await execution.result({ timeout: "60s" }), { total: 3, by: "ada" });

        // A caller by the reference is refused before anything is sent.
        runs = 0;
        const wrong = stent.dispatch(price, [{ id: 5, due: "2026-11-28" }, 2] as never);
        await assert.rejects(wrong, (error) => {
          assert.ok(error instanceof InvalidError);
          assert.match(error.message, /^the arguments of 'price'\[0\]: id: /);
          assert.deepEqual((error.details.issues as { path: string }[])[0].path, "id");
          return true;
        });
        // One by the name alone is refused by the worker, once and before the handler.
        const told = await failure(stent, "price", [{ id: "x", due: "never" }]);
        assert.deepEqual([told.type, told.retryable, runs], ["INVALID", false, 0]);
        assert.match(told.message, /the arguments of 'price'\[0\]: due: /);
        assert.match((await failure(stent, "price", [1, 2, 3])).message, /there are 3, and 2 are known/);

        const lied = await failure(stent, lies);
        assert.deepEqual([lied.type, lied.retryable, runs], ["INVALID", false, 1]);
        assert.match(lied.message, /^the result of 'lies': total: /);
        assert.match((await failure(stent, next, [1])).message, /^the new arguments of 'next'\[0\]: /);
      }));
  });
}

test("a reference to what others run reads their results by its schema", () =>
  using(":memory:", async (stent) => {
    stent.register("go.total", () => "2026-11-28");
    await stent.startWorker();
    const good = reference("go.total", { result: z.coerce.date() });
    const bad = reference("go.total", { result: z.number() });
    assert.deepEqual(await (await stent.dispatch(good)).result(), new Date("2026-11-28"));
    const [execution] = await stent.dispatchMany(bad, [[]]);
    await assert.rejects(execution.result(), (error) => error instanceof InvalidError && /the result of 'go.total'/.test(error.message));
    assert.equal(await stent.execution<string>(execution.id).result(), "2026-11-28");
  }));

test("a schema of any library will do, if it answers at once", () =>
  using(":memory:", async (stent) => {
    const late: StandardSchemaV1<number> = {
      "~standard": { version: 1, vendor: "late", validate: async (value) => ({ value: value as number }) },
    };
    const even: StandardSchemaV1<number> = {
      "~standard": {
        version: 1,
        vendor: "ours",
        validate: (value) => (Number(value) % 2 ? { issues: [{ message: "odd", path: [{ key: "n" }] }] } : { value: value as number }),
      },
    };
    await assert.rejects(stent.dispatch(reference("f", { args: [late] }), [1]), /answers with a promise/);
    await assert.rejects(stent.dispatch(reference("f", { args: [even] }), [1]), /the arguments of 'f'\[0\]: n: odd$/);
    assert.throws(() => define("f", { args: [5 as never] }, () => 1), /'f': args: it is no schema/);
    assert.throws(() => signal("s", {} as never), /the signal 's': it is no schema/);
  }));

test("what is no handler, no function and no definition is refused at once", () =>
  using(":memory:", async (stent) => {
    const missing = undefined as unknown as Handler;
    assert.throws(() => stent.register("x", missing), /the handler of 'x' is undefined; it must be a function/);
    assert.throws(() => stent.register("x", once, missing), /the handler of 'x' is undefined/);
    assert.throws(() => stent.register("x", (() => 1) as never, {} as never), /the options of 'x' are the function|a function/);
    assert.throws(() => define("x", "text" as never), /the handler of 'x' is "text"/);
    assert.throws(() => stent.register(price, undefined as never), /argument 2 is undefined \(a circular import\?\)/);
    assert.throws(() => stent.register((() => 1) as never), /argument 1 is a function; it must be what `define` gives/);
    const handler = async function charge() {};
    await assert.rejects(stent.dispatch(handler as never), /dispatch: the function 'charge' is given as the function; it must be a name/);
    // None of the two was registered: all or nothing.
    stent.register("echo", (_, value) => value);
    const worker = await stent.startWorker();
    assert.deepEqual(worker.status().functions, ["echo"]);
  }));
