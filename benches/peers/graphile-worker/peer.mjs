// graphile-worker: a program that benches/peers/run compares.

import { EventEmitter } from "node:events";
import { median, pause, timed } from "./clock.mjs";
import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";

const [url, settings, phase, count] = [...process.argv.slice(2, 5), Number(process.argv[5])];
const AT_ONCE = 1000;

// As https://worker.graphile.org/docs/performance has it.
const recommended = {
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};
const logger = new Logger(() => () => {});
const worker = { connectionString: url, ...(settings === "recommended" ? recommended : {}) };
const preset = { worker: { ...worker, logger } };

const lacks = { lacks: "it has no workflows" };
const phases = { setup, bulk, drain, one, latency, calls: () => lacks, steps: () => lacks };
console.log(JSON.stringify(await phases[phase]()));
process.exit(0);

async function setup() {
  await runMigrations({ preset });
  return { seconds: 1 };
}

async function bulk() {
  const utils = await makeWorkerUtils({ preset });
  return timed(async () => {
    for (let done = 0; done < count; done += AT_ONCE) {
      const jobs = Math.min(AT_ONCE, count - done);
      await utils.addJobs(Array.from({ length: jobs }, () => ({ identifier: "noop", payload: [1] })));
    }
  });
}

async function one() {
  const utils = await makeWorkerUtils({ preset });
  return timed(async () => {
    for (let done = 0; done < count; done++) await utils.addJob("noop", [1]);
  });
}

/** A job that has ended has no row any more. */
async function drain() {
  let runs = 0;
  const utils = await makeWorkerUtils({ preset });
  const left = () => utils.withPgClient((client) => client.query("SELECT FROM graphile_worker._private_jobs LIMIT 1"));
  const answer = await timed(async () => {
    await run({ preset, taskList: { noop: () => void runs++ } });
    while (runs < count) await pause(1);
    while ((await left()).rowCount > 0) await pause(1);
  });
  if (runs !== count) throw new Error(`${runs} of ${count} have run`);
  return answer;
}

/** There is no result, so its time is that of the event that tells that the job has ended. */
async function latency() {
  const events = new EventEmitter();
  let started;
  const runner = await run({ preset, events, taskList: { probe: () => void (started = performance.now()) } });
  const [toStart, toResult] = [[], []];
  for (let done = 0; done < count; done++) {
    const ended = new Promise((resolve) => events.once("job:complete", resolve));
    const asked = performance.now();
    await runner.addJob("probe", []);
    await ended;
    toResult.push(performance.now() - asked);
    toStart.push(started - asked);
    await pause(5);
  }
  return { start_ms: median(toStart), result_ms: median(toResult) };
}
