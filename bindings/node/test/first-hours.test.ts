// Errors of the first hours: they say what is wrong in the words of who wrote it, and what would be right.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Context, FailedError, InvalidError, NotFoundError, open, StentError } from "../src/index";
import { freshUrl, STORES, until, using } from "./house";

const ID = "018f3c1e-7b5a-7c3d-9e4f-0123456789ab";

const refused = (words: RegExp, details: Record<string, unknown> = {}) => (error: unknown) => {
  assert.ok(error instanceof InvalidError, String(error));
  assert.match(error.message, words);
  for (const [name, fact] of Object.entries(details)) assert.deepEqual(error.details[name], fact);
  return true;
};

test("options are named as they are written in JavaScript", () =>
  using(":memory:", async (stent) => {
    const unknown = (option: string) => ({ [option]: 1 }) as object;
    await assert.rejects(
      stent.dispatch("f", [], unknown("idempotencyKy")),
      refused(/^dispatch: there is no option "idempotencyKy"; did you mean "idempotencyKey"\? Known are id, .*idempotencyKey, idempotencyReuse/, { key: "idempotencyKy", nearest: "idempotencyKey" }),
    );
    // In the library's spelling it is not known here.
    await assert.rejects(stent.dispatch("f", [], unknown("max_duration")), refused(/no option "max_duration"; did you mean "maxDuration"\?/));
    await assert.rejects(
      stent.dispatch("f", [], { retryPolicy: unknown("maxAtempts") }),
      refused(/^dispatch: retryPolicy: there is no option "maxAtempts"; did you mean "maxAttempts"\? Known are maxAttempts, maxDeaths/),
    );
    // What the library refuses itself.
    await assert.rejects(
      stent.dispatch("f", [], { retryPolicy: { maxAttempts: "x" as never } }),
      refused(/retryPolicy\.maxAttempts is the string "x"/, { path: "retryPolicy.maxAttempts" }),
    );
    await assert.rejects(stent.startWorker({ maxConcurrency: -1 }), refused(/maxConcurrency/));
    await assert.rejects(stent.startWorker(unknown("concurrency")), refused(/^startWorker: there is no option "concurrency"; did you mean "maxConcurrency"/));
    assert.throws(() => stent.register("f", unknown("maxConcurrency"), () => 1), refused(/^register 'f': .*maxConcurrent/));
    await assert.rejects(open(":memory:", unknown("busy_timeout")), refused(/^open: there is no option "busy_timeout"; .*busyTimeout/));
    await assert.rejects(stent.list(unknown("createdafter")), refused(/^list: .*did you mean "createdAfter"/));
    await assert.rejects(stent.dispatch("f", [], "5s" as never), refused(/^dispatch: the options are "5s"; they must be an object/));
    await assert.rejects(stent.dispatch("f", "ada" as never), refused(/^the arguments of 'f' must be an array/));
    await assert.rejects(open(undefined as never), refused(/^open: the store's URL is undefined/));
    // What is asked in the library's own names is answered in them.
    await assert.rejects(stent.backendCall("get_execution", { executionId: ID }), refused(/[Kk]nown are .*execution_id|execution_id is missing/));
  }));

for (const store of STORES) {
  describe(store, () => {
    test("a misused option in a handler is final", () =>
      using(freshUrl(store), async (stent) => {
        const misuses: ((context: Context) => unknown)[] = [
          (context) => context.call("f", [], { maxAtempts: 1 } as object),
          (context) => context.call("f", [], { retryPolicy: { jitter: 7 } }),
          (context) => context.call("f", [], { timeout: "soon" }),
          (context) => context.call("f", [], { key: "a#b" }),
          (context) => context.map("f", [[1]], { queu: "x" } as object),
          (context) => context.waitSignal("s", { timout: 1 } as object),
          (context) => context.step("s", () => 1, { ky: "x" } as object),
          (context) => context.sleep("soon"),
          (context) => context.call(undefined as never),
        ];
        const runs = misuses.map(() => 0);
        misuses.forEach((misuse, index) => {
          stent.register(`misuse ${index}`, { retryPolicy: { maxAttempts: 3, initialDelay: "1ms" } }, (context) => {
            runs[index]++;
            return misuse(context);
          });
        });
        await stent.startWorker();
        for (const index of misuses.keys()) {
          const error = await (await stent.dispatch(`misuse ${index}`)).result({ timeout: "60s" }).catch((error) => error);
          assert.ok(error instanceof FailedError, String(error));
          assert.deepEqual([error.failure.type, error.failure.retryable, runs[index]], ["INVALID", false, 1], `${index}`);
        }
      }));
  });
}

test("an id of one's own, where the store's is wanted, leads to idempotencyKey", () =>
  using(":memory:", async (stent) => {
    const words = /"order-7" is no execution's id, which is a UUID; .*idempotencyKey/;
    assert.throws(() => stent.execution("order-7"), refused(words));
    await assert.rejects(stent.dispatch("f", [], { id: "order-7" }), refused(words));
    await assert.rejects(stent.dispatchMany([{ function: "f", options: { id: "order-7" } }]), refused(words));
    assert.equal((await stent.dispatch("f", [], { id: ID })).id, ID);
    assert.equal(stent.execution(ID.toUpperCase()).id, ID.toUpperCase());
  }));

test("a function that came too late for the worker is told of", async () => {
  const told: string[] = [];
  const keep = (message: string) => told.push(message);
  const stent = await open(":memory:", { logger: { debug: keep, info: keep, warn: keep, error: keep }, logLevel: "warn" });
  try {
    stent.register("early", () => 1);
    const worker = await stent.startWorker();
    stent.register("late", () => 2);
    await until("it is told", () => told.length > 0);
    const why = `'late' was registered after the worker ${worker.id} had started, which does not run it: `;
    assert.deepEqual(told, [`${why}register functions before startWorker, or start another worker`]);
    // And what another worker is started for is not late.
    stent.register("later", () => 4);
    await stent.startWorker();
    assert.equal(await (await stent.dispatch("later")).result({ timeout: "60s" }), 4);
    assert.equal(told.length, 1);
  } finally {
    await stent.close();
  }
});

test("what a closed store is asked says so", async () => {
  const stent = await open(":memory:");
  await stent.close();
  await assert.rejects(stent.startWorker(), (error) => error instanceof StentError && error.status === "CLOSED");
  await assert.rejects(stent.check(), (error) => error instanceof StentError && error.status === "CLOSED");
  assert.throws(() => stent.register("f", () => 1), (error) => error instanceof StentError && error.status === "CLOSED");
});

test("a function is taken back; a worker that runs keeps it", () =>
  using(":memory:", async (stent) => {
    const says = (what: string) => stent.register("says", () => what);
    says("old");
    await stent.startWorker({ queues: ["old"] });
    stent.unregister("says");
    assert.throws(() => stent.unregister("says"), NotFoundError);
    says("new");
    await stent.startWorker({ queues: ["new"] });
    for (const queue of ["old", "new", "old"]) {
      assert.equal(await (await stent.dispatch("says", [], { queue })).result({ timeout: "60s" }), queue);
    }
  }));
