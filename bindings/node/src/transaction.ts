// A step in a transaction of the program's own: its record is written by the same connection, in the same commit. Drivers are known
// by what they can do, so that the package needs none.

import { misuse } from "./errors";

/** A client of PostgreSQL, as `pg` has it; or whatever runs a query so. */
export interface QueryClient {
  query(sql: string, parameters?: any[]): unknown;
}

/** A pool of such clients, as `pg` has it: one is lent for the transaction. */
export interface QueryPool<C> {
  readonly totalCount: number;
  connect: { (): Promise<C>; (callback: never): unknown };
}

/** A SQLite file, as better-sqlite3 and node:sqlite have it, with the extension loaded. */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): { all(...parameters: any[]): unknown };
}

interface LentClient extends QueryClient {
  release(error?: Error | boolean): void;
  on?(event: "error" | "notice", listener: (told: Error & { code?: string }) => void): unknown;
  off?(event: "error" | "notice", listener: (told: Error & { code?: string }) => void): unknown;
}

type Statements = (sql: string, parameters: string[]) => unknown;

/** So often a transaction is begun that the database refuses for others' sake, if nothing else is said. */
const ATTEMPTS = 5;

/** In milliseconds; each is twice as long as the one before, and up to a half shorter, so that two don't meet again. */
const [PAUSE_FIRST, PAUSE_LONGEST] = [10, 1000];

/** Runs the body in the transaction, records the text that it gives by the token, and commits. */
export type Transaction = (token: string, body: (connection: any) => Promise<string | null>) => Promise<void>;

/** On this connection, or one of this pool's. Who is none of these is refused. */
export function transactionOn(database: object, schema: string, attempts: number = ATTEMPTS): Transaction {
  if (!Number.isInteger(attempts) || attempts < 1) throw misuse(`transaction: attempts is ${attempts}; it must be 1 or more`);
  const once = attemptOn(database, schema);
  return async (token, body) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(token, body);
      } catch (error) {
        if (attempt === attempts || !isConflict(error)) throw error;
        const pause = Math.min(PAUSE_FIRST * 2 ** (attempt - 1), PAUSE_LONGEST);
        await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
      }
    }
  };
}

/** Whether the same transaction may come through when it is begun again: as the drivers, and who stands around them, say it. */
function isConflict(error: unknown): boolean {
  for (let why: any = error; why instanceof Error; why = why.cause) {
    const { code, errcode } = why as { code?: unknown; errcode?: unknown };
    if (code === "40001" || code === "40P01") return true;
    if (typeof code === "string" && /^SQLITE_(BUSY|LOCKED)/.test(code)) return true;
    // node:sqlite's, with what SQLite adds to its BUSY and LOCKED.
    if (code === "ERR_SQLITE_ERROR" && [5, 6].includes(Number(errcode) & 0xff)) return true;
  }
  return false;
}

function attemptOn(database: object, schema: string): Transaction {
  if ("prepare" in database && "exec" in database) {
    const db = database as SqliteDatabase;
    // One after the other, whatever their files: who waits for a lock stops the thread on which it would be given back.
    return (token, body) => inTurn(ALL_OF_SQLITE, () => onSqlite(db, token, body));
  }
  if ("totalCount" in database && "connect" in database) {
    return (token, body) => onPool(database as QueryPool<LentClient>, schema, token, body);
  }
  if ("query" in database) {
    const client = database as LentClient;
    return (token, body) => inTurn(client, () => onClient(client, schema, token, body));
  }
  throw misuse("transaction: the database must be a client or a pool of pg, or a database of better-sqlite3 or node:sqlite");
}

const ALL_OF_SQLITE = {};
const lasts = new WeakMap<object, Promise<unknown>>();

/** After whoever has come before: a connection has one transaction at a time. */
function inTurn<T>(connection: object, body: () => Promise<T>): Promise<T> {
  const turn = (lasts.get(connection) ?? Promise.resolve()).then(body);
  lasts.set(connection, turn.catch(() => {}));
  return turn;
}

function onSqlite(db: SqliteDatabase, token: string, body: (db: SqliteDatabase) => Promise<string | null>): Promise<void> {
  const run: Statements = (sql, parameters) =>
    parameters.length === 0 ? db.exec(sql) : db.prepare(sql).all(...parameters);
  // The write lock from the beginning: who takes it later may be refused it.
  const begin = () => run("BEGIN IMMEDIATE", []);
  return within(run, begin, (parameters) => run("SELECT stent_record_step(?, ?)", parameters), () => body(db), token);
}

async function onPool(
  pool: QueryPool<LentClient>,
  schema: string,
  token: string,
  body: (client: LentClient) => Promise<string | null>,
): Promise<void> {
  const client = await pool.connect();
  let lost: Error | undefined;
  // Whoever loses a client of a pool that is lent hears of it so, or the process ends; its query fails as well.
  const lose = (error: Error) => (lost = error);
  client.on?.("error", lose);
  try {
    await onClient(client, schema, token, body, (error) => (lost ??= error));
  } finally {
    client.off?.("error", lose);
    client.release(lost);
  }
}

async function onClient(
  client: LentClient,
  schema: string,
  token: string,
  body: (client: LentClient) => Promise<string | null>,
  onStuck?: (error: Error) => void,
): Promise<void> {
  let taken = false;
  // "There is already a transaction in progress": it is the program's.
  const hear = (notice: Error & { code?: string }) => (taken ||= notice.code === "25001");
  const begin = async () => {
    client.on?.("notice", hear);
    try {
      await client.query("BEGIN");
    } finally {
      client.off?.("notice", hear);
    }
  };
  const run: Statements = (sql, parameters) => client.query(sql, parameters);
  try {
    await within(run, begin, (parameters) => recordIn(schema, client, parameters), () => body(client), token, onStuck);
  } catch (error) {
    if (!taken || !isConflict(error)) throw error;
    const told = `the database has refused the transaction for others' sake (${(error as Error).message}), and it can't be begun again here: \
it was open before ctx.transaction, which knows nothing of what was done in it; leave the beginning to ctx.transaction`;
    throw misuse(told);
  }
}

async function recordIn(schema: string, client: LentClient, parameters: string[]): Promise<void> {
  try {
    // The work has been done in the transaction, which was seen just before; some work is to look at nothing.
    await client.query(`SELECT "${schema.replace(/"/g, '""')}".record_step($1, $2) FROM txid_current()`, parameters);
  } catch (error) {
    // No such schema, no such function.
    if (!["3F000", "42883"].includes((error as { code?: string }).code ?? "")) throw error;
    throw misuse(
      `transaction: there is no store in the schema "${schema}" of this connection's database (${(error as Error).message}): ` +
        "give the schema of the store's URL as the option schema, and a connection to the same database",
    );
  }
}

/** `onStuck` is told where even the rollback fails: the connection is of no use any more. */
async function within(
  run: Statements,
  begin: () => unknown,
  record: (parameters: string[]) => unknown,
  body: () => Promise<string | null>,
  token: string,
  onStuck: (error: Error) => void = () => {},
): Promise<void> {
  await begin();
  try {
    // Where the body has ended the transaction its savepoint is gone, and nothing is recorded without it.
    await run("SAVEPOINT stent_step", []);
    const result = await body();
    await run("RELEASE SAVEPOINT stent_step", []);
    await record([token, result ?? "null"]);
    await run("COMMIT", []);
  } catch (thrown) {
    try {
      await run("ROLLBACK", []);
    } catch (error) {
      // What went wrong first is what is told.
      onStuck(error as Error);
    }
    throw thrown;
  }
}
