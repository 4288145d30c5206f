// The library by another FFI, without this package: handlers are called back.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { freshUrl, install, root } from "./house";

const HERE = path.join(root, "test/ffi-napi");

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
