// Orders over HTTP: a server by Express, with a worker in the same process that starts and drains with it.
//
//     node dist/examples/express.js orders.db 8080
//     curl -X POST localhost:8080/orders/7 -H 'content-type: application/json' -d '{"cents": 1999}'
//     curl localhost:8080/orders/7
//     curl -X POST localhost:8080/orders/7/approval -H 'content-type: application/json' -d '{"by": "ada"}'
//
// Any number of such processes may run on one store. Whichever ends, by a deploy or by `kill -9`: the others go on with its
// orders, or the next one that is started does.

import { once } from "node:events";
import * as fs from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { define, InvalidError, open, signal, TimeoutError } from "@stent-dev/stent";
import express, { type NextFunction, type Request, type Response } from "express";
import { z } from "zod";

const Order = z.object({ cents: z.number().int().positive() });
const approval = signal("approval", z.object({ by: z.string() }));

// Stands for a parcel service that takes its time: what it did is a line of a file.
const ship = define("ship", { retryPolicy: { maxAttempts: 5 } }, async (context, id: string) => {
  const file = process.env.PARCELS;
  if (file) await fs.appendFile(file, `packing ${id}\n`);
  await delay(Number(process.env.PACKING_MS ?? 100));
  if (file) await fs.appendFile(file, `sent ${id}\n`);
  context.log.info("sent", { id });
  return { parcel: `parcel-${id}` };
});

const fulfil = define("fulfil", { args: [z.string(), Order] }, async (context, id, order) => {
  context.progress(`${order.cents} cents, to be approved`);
  const { by } = await context.waitSignal(approval, { timeout: "3d" });
  context.progress(`approved by ${by}`);
  const { parcel } = await context.call(ship, [id]);
  return { id, by, parcel };
});

async function main(url: string, port: number): Promise<void> {
  await using stent = await open(url);
  stent.register(ship, fulfil);

  const ending = new AbortController();
  const app = express().use(express.json());
  // The order's own id is the key: who orders twice gets the same execution.
  const executionOf = (id: string, body: unknown) =>
    stent.dispatch(fulfil, [id, body as z.infer<typeof Order>], { idempotencyKey: `order-${id}` });
  // Executions by orders; a server with a database of its own has a column for it.
  const known = new Map<string, Awaited<ReturnType<typeof executionOf>>>();

  app.post("/orders/:id", async (request, response) => {
    const execution = await executionOf(request.params.id, request.body);
    known.set(request.params.id, execution);
    // It is durable by now: whatever happens to this process, it is carried out.
    response.status(202).json({ execution: execution.id });
  });
  app.post("/orders/:id/approval", async (request, response) => {
    await known.get(request.params.id)?.signal(approval, request.body);
    response.status(known.has(request.params.id) ? 202 : 404).end();
  });
  app.get("/orders/:id", async (request, response) => {
    const execution = known.get(request.params.id);
    if (!execution) return void response.status(404).end();
    // Nothing is waited for when the client hangs up, or the server ends: then what is known by now is the answer.
    const aborts = new AbortController();
    const leave = () => aborts.abort();
    response.on("close", leave);
    ending.signal.addEventListener("abort", leave);
    const result = await execution.result({ timeout: "20s", signal: aborts.signal }).catch((error) => {
      if (error instanceof TimeoutError || aborts.signal.aborted) return null;
      throw error;
    });
    ending.signal.removeEventListener("abort", leave);
    if (ending.signal.aborted) response.set("connection", "close");
    const { state, progress } = await execution.state();
    response.json({ state, progress: progress.map((line) => line.detail).filter(Boolean), result });
  });
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    // What does not fit its schema is the client's fault.
    if (error instanceof InvalidError) response.status(400).json({ error: error.message });
    else next(error);
  });

  const server = app.listen(port, "127.0.0.1");
  await once(server, "listening");
  console.log(`listening on ${(server.address() as AddressInfo).port}`);

  // Until SIGTERM or SIGINT. Parcels that are being packed are sent first; orders that wait go on elsewhere.
  await stent.serve({ maxConcurrency: 20, drain: "10s" });

  server.close();
  server.closeIdleConnections();
  ending.abort();
  await once(server, "close");
  console.log("drained");
}

main(process.argv[2] ?? "orders.db", Number(process.argv[3] ?? 8080)).catch((error) => {
  console.error(error);
  process.exit(1);
});
