// The binding knows what the library knows: statuses, events, options, what may be submitted.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { errorOf } from "../src/checked";
import { STATUS } from "../src/errors";
import { EVENTS } from "../src/host";
import { describe } from "../src/native";
import { OPTIONS, toSnake } from "../src/options";
import { StentError, version } from "../src/index";
import { root } from "./house";

const known = describe();
const sorted = (names: Iterable<string>) => [...names].sort();

test("statuses, each with a class of its own", () => {
  assert.deepEqual(STATUS, Object.fromEntries(known.statuses.map(({ name, code }) => [name, code])));
  for (const { name, code } of known.statuses.filter(({ code }) => code < 0)) {
    const json = { status: name, code, message: "m", retryable: true, details: { a: 1 }, failure: null };
    const error = errorOf(JSON.stringify(json));
    assert.notEqual(error.constructor, StentError, name);
    assert.deepEqual([error.status, error.message, error.retryable], [name, "m", true]);
  }
});

test("events", () => {
  assert.deepEqual(sorted(EVENTS), sorted(known.events.map(({ name }) => name)));
});

/** A store of one's own is called back, on the library's threads: written in a language that can be. */
const NOT_FROM_HERE = ["custom"];

test("options", () => {
  const options = known.options.filter(({ name }) => !NOT_FROM_HERE.includes(name));
  assert.deepEqual(sorted(Object.keys(OPTIONS)), sorted(options.map(({ name }) => name)));
  for (const { name, fields } of options) {
    const keys = Object.keys(OPTIONS[name as keyof typeof OPTIONS]).map(toSnake);
    assert.deepEqual(sorted(keys), sorted(fields.map((field) => field.name)), name);
  }
});

test("what may be submitted", () => {
  const source = ["stent", "execution", "worker", "host"].map((file) => fs.readFileSync(path.join(root, `src/${file}.ts`), "utf8")).join();
  const submitted = new Set([...source.matchAll(/submit(?:<[^(]*>)?\(\s*"([a-z_]+)"/g)].map((match) => match[1]));
  // A worker's states come as events here.
  submitted.add("wait_worker");
  assert.deepEqual(sorted(submitted), sorted(known.submissions.map(({ name }) => name)));
});

/** Of backends: asked by name, so that there is nothing to know; the names are checked by the library. */
test("operations of backends", () => {
  assert.ok(known.operations.some(({ name }) => name === "get_task"));
  assert.match(version(), /^\d+\.\d+\.\d+$/);
});
