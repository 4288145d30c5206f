// What compiles, and what must not: the compiler is the test, and nothing of this is run.

import { z } from "zod";
import { batch, type BatchItem, type Context, define, type DispatchOptions, type Execution, reference, signal, type Stent, type WaitOptions } from "../src/index";

const greet = define("greet", async (_: Context, name: string) => `hello, ${name}`);
const now = define("now", { retryPolicy: { maxAttempts: 1 } }, () => 5);
const nothing = define("nothing", async () => {});
const charge = reference<[card: string, cents: number], { receipt: string }>("go.charge");
const approval = signal<{ by: string }>("approval");
const order = define(
  "order",
  { args: [z.string(), z.coerce.date()], result: z.object({ total: z.number() }), queue: "orders" },
  (_, id, due) => {
    id.toUpperCase();
    due.getTime();
    return { total: 5 };
  },
);
const pair = define("pair", { args: z.tuple([z.string(), z.number()]) }, (_, text, n) => text.repeat(n));
const answered = signal("answered", z.object({ yes: z.boolean() }));
const store = batch("store", { size: 500, wait: "50ms", queue: "rows" }, async (items: BatchItem<[row: string]>[]) =>
  items.map(({ args: [row] }) => (row === "" ? new Error("empty") : row.length)),
);
const stored = batch("stored", { args: [z.string()], result: z.number() }, (items) => items.map(async ({ args: [row] }) => row.length));

export async function workflow(context: Context): Promise<void> {
  const text: string = await context.call(greet, ["ada"]);
  const five: number = await context.call(now);
  const none: null = await context.call(nothing);
  const receipt: { receipt: string } = await context.call(charge, ["42", 5], { queue: "cards", timeout: undefined });
  const texts: string[] = await context.map(greet, [["ada"], ["bo"]]);
  const { by }: { by: string } = await context.waitSignal(approval, { timeout: "3d" });
  const { total }: { total: number } = await context.call(order, ["7", new Date()]);
  const { yes }: { yes: boolean } = await context.waitSignal(answered);
  const said: number = await context.call<number>("by.name", [1]);
  const lengths: number[] = [...(await context.map(store, [["a"]])), await context.call(stored, ["b"])];
  const step: number = await context.step("step", () => 5);
  context.log.info(text + by, { five, none, receipt, texts, total, yes, said, step, lengths });

  // @ts-expect-error: an argument of another type
  await context.call(greet, [42]);
  // @ts-expect-error: an argument too few
  await context.call(charge, ["42"]);
  // @ts-expect-error: no arguments, and one is needed
  await context.call(greet);
  // @ts-expect-error: an argument too many
  await context.call(now, [1]);
  // @ts-expect-error: a result of another type
  const wrong: number = await context.call(greet, ["ada"]);
  // @ts-expect-error: by its name alone nothing is known of the result
  const unchecked: number = await context.call("greet", ["ada"]);
  // @ts-expect-error: nor of a signal's
  const taken: string = await context.waitSignal("message");
  // @ts-expect-error: nor of what is mapped
  const mapped: string[] = await context.map("greet", [["ada"]]);
  // @ts-expect-error: one of the arrays
  await context.map(greet, [["ada"], [5]]);
  // @ts-expect-error: an option that does not exist
  await context.call(greet, ["ada"], { maxAttempts: 5 });
  // @ts-expect-error: the schema's input
  await context.call(pair, ["ada", "bo"]);
  // @ts-expect-error: a handler is no reference
  await context.call(async () => 5, []);
  // @ts-expect-error: an argument of another type than the items have
  await context.call(store, [42]);
  // @ts-expect-error: a level is a method
  context.log("info", "text");
  void [wrong, unchecked, taken, mapped];
}

export async function caller(stent: Stent, maybe: { timeout?: number; key?: string }): Promise<void> {
  stent.register(greet, now, order, store);
  const known = stent.register("inline", (_, a: number, b?: string) => `${a}${b}`);
  const inline: string = await (await stent.dispatch(known, [1])).result();
  const text: string = await (await stent.dispatch(greet, ["ada"])).result();
  const many: Execution<string>[] = await stent.dispatchMany(greet, [["ada"], ["bo"]]);
  const by: Execution<string> = stent.execution(greet, "018f3c1e-7b5a-7c3d-9e4f-0123456789ab");
  const unknown: Execution = many[0];
  await by.signal(approval, { by: "ada" });
  // As exactOptionalPropertyTypes has it: what may be undefined may be given.
  const options: DispatchOptions = { timeout: maybe.timeout, idempotencyKey: maybe.key };
  const wait: WaitOptions = { timeout: maybe.timeout, signal: undefined };
  const named = await stent.dispatch("by.name", ["ada"], options);
  const claimed: number = await (await stent.dispatch<number>("by.name")).result(wait);
  {
    await using worker = await stent.startWorker({ maxConcurrency: maybe.timeout });
    await using store: AsyncDisposable = stent;
    void [worker, store];
  }

  // @ts-expect-error: unchecked
  const r: number = await named.result();
  // @ts-expect-error: unchecked as well
  const n: number = await unknown.result();
  // @ts-expect-error: unchecked, by its id
  const m: number = await stent.execution("018f3c1e-7b5a-7c3d-9e4f-0123456789ab").result();
  // @ts-expect-error: of another type
  const wrong: number = await (await stent.dispatch(greet, ["ada"])).result();
  // @ts-expect-error: an argument of another type
  await stent.dispatch(greet, [42]);
  // @ts-expect-error: no arguments, and one is needed
  await stent.dispatch(greet);
  // @ts-expect-error: one of the arrays
  await stent.dispatchMany(greet, [["ada"], [42]]);
  // @ts-expect-error: what the signal carries
  await by.signal(approval, { by: 5 });
  // @ts-expect-error: nothing, where something is carried
  await by.signal(answered);
  // @ts-expect-error: a result that the schema does not take
  define("bad", { result: z.number() }, () => "text");
  // @ts-expect-error: an argument that the schema does not give
  define("bad", { args: [z.number()] }, (_, text: string) => text);
  // @ts-expect-error: an outcome that the schema does not take
  batch("bad", { result: z.number() }, (items) => items.map(() => "text"));
  // @ts-expect-error: no outcome for each
  batch("bad", {}, () => 5);
  // @ts-expect-error: no handler
  stent.register("bad");
  // @ts-expect-error: a reference has no handler
  stent.register(charge);
  // @ts-expect-error: a record of the store that nobody checked
  const task: string = await stent.backendCall("get_task", { task_id: "…" });
  void [inline, text, claimed, r, n, m, wrong, task];
}
