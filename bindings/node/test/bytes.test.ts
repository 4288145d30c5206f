// Bytes are Buffers, and stay what they are, whatever they spell.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Context } from "../src/index";
import { NativeCodec } from "../src/codec";
import { fromJson, toJson } from "../src/payload";
import { Values } from "../src/values";
import { freshUrl, STORES, using } from "./house";

const MARKED = { $base64: "b25l" };
const VALUES: unknown[] = [
  Buffer.from(""),
  Buffer.from([0, 255, 1]),
  Buffer.from("123"),
  Buffer.from('{"a":1}'),
  Buffer.from("null"),
  Buffer.from(JSON.stringify(MARKED)),
  [Buffer.from("in a list"), { and: Buffer.from("[1]") }],
  MARKED,
  [MARKED, { in: MARKED }],
  { $base64: MARKED },
  { $base64: { $base64: MARKED } },
  { $base64: "not base64" },
  { $base64: "not the shape", for: "it has more" },
  { $base64: 5 },
  { $base64: [MARKED, { $base64: [Buffer.from("x")] }] },
];
// What looks like bytes, with bytes in it: JSON has no form for it, the codec has.
const HOLDING: unknown[] = [
  { $base64: Buffer.from("x") },
  { $base64: { $base64: Buffer.from("x") } },
  [{ in: { $base64: { $base64: { $base64: Buffer.from("") } } } }, Buffer.from("y"), MARKED],
  { $base64: { $js: Buffer.from("x") } },
  { $js: { $base64: Buffer.from("x") } },
  { $base64: new Map([[{ $base64: Buffer.from("x") }, MARKED]]) },
  { $base64: new Date(7) },
];

test("payloads come back from their text", () => {
  for (const value of VALUES) assert.deepEqual(fromJson(toJson(value)!), value);
  assert.equal(toJson(new Uint8Array([1, 2]).subarray(1)), '{"$base64":"Ag=="}');
  assert.equal(toJson(new Uint8Array([1]).buffer), '{"$base64":"AQ=="}');
  assert.deepEqual([toJson(undefined), toJson(null), toJson("a")], [null, "null", '"a"']);
});

test("what JSON has no form for is refused", () => {
  for (const value of [{ $base64: Buffer.from("x") }, { $base64: { $base64: Buffer.from("x") } }]) {
    assert.throws(() => toJson([{ in: value }]), /in.* has bytes alone under "\$base64"/);
  }
});

test("what only looks like bytes comes through a codec", () => {
  class Text {
    constructor(readonly text: string) {}
    toJSON(): string {
      return this.text;
    }
  }
  class Own extends Text {}
  const codec = new NativeCodec().register(Own, { write: (own) => own.text, read: (text) => new Own(text) });
  const values = new Values(codec);
  for (const value of [...VALUES, ...HOLDING, { $base64: new Own("b25l") }, { $base64: { $base64: new Own("b25l") } }]) {
    assert.deepEqual(values.readText(values.text(value, "a value")!, "a value"), value);
  }
  const written = { $base64: { $base64: new Text("b25l") } };
  assert.deepEqual(values.readText(values.text(written, "a value")!, "a value"), { $base64: { $base64: "b25l" } });
  const holder = { toJSON: () => ({ $base64: Buffer.from("x") }) };
  assert.deepEqual(values.readText(values.text(holder, "a value")!, "a value"), { $base64: Buffer.from("x") });
  assert.deepEqual(values.readText(values.text({ $base64: "b25l", more: undefined }, "a value")!, "a value"), MARKED);
});

for (const store of STORES) {
  describe(store, () => {
    test("bytes come through the library", () =>
      using(freshUrl(store), async (stent) => {
        stent.register("echo", (_, value) => value);
        stent.register("says", async (context: Context, value) => {
          context.setState("said", value);
          context.progress(value);
          const step = await context.step("step", () => value);
          return [await context.call("echo", [value]), step, await context.waitSignal("go"), context.kwargs];
        });
        await stent.startWorker();
        for (const value of [...VALUES, ...HOLDING]) {
          assert.deepEqual(await (await stent.dispatch("echo", [value])).result({ timeout: "60s" }), value);
        }
        for (const value of HOLDING) {
          const execution = await stent.dispatch("says", [value], { kwargs: { value } });
          await execution.signal("go", value);
          assert.deepEqual(await execution.result({ timeout: "60s" }), [value, value, value, { value }]);
        }
        for (const value of VALUES.slice(0, 6)) {
          const execution = await stent.dispatch("says", [value], { kwargs: { value } });
          await execution.signal("go", value);
          assert.deepEqual(await execution.result({ timeout: "60s" }), [value, value, value, { value }]);
          const state = await execution.state();
          assert.deepEqual(state.args, [value]);
          assert.deepEqual(state.stateValues, { said: value });
          assert.ok(state.progress.some((entry) => Buffer.isBuffer(entry.detail) && entry.detail.equals(value as Buffer)));
        }
      }));
  });
}
