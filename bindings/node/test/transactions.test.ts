// Steps that run in a transaction of the handler's own: their rows and their records are there together, once. By `pg`, and by
// better-sqlite3, a SQLite of the program's own.

import assert from "node:assert/strict";
import * as path from "node:path";
import { before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Client, Pool } from "pg";
import {
  ApplicationError,
  CancelledError,
  type Context,
  FailedError,
  InvalidError,
  open,
  type SqliteDatabase,
  type Stent,
  type TransactionOptions,
} from "../src/index";
import { freshUrl, install, PATIENCE_MS, Process, root, STORES, type Store, until } from "./house";

const SQLITE = path.join(root, "test/better-sqlite3");
const BETTER_SQLITE3 = path.join(SQLITE, "node_modules/better-sqlite3");
const library = path.join(process.env.STENT_LIB_DIR ?? path.join(root, "../../target/release"), "libstent.so.0");

// As docs/sql.md shows it.

async function withdraw(ctx: Context, bank: Pool, account: number, amount: number, options: TransactionOptions) {
  const left = await ctx.transaction("book", bank, async (client) => {
    const sql = "UPDATE accounts SET balance = balance - $1 WHERE number = $2 RETURNING balance";
    const { rows } = await client.query(sql, [amount, account]);
    return rows[0].balance as number;
  }, options);
  await ctx.sleep(0.01);
  return left;
}

async function withdrawLite(ctx: Context, bank: SqliteDatabase, account: number, amount: number) {
  const left = await ctx.transaction("book", bank, () => {
    const sql = "UPDATE accounts SET balance = balance - ? WHERE number = ? RETURNING balance";
    const [row] = bank.prepare(sql).all(amount, account) as { balance: number }[];
    return row!.balance;
  });
  await ctx.sleep(0.01);
  return left;
}

/** A database as better-sqlite3 has it: its types are not needed for more. */
interface Lite extends SqliteDatabase {
  loadExtension(path: string, entryPoint: string): void;
  close(): void;
}

function openLite(Database: new (file: string, options: object) => Lite, file: string): Lite {
  const db = new Database(file, { timeout: 60_000 });
  db.loadExtension(library, "stent_sqlite_init");
  return db;
}

const ADD = "INSERT INTO accounts VALUES (7, 100)";

/** A connection of the program's own, and its table beside the store's. */
class Bank {
  /** What comes between a commit that was carried out and the one who has asked for it. */
  afterCommit: () => void = () => {};
  readonly options: TransactionOptions;
  private readonly pool: Pool | null = null;
  private readonly lite: Lite | null = null;
  /** One for all, where transactions of one connection are meant. */
  private client: Client | null = null;

  constructor(readonly url: string) {
    const at = url.indexOf("schema=");
    if (at < 0) {
      this.options = {};
      this.lite = openLite(require(BETTER_SQLITE3), url);
      return;
    }
    const schema = url.slice(at + "schema=".length).split("&")[0]!;
    this.options = { schema };
    this.pool = new Pool({ connectionString: url.slice(0, at - 1), options: `-csearch_path=${schema}`, max: 3 });
  }

  async connect(): Promise<void> {
    if (!this.pool) return;
    this.client = new Client(this.pool.options);
    await this.client.connect();
  }

  async all(sql: string): Promise<any[]> {
    if (this.lite) return this.lite.prepare(sql).all() as any[];
    return (await this.pool!.query(sql)).rows;
  }

  async run(sql: string): Promise<void> {
    if (this.lite) this.lite.exec(sql);
    else await this.pool!.query(sql);
  }

  async accounts(): Promise<number> {
    return Number((await this.all("SELECT count(*) AS n FROM accounts"))[0].n);
  }

  /** Adds an account, and waits after it. */
  async add(ctx: Context, then: (run: (sql: string) => unknown) => unknown = () => {}, options = this.options, number = 7): Promise<number> {
    const added = await this.transaction(ctx, async (run) => {
      await run(`INSERT INTO accounts VALUES (${number}, 100)`);
      await then(run);
      return number;
    }, options);
    await ctx.sleep(0.01);
    return added;
  }

  /** On a connection that is not to the store. */
  async addElsewhere(ctx: Context): Promise<number> {
    if (!this.lite) return this.add(ctx, () => {}, { schema: 'else"where' });
    const plain: SqliteDatabase = new (require(BETTER_SQLITE3))(this.url);
    return ctx.transaction("open", plain, () => (plain.exec(ADD), 7));
  }

