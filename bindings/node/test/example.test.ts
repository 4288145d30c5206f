// The example with Express, as a process: started, asked over HTTP, ended by SIGTERM in the midst of its work.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { folder, freshUrl, Process, root, STORES, until, using } from "./house";

interface Told {
  status: number;
  body: any;
}

async function ask(port: string, method: string, place: string, body?: unknown): Promise<Told> {
  const answer = await fetch(`http://127.0.0.1:${port}${place}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null };
}

async function started(url: string, environment: Record<string, string>): Promise<{ server: Process; port: string }> {
  const server = new Process(process.execPath, [path.join(root, "dist/examples/express.js"), url, "0"], environment);
  await until("it listens", () => {
    assert.ok(server.code === undefined, `it ended with ${server.code}`);
    return server.said.includes("\n");
  });
  return { server, port: /listening on (\d+)/.exec(server.said)![1] };
}

for (const store of STORES) {
  describe(store, () => {
    test("the server takes orders, and drains with its worker", async () => {
      const [url, parcels] = [freshUrl(store), path.join(folder(), "parcels")];
      const sent = () => (fs.existsSync(parcels) ? fs.readFileSync(parcels, "utf8") : "");

      const first = await started(url, { PARCELS: parcels, PACKING_MS: "500" });
      assert.equal((await ask(first.port, "POST", "/orders/7", { cents: -1 })).status, 400);
      const { status, body } = await ask(first.port, "POST", "/orders/7", { cents: 1999 });
      assert.equal(status, 202);
      assert.equal((await ask(first.port, "POST", "/orders/8", { cents: 5 })).status, 202);
      const waits = ask(first.port, "GET", "/orders/8");
      assert.equal((await ask(first.port, "POST", "/orders/7/approval", { by: "ada" })).status, 202);
      await until("it is packed", () => sent().includes("packing 7"));
      first.server.child.kill("SIGTERM");
      await first.server.ends();
      assert.equal(first.server.code, 0);
      assert.match(first.server.said, /drained/);
      // What was begun was ended, and nothing was begun twice.
      assert.equal(sent(), "packing 7\nsent 7\n");
      // Who waits is told what is known.
      assert.deepEqual((await waits).body, { state: "running", progress: ["5 cents, to be approved"], result: null });
      await assert.rejects(ask(first.port, "GET", "/orders/7"));

      const second = await started(url, { PARCELS: parcels, PACKING_MS: "1" });
      const again = await ask(second.port, "POST", "/orders/7", { cents: 1999 });
      assert.deepEqual(again.body, body);
      assert.equal((await ask(second.port, "POST", "/orders/8", { cents: 5 })).status, 202);
      assert.equal((await ask(second.port, "POST", "/orders/8/approval", { by: "bo" })).status, 202);
      assert.deepEqual((await ask(second.port, "GET", "/orders/7")).body, {
        state: "completed",
        progress: ["1999 cents, to be approved", "approved by ada"],
        result: { id: "7", by: "ada", parcel: "parcel-7" },
      });
      assert.deepEqual((await ask(second.port, "GET", "/orders/8")).body.result, { id: "8", by: "bo", parcel: "parcel-8" });
      assert.equal(sent(), "packing 7\nsent 7\npacking 8\nsent 8\n");
      second.server.child.kill("SIGINT");
      await second.server.ends();
      assert.equal(second.server.code, 0);
      await using(url, async (stent) => assert.equal((await stent.list()).length, 2));
    });
  });
}
