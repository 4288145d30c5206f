// pg-boss: a program that benches/peers/run compares.

import { median, pause, timed } from "./clock.mjs";
import { PgBoss } from "pg-boss";

const [url, settings, phase, count] = [...process.argv.slice(2, 5), Number(process.argv[5])];
const AT_ONCE = 1000;
const QUEUE = "jobs";

// What https://pgboss.io/api/workers has for many jobs, and for short ways.
const tuned = settings === "recommended";
const work = tuned ? { batchSize: 500, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 } : {};
const boss = new PgBoss({ connectionString: url, useListenNotify: tuned });
boss.on("error", (error) => console.error(error));

const lacks = { lacks: "it has no workflows with code" };
const phases = { setup, bulk, drain, one, latency, calls: () => lacks, steps: () => lacks };
await boss.start();
console.log(JSON.stringify(await phases[phase]()));
process.exit(0);

async function setup() {
  await boss.createQueue(QUEUE, tuned ? { notify: true } : {});
  return { seconds: 1 };
}

async function bulk() {
  return timed(async () => {
    for (let done = 0; done < count; done += AT_ONCE) {
      const jobs = Math.min(AT_ONCE, count - done);
      await boss.insert(QUEUE, Array.from({ length: jobs }, () => ({ data: { number: 1 } })));
    }
  });
}

async function one() {
  return timed(async () => {
    for (let done = 0; done < count; done++) await boss.send(QUEUE, { number: 1 });
  });
}

async function drain() {
  const completed = async () => {
    const answer = await boss.getDb().executeSql("SELECT count(*)::int AS n FROM pgboss.job WHERE state = 'completed'");
    return answer.rows[0].n;
  };
  let runs = 0;
  const answer = await timed(async () => {
    await boss.work(QUEUE, work, async (jobs) => void (runs += jobs.length));
    while (runs < count) await pause(1);
    while ((await completed()) < count) await pause(5);
  });
  if (runs !== count) throw new Error(`${runs} of ${count} have run`);
  return answer;
}

/** The result's time is when a client that asks each 5 ms sees that the job has ended. */
async function latency() {
  let started;
  await boss.work(QUEUE, work, async () => void (started = performance.now()));
  const [toStart, toResult] = [[], []];
  for (let done = 0; done < count; done++) {
    const asked = performance.now();
    const id = await boss.send(QUEUE, {});
    while ((await boss.findJobs(QUEUE, { id }))[0].state !== "completed") await pause(5);
    toResult.push(performance.now() - asked);
    toStart.push(started - asked);
    await pause(5);
  }
  return { start_ms: median(toStart), result_ms: median(toResult) };
}
