// The first example of the README, run as it is printed.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
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
