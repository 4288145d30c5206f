// The functions of bindings/scenarios.md, under the prefix "node".

import * as fs from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { ApplicationError, type Context, FailedError, type Stent } from "../src/index";

const P = "node.";

async function addLine(file: string, line: unknown): Promise<void> {
  await fs.appendFile(file, `${line}\n`);
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}

export function registerAll(stent: Stent): void {
  const activity = stent.register.bind(stent);

  activity(`${P}greet`, (_, name: string) => `hello, ${name}`);
  activity(`${P}add`, (_, a: number, b: number) => a + b);
  activity(`${P}square`, (_, n: number) => n * n);
  activity(
    `${P}flaky`,
    { retryPolicy: { maxAttempts: 5, initialDelay: "20ms", jitter: 0 } },
    (context, times: number) => {
      const { attempt } = context.info;
      if (attempt <= times) throw new ApplicationError("Flaky", `attempt ${attempt}`);
      return attempt;
    },
  );
  activity(
    `${P}patient`,
    { retryPolicy: { maxAttempts: 5, delays: ["20ms"], maxElapsed: "1h", jitter: 0 } },
    (context) => {
      const { attempt, snoozes } = context.info;
      if (snoozes === 0) return context.snooze("20ms");
      if (attempt === 1) throw new ApplicationError("Busy", "come back later", { retryAfter: "1" });
      return [snoozes, attempt];
    },
  );
  activity(`${P}put_off`, async (context) => {
    const { snoozes } = context.info;
    if (snoozes === 0) throw context.snooze(0.02);
    return [snoozes, await context.call(`${P}patient`, [])];
  });
  activity(`${P}charge`, (_, card: string) => {
    const more = { code: "card_declined", details: { card }, retryable: false };
    throw new ApplicationError("CardDeclined", `the card ${card} was declined`, more);
  });
  activity(`${P}append`, async (_, file: string, line: string) => {
    await addLine(file, line);
    return (await fs.readFile(file, "utf8")).split("\n").length - 1;
  });
  activity(`${P}mark`, async (_, file: string, n: number) => {
    await addLine(file, n);
    while (n === 3 && !(await exists(`${file}.go`))) await delay(10);
    return n;
  });
  activity(`${P}until_cancelled`, async (context, file: string) => {
    await addLine(file, "started");
    while (!context.signal.aborted) await delay(10);
    await addLine(file, "cancelled");
    throw context.signal.reason;
  });

  activity(`${P}hello`, (context, name: string) => context.call(`${P}greet`, [name]));
  activity(`${P}sequence`, async (context, n: number) => {
    for (let i = 1; i <= 5; i++) n = await context.call<number>(`${P}add`, [n, i]);
    return n;
  });
  activity(`${P}fan_out`, async (context, n: number) => {
    const calls = Array.from({ length: n }, (_, i) => context.call<number>(`${P}square`, [i + 1]));
    return (await Promise.all(calls)).reduce((sum, square) => sum + square, 0);
  });
  activity(`${P}race`, async (context, name: string, args: unknown[], duration: string) => {
    const call = context.call(`${P}${name}`, args);
    const sleep = context.sleep(duration);
    const winner = await Promise.race([
      call.then((result) => ({ winner: "call", result })),
      sleep.then(() => ({ winner: "sleep" })),
    ]);
    (winner.winner === "call" ? sleep : call).cancel();
    return winner;
  });
  activity(`${P}sleeper`, async (context, duration: string) => {
    const began = context.timestamp();
    await context.sleep(duration);
    return { began, woke: context.timestamp() };
  });
  activity(`${P}inbox`, async (context, n: number) => {
    const messages = [];
    for (let i = 0; i < n; i++) messages.push(await context.waitSignal("message"));
    return messages;
  });
  activity(`${P}retried`, (context, times: number) => context.call(`${P}flaky`, [times]));
  activity(`${P}purchase`, async (context, card: string, caught: boolean) => {
    try {
      return await context.call(`${P}charge`, [card]);
    } catch (error) {
      if (!caught || !(error instanceof FailedError)) throw error;
      const { type, message, code, details } = error.failure;
      return { type, message, code, details };
    }
  });
  activity(`${P}throws`, { retryPolicy: { maxAttempts: 1 } }, () => {
    throw new Error("out of paper");
  });
  activity(`${P}holder`, (context, file: string) => context.call(`${P}until_cancelled`, [file]));
  activity(`${P}marks`, async (context, file: string, n: number) => {
    const results = [];
    for (let i = 1; i <= n; i++) results.push(await context.call(`${P}mark`, [file, i]));
    return results;
  });
  activity(`${P}once`, async (context: Context, file: string) => {
    const pay = () => context.call(`${P}append`, [file, "paid"], { idempotencyKey: file });
    return [await pay(), await pay()];
  });
  activity(`${P}ledger`, async (context, n: number) => {
    for (let i = 1; i <= n; i++) {
      context.count("items");
      context.count("total", i);
      context.setState("last", { i });
      context.progress({ i });
      await context.call(`${P}add`, [i, 0]);
    }
    return null;
  });
  activity(`${P}reversed`, (_, given: Buffer) => {
    if (!Buffer.isBuffer(given)) throw new TypeError("these are no bytes");
    return Buffer.from(given).reverse();
  });
  activity(`${P}relay`, async (context, steps: [string, unknown[]][]) => {
    const results = [];
    for (const [name, args] of steps) results.push(await context.call(name, args));
    return results;
  });
}
