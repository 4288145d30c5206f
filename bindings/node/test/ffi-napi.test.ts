// The library by another FFI, without this package: handlers are called back.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { freshUrl, root } from "./house";

const HERE = path.join(root, "test/ffi-napi");

function install(place: string, ...options: string[]): void {
  const env = { ...process.env };
  // The headers that came with this Node, else they are fetched.
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  if (fs.existsSync(path.join(prefix, "include/node/node.h"))) env.npm_config_nodedir ??= prefix;
  // What has been compiled stays, as long as it is for this Node.
  const [command, stdio] = [path.join(root, "install-packages"), ["ignore", "ignore", "inherit"] as const];
  execFileSync(command, [place, ...options], { env, stdio: [...stdio], timeout: 300_000 });
}

function workflow(place: string, ...scope: string[]): string {
  const library = path.join(process.env.STENT_LIB_DIR ?? path.join(root, "../../target/release"), "libstent.so.0");
  const program = path.join(HERE, "main.js");
  return execFileSync(process.execPath, [program, library, freshUrl("sqlite"), ...scope], {
    cwd: place,
    encoding: "utf8",
    timeout: 60_000,
  });
}

test("a workflow by ffi-napi, with the addon that it brings", () => {
  const place = path.join(HERE, "original");
  // It does not compile with the Nodes of today.
  install(place, "--ignore-scripts");
  assert.equal(workflow(place), '"hello, ada"\n');
});

// It does not compile with newer ones.
if (Number(process.versions.node.split(".")[0]) <= 22) {
  test("a workflow by ffi-napi's fork, compiled here", () => {
    const place = path.join(HERE, "fork");
    install(place);
    assert.ok(fs.existsSync(path.join(place, "node_modules/@2060.io/ffi-napi/build/Release/ffi_bindings.node")));
    assert.equal(workflow(place, "@2060.io/"), '"hello, ada"\n');
  });
}
