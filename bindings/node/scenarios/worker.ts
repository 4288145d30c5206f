// The scenario worker: see bindings/scenarios.md.

import { open } from "../src/index";
import { registerAll } from "./functions";

async function main(url: string, options: string | undefined): Promise<void> {
  const stent = await open(url);
  registerAll(stent);
  const worker = await stent.startWorker(snakeless(JSON.parse(options ?? "{}")));
  console.log("ready");
  await new Promise<void>((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.stdin.on("end", () => resolve()).resume();
  });
  worker.drain();
  console.log("draining");
  await worker.stop();
  await stent.close();
  console.log("stopped");
  process.exit(0);
}

/** The options come as the library writes them. */
function snakeless(options: Record<string, unknown>): object {
  const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [camel(name), value]));
}

main(process.argv[2], process.argv[3]).catch((error) => {
  console.error(error);
  process.exit(1);
});