  /** All at once, on one connection, but for those that are odd: how many there are. */
  async addEven(ctx: Context, numbers: number[]): Promise<number> {
    const add = (run: (sql: string) => unknown) => async (number: number) => {
      await run(`INSERT INTO accounts VALUES (${number}, 100)`);
      await delay(1);
      if (number % 2 === 1) throw new ApplicationError("Odd", "no");
      return number;
    };
    const [lite, client] = [this.lite, this.client];
    const one = (number: number) =>
      lite
        ? ctx.transaction("open", lite, () => add((sql) => lite.exec(sql))(number))
        : ctx.transaction("open", client!, () => add((sql) => client!.query(sql))(number), this.options);
    const added = await Promise.allSettled(numbers.map(one));
    return added.filter((each) => each.status === "fulfilled").length;
  }

  /** By a client that the server sends away in the midst. */
  loses(ctx: Context): Promise<unknown> {
    const sql = "SELECT pg_terminate_backend(pg_backend_pid())";
    return ctx.transaction("open", this.pool!, (client) => client.query(sql).then(() => null), this.options);
  }

  /** Another one is in its way until it is begun for the second time: how often its body has run. */
  async contended(ctx: Context, attempts: number | undefined, isOpenBefore = false): Promise<number> {
    let [begins, bodies] = [0, 0];
    const options = { ...this.options, attempts };
    if (this.lite) {
      const holder = this.lite;
      const lite: Lite = new (require(BETTER_SQLITE3))(this.url, { timeout: 0 });
      lite.loadExtension(library, "stent_sqlite_init");
      const exec = (sql: string) => {
        const isFirst = sql === "BEGIN IMMEDIATE" && ++begins === 1;
        if (isFirst) holder.exec(sql);
        try {
          lite.exec(sql);
        } finally {
          if (isFirst) holder.exec("ROLLBACK");
        }
      };
      try {
        const watched = { prepare: (sql: string) => lite.prepare(sql), exec };
        return await ctx.transaction("open", watched, (db) => (db.exec(ADD), ++bodies), options);
      } finally {
        lite.close();
      }
    }
    const client = new Client({ ...this.pool!.options, options: `${this.pool!.options.options} -cdefault_transaction_isolation=repeatable\\ read` });
    await client.connect();
    try {
      if (isOpenBefore) await client.query("BEGIN");
      return await ctx.transaction("open", client, async () => {
        bodies++;
        await client.query("SELECT balance FROM accounts");
        if (bodies === 1) await this.run("UPDATE accounts SET balance = balance + 1");
        await client.query("UPDATE accounts SET balance = balance - 30");
        return bodies;
      }, options);
    } finally {
      await client.end();
    }
  }

  get clients(): number {
    return this.pool!.totalCount;
  }

  withdraw(ctx: Context, account: number, amount: number): Promise<number> {
    return this.lite ? withdrawLite(ctx, this.lite, account, amount) : withdraw(ctx, this.pool!, account, amount, this.options);
  }

  private transaction<T>(ctx: Context, body: (run: (sql: string) => unknown) => Promise<T>, options: TransactionOptions) {
    if (this.lite) return ctx.transaction("open", this.watchedLite(this.lite), (lite) => body((sql) => lite.exec(sql)), options);
    return ctx.transaction("open", this.watchedPool(this.pool!), (client) => body((sql) => client.query(sql)), options);
  }

  private watchedLite(lite: Lite): SqliteDatabase {
    const exec = (sql: string) => {
      lite.exec(sql);
      if (sql === "COMMIT") this.afterCommit();
    };
    return { prepare: (sql) => lite.prepare(sql), exec };
  }

  private watchedPool(pool: Pool) {
    const connect = async () => {
      const client = await pool.connect();
      const query = async (sql: string, parameters?: any[]) => {
        const answer = await client.query(sql, parameters);
        if (sql === "COMMIT") this.afterCommit();
        return answer;
      };
      return { query, release: (error?: Error) => client.release(error) };
    };
    return { totalCount: pool.totalCount, connect: connect as typeof connect & ((callback: never) => unknown) };
  }

  async close(): Promise<void> {
    this.lite?.close();
    await this.client?.end();
    await this.pool?.end();
  }
}

const impatient = { leaseDuration: "1s", pollInterval: "20ms", pollIntervalMax: "50ms" };
const result = async (stent: Stent, name: string) => (await stent.dispatch(name)).result({ timeout: "60s" });

/** Set for a worker's process: the store, and where it is to be killed. */
const DIES = "STENT_TEST_STEP_DIES";

const die = () => process.kill(process.pid, "SIGKILL");

async function dies(told: string): Promise<never> {
  const [place, url] = told.split(" ") as [string, string];
  const bank = new Bank(url);
  bank.afterCommit = die;
  const stent = await open(url, { logger: false });
  stent.register("adds", (ctx: Context) => bank.add(ctx, place === "before" ? die : () => {}));
  await stent.startWorker(impatient);
  // Its end comes from within, or it has failed.
  await delay(PATIENCE_MS);
  process.exit(1);
}

