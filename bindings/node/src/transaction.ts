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
  on?(event: "error", listener: (error: Error) => void): unknown;
  off?(event: "error", listener: (error: Error) => void): unknown;
}

type Statements = (sql: string, parameters: string[]) => unknown;

/** Runs the body in the transaction, records the text that it gives by the token, and commits. */
export type Transaction = (token: string, body: (connection: any) => Promise<string | null>) => Promise<void>;

/** On this connection, or one of this pool's. Who is none of these is refused. */
export function transactionOn(database: object, schema: string): Transaction {
  if ("prepare" in database && "exec" in database) {
    const db = database as SqliteDatabase;
    // One after the other, whatever their files: who waits for a lock stops the thread on which it would be given back.
    return (token, body) => inTurn(ALL_OF_SQLITE, () => onSqlite(db, token, body));
  }
  const record = `SELECT "${schema.replace(/"/g, '""')}".record_step($1, $2)`;
  if ("totalCount" in database && "connect" in database) {
    return (token, body) => onPool(database as QueryPool<LentClient>, record, token, body);
  }
  if ("query" in database) {
    const client = database as QueryClient;
    const run: Statements = (sql, parameters) => client.query(sql, parameters);
    return (token, body) => inTurn(client, () => within(run, "BEGIN", record, token, () => body(client)));
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
  return within(run, "BEGIN IMMEDIATE", "SELECT stent_record_step(?, ?)", token, () => body(db));
}

async function onPool(
  pool: QueryPool<LentClient>,
  record: string,
  token: string,
  body: (client: LentClient) => Promise<string | null>,
): Promise<void> {
  const client = await pool.connect();
  let lost: Error | undefined;
  // Whoever loses a client of a pool that is lent hears of it so, or the process ends; its query fails as well.
  const lose = (error: Error) => (lost = error);
  client.on?.("error", lose);
  try {
    const run: Statements = (sql, parameters) => client.query(sql, parameters);
    await within(run, "BEGIN", record, token, () => body(client), (error) => (lost ??= error));
  } finally {
    client.off?.("error", lose);
    client.release(lost);
  }
}

/** `onStuck` is told where even the rollback fails: the connection is of no use any more. */
async function within(
  run: Statements,
  begin: string,
  record: string,
  token: string,
  body: () => Promise<string | null>,
  onStuck: (error: Error) => void = () => {},
): Promise<void> {
  await run(begin, []);
  try {
    // Where the body has ended the transaction its savepoint is gone, and nothing is recorded without it.
    await run("SAVEPOINT stent_step", []);
    const result = await body();
    await run("RELEASE SAVEPOINT stent_step", []);
    await run(record, [token, result ?? "null"]);
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
