// The first example of the README, run as it is printed; and its other blocks, which stand here as there.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { batch, type BatchItem, define, NativeCodec, open, reference, signal } from "../src/index";
import { testWorker } from "@stent-dev/stent/testing";
import { folder, root } from "./house";

test("the README's example runs as printed", () => {
  const readme = fs.readFileSync(path.join(root, "README.md"), "utf8");
  const example = /```js\n([\s\S]*?)```/.exec(readme)![1];
  const place = folder();
  fs.mkdirSync(path.join(place, "node_modules/@stent-dev"), { recursive: true });
  fs.symlinkSync(root, path.join(place, "node_modules/@stent-dev/stent"));
  fs.writeFileSync(path.join(place, "hello.js"), example);
  const said = execFileSync(process.execPath, ["hello.js"], { cwd: place, encoding: "utf8", timeout: 30_000 });
  assert.equal(said, "{ greeting: 'hello, world' }\n");
});

const Order = z.object({ id: z.string(), due: z.coerce.date() });

const charge = define("charge", { args: [z.string(), Order], result: z.object({ receipt: z.string() }) }, async (_, card, order) => {
  return { receipt: `${order.id} by ${card}` };
});
const total = reference("go.total", { args: [Order], result: z.number() });
const approval = signal("approval", z.object({ by: z.string() }));

test("schemas are as the README has them", async () => {
  const buys = define("buys", async (context, id: string) => {
    const { by } = await context.waitSignal(approval);
    const [{ receipt }, sum] = await Promise.all([
      context.call(charge, ["a card", { id, due: "2026-11-28" }]),
      context.call(total, [{ id, due: "2026-11-28" }]),
    ]);
    return `${receipt}: ${sum}, ${by}`;
  });
  const totals = define("go.total", (_, order: z.infer<typeof Order>) => order.id.length);
  await using host = await testWorker([charge, totals, buys]);
  const execution = await host.stent.dispatch(buys, ["ink"]);
  await execution.signal(approval, { by: "ada" });
  assert.equal(await execution.result({ timeout: "60s" }), "ink by a card: 3, ada");
});

const greet = define("greet", async (_, name: string) => `hello, ${name}`);
const welcome = define("welcome", async (context, name: string) => ({ greeting: await context.call(greet, [name]) }));

test("welcome", async () => {
  await using host = await testWorker([greet, welcome]);
  assert.deepEqual(await host.run(welcome, ["ada"]), { greeting: "hello, ada" });
});

test("batches are as the README has them", async () => {
  const insert = async (rows: string[]): Promise<Map<string, Error>> =>
    new Map(rows.filter((row) => row === "").map((row) => [row, new Error("no row")]));
  await using stent = await open(":memory:", { logger: false });

  const store = batch("store", { size: 500, wait: "50ms" }, async (items: BatchItem<[row: string]>[]) => {
    const refused = await insert(items.map(({ args: [row] }) => row)); // by the row
    return items.map(({ args: [row] }) => refused.get(row) ?? "stored");
  });
  stent.register(store);
  await stent.startWorker({ maxConcurrency: 500 });
  const [good, bad] = await stent.dispatchMany(store, [["a"], [""]], { retryPolicy: { maxAttempts: 1 } });
  assert.equal(await good.result({ timeout: "60s" }), "stored");
  await assert.rejects(bad.result({ timeout: "60s" }), /no row/);
});

class Money {
  constructor(readonly cents: number) {}
  static parse(text: string): Money {
    return new Money(Number(text));
  }
  toString(): string {
    return String(this.cents);
  }
}

test("a codec of one's own, and a service that is told to end", async () => {
  process.chdir(folder());
  const codec = new NativeCodec().register(Money, { write: (money) => money.toString(), read: (text) => Money.parse(text) });
  const stent = await open("orders.db", { codec });

  const double = define("double", (_, money: Money) => new Money(money.cents * 2));
  stent.register(double);
  const served = (async () => {
    await stent.serve({ maxConcurrency: 20, drain: "10s" });
    await stent.close();
  })();
  const doubled = await (await stent.dispatch(double, [new Money(7)])).result({ timeout: "60s" });
  assert.ok(doubled instanceof Money && doubled.cents === 14);
  process.kill(process.pid, "SIGTERM");
  await served;
});
