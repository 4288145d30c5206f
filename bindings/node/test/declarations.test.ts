// What is declared of the library is what its header says.

import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import assert from "node:assert/strict";
import { declarations } from "../src/declarations";
import { describe, native } from "../src/native";
import { root } from "./house";

const { file, generated } = require(path.join(root, "scripts/generate.js")) as { file: string; generated: () => string };

test("the declarations are those of include/stent.json", () => {
  assert.equal(fs.readFileSync(file, "utf8"), generated(), "run: bindings/node/scripts/generate.js");
});

test("every function is there", () => {
  assert.deepEqual(Object.keys(native), Object.keys(declarations));
  assert.equal(native.abiVersion(), 0);
  assert.ok(describe().statuses.length > 0);
});