if (process.env[DIES]) void dies(process.env[DIES]);
else for (const store of STORES) describe(store, () => cases(store));

function cases(store: Store): void {
  before(() => store === "sqlite" && install(SQLITE));

  const on = (name: string, body: (stent: Stent, bank: Bank, url: string) => Promise<void>) =>
    test(name, async () => {
      const url = freshUrl(store);
      const stent = await open(url, { logger: false });
      const bank = new Bank(url);
      try {
        await bank.run("CREATE TABLE accounts (number INTEGER PRIMARY KEY, balance INTEGER)");
        await body(stent, bank, url);
      } finally {
        await stent.close();
        await bank.close();
      }
    });

  on("the page's function", async (stent, bank) => {
    await bank.run(ADD);
    stent.register("withdraw", (ctx: Context) => bank.withdraw(ctx, 7, 30));
    await stent.startWorker(impatient);
    assert.equal(await result(stent, "withdraw"), 70);
    assert.deepEqual(await bank.all("SELECT balance FROM accounts"), [{ balance: 70 }]);
  });

  on("a replay finds the record and runs nothing", async (stent, bank) => {
    let [runs, bodies] = [0, 0];
    stent.register("adds", (ctx: Context) => {
      // Another row in each run, so that nothing but the record keeps the body from running.
      return bank.add(ctx, () => bodies++, bank.options, ++runs);
    });
    // What waits is not kept in memory, and runs again from the top.
    await stent.startWorker({ ...impatient, maxCoroutines: 0 });
    assert.equal(await result(stent, "adds"), 1);
    assert.ok(runs > 1, "it has run again from the top");
    assert.deepEqual([await bank.all("SELECT number FROM accounts"), bodies], [[{ number: 1 }], 1]);
  });

  const fails = [
    ["refuses", "Refused", () => { throw new ApplicationError("Refused", "no"); }],
    ["fails", "TypeError", () => { throw new TypeError("no"); }],
    ["rejects", "RangeError", () => Promise.reject(new RangeError("no"))],
    ["ends the transaction", store === "sqlite" ? "SqliteError" : "error", (run: (sql: string) => unknown) => run("ROLLBACK")],
  ] as const;
  for (const [name, type, then] of fails) {
    on(`a body that ${name} rolls back, and that is the step's failure`, async (stent, bank) => {
      let told = 0;
      stent.register(name, async (ctx: Context) => {
        try {
          return await bank.add(ctx, then);
        } catch (error) {
          assert.ok(error instanceof FailedError, String(error));
          // It is recorded: a run after this one hears of the same.
          told++;
          await ctx.sleep(0.01);
          throw error;
        }
      });
      await stent.startWorker({ ...impatient, maxCoroutines: 0 });
      await assert.rejects(result(stent, name), (error: FailedError) => error.failure.type === type);
      assert.deepEqual([await bank.accounts(), told], [0, 2]);
    });
  }

  on("what the database refuses for others' sake is begun again", async (stent, bank) => {
    if (store === "postgres") await bank.run(ADD);
    const once = { retryPolicy: { maxAttempts: 1 } };
    stent.register("again", once, (ctx: Context) => bank.contended(ctx, undefined));
    stent.register("once", once, (ctx: Context) => bank.contended(ctx, 1));
    stent.register("open before", once, (ctx: Context) => bank.contended(ctx, undefined, true));
    await stent.startWorker(impatient);
    const refused = store === "sqlite" ? /database is locked/ : /could not serialize access/;
    await assert.rejects(result(stent, "once"), (error: FailedError) => refused.test(error.failure.message));
    assert.equal(await result(stent, "again"), store === "sqlite" ? 1 : 2);
    if (store === "sqlite") return assert.equal(await bank.accounts(), 1);
    await assert.rejects(result(stent, "open before"), (error: FailedError) => /was open before/.test(error.failure.message));
    assert.deepEqual(await bank.all("SELECT balance FROM accounts"), [{ balance: 73 }]);
  });

  on("another database is told of, and nothing is there", async (stent, bank) => {
    stent.register("elsewhere", { retryPolicy: { maxAttempts: 1 } }, (ctx: Context) => bank.addElsewhere(ctx));
    await stent.startWorker(impatient);
    const says = store === "sqlite" ? /no such function: stent_record_step/ : /there is no store in the schema "else"where"/;
    await assert.rejects(result(stent, "elsewhere"), (error: FailedError) => says.test(error.failure.message));
    assert.equal(await bank.accounts(), 0);
  });

  on("what is no database is refused, and so is an unknown option", async (stent, bank) => {
    stent.register("none", async (ctx: Context) => {
      assert.throws(() => ctx.transaction("open", {} as SqliteDatabase, () => 1), InvalidError);
      await assert.rejects(bank.add(ctx, () => {}, { shema: "x" } as TransactionOptions), /there is no option "shema"/);
      return "refused";
    });
    await stent.startWorker(impatient);
    assert.equal(await result(stent, "none"), "refused");
  });

  on("a failed step is tried again where the policy retries children", async (stent, bank) => {
    let bodies = 0;
    const retryPolicy = { maxAttempts: 3, initialDelay: 0.001, retryChildren: true };
    stent.register("adds", { retryPolicy }, (ctx: Context) =>
      bank.add(ctx, () => {
        if (++bodies === 1) throw new Error("a deadlock");
      }),
    );
    await stent.startWorker(impatient);
    assert.equal(await result(stent, "adds"), 7);
    assert.deepEqual([await bank.accounts(), bodies], [1, 2]);
  });

  on("a commit that nobody heard of is found", async (stent, bank) => {
    bank.afterCommit = () => {
      throw new Error("the connection is lost");
    };
    let bodies = 0;
    // At once, and not by another attempt.
    stent.register("adds", { retryPolicy: { maxAttempts: 1 } }, (ctx: Context) => bank.add(ctx, () => bodies++));
    await stent.startWorker(impatient);
    assert.equal(await result(stent, "adds"), 7);
    assert.deepEqual([await bank.accounts(), bodies], [1, 1]);
  });

  on("who has lost the task commits nothing", async (stent, bank) => {
    const over = store === "sqlite" ? "lease_until = 0" : "lease_expires_at = now()";
    let [runs, bodies] = [0, 0];
    stent.register("adds", async (ctx: Context) => {
      // As another worker's claim leaves it: what waits for its commit is dropped where it stands.
      if (++runs === 1) await bank.run(`UPDATE tasks SET fence = fence + 1, ${over}`);
      return bank.add(ctx, () => bodies++);
    });
    await stent.startWorker(impatient);
    assert.equal(await result(stent, "adds"), 7);
    assert.deepEqual([await bank.accounts(), bodies], [1, 2]);
  });

  on("what is cancelled commits nothing", async (stent, bank) => {
    let told: unknown;
    stent.register("adds", async (ctx: Context) => {
      const cancel = () => stent.execution(ctx.info.executionId).cancel();
      // While a transaction of SQLite's is open nobody else can write.
      if (store === "sqlite") await cancel();
      try {
        return await bank.add(ctx, store === "sqlite" ? () => {} : cancel);
      } catch (error) {
        told = error;
        throw error;
      }
    });
    await stent.startWorker(impatient);
    await assert.rejects(result(stent, "adds"), CancelledError);
    await until("the handler is told", () => told !== undefined);
    assert.ok(told instanceof CancelledError, String(told));
    assert.equal(await bank.accounts(), 0);
  });

  if (store === "postgres") {
    on("a client that is lost fails the step alone, and is in the pool no more", async (stent, bank) => {
      const clients = bank.clients;
      stent.register("loses", (ctx: Context) => bank.loses(ctx));
      await stent.startWorker(impatient);
      await assert.rejects(result(stent, "loses"), /terminat/);
      await until("it is gone", () => bank.clients < clients);
      assert.equal(await bank.accounts(), 0);
    });
  }

  on("transactions of one connection come one after the other", async (stent, bank) => {
    await bank.connect();
    stent.register("many", (ctx: Context, ...numbers: number[]) => bank.addEven(ctx, numbers));
    await stent.startWorker(impatient);
    const executions = await Promise.all([10, 20, 30].map((first) => stent.dispatch("many", [first, first + 1, first + 2, first + 3])));
    for (const execution of executions) assert.equal(await execution.result({ timeout: "60s" }), 2);
    assert.equal(await bank.accounts(), 6);
  });

  for (const [place, again] of [["before", 1], ["after", 0]] as const) {
    on(`what a process killed ${place} the commit has committed is done once`, async (stent, bank, url) => {
      const execution = await stent.dispatch("adds");
      const killed = new Process(process.execPath, [__filename], { [DIES]: `${place} ${url}` });
      await killed.ends();
      assert.equal(killed.signal, "SIGKILL", killed.said);
      assert.equal(await bank.accounts(), place === "after" ? 1 : 0);
      let bodies = 0;
      stent.register("adds", (ctx: Context) => bank.add(ctx, () => bodies++));
      await stent.startWorker(impatient);
      assert.equal(await execution.result({ timeout: "60s" }), 7);
      assert.deepEqual([await bank.accounts(), bodies], [1, again]);
    });
  }
}
