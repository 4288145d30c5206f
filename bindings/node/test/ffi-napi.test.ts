// The library by another FFI, without this package: handlers are called back.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { freshUrl, root } from "./house";

test("a workflow by ffi-napi", () => {
  const place = path.join(root, "test/ffi-napi");
  if (!fs.existsSync(path.join(place, "node_modules/@2060.io/ffi-napi/build"))) {
    const env = { ...process.env };
    if (fs.existsSync("/usr/include/node/node.h")) env.npm_config_nodedir ??= "/usr";
    execFileSync("npm", ["ci"], { cwd: place, env, stdio: ["ignore", "ignore", "inherit"], timeout: 300_000 });
  }
  const library = path.join(process.env.STENT_LIB_DIR ?? path.join(root, "../../target/release"), "libstent.so.0");
  const said = execFileSync(process.execPath, ["main.js", library, freshUrl("sqlite")], {
    cwd: place,
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(said, '"hello, ada"\n');
});
