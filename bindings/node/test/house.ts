// A store, a host and helpers for the tests.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { after } from "node:test";
import { open, type Stent } from "../src/index";

export const root = path.join(__dirname, "../..");

/** Nothing here takes so long; what waits this long has failed. */
export const PATIENCE_MS = 60_000;

export type Store = "sqlite" | "postgres";

/** Both, always: a server's URL must be there, as scripts/with-postgres gives it. */
export const STORES: Store[] = ["sqlite", "postgres"];

export function folder(): string {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), "stent-node-"));
  after(() => fs.rmSync(made, { recursive: true, force: true }));
  return made;
}

let schemas = 0;

/** The URL of a store that nobody has used yet. */
export function freshUrl(store: Store): string {
  if (store === "sqlite") return path.join(folder(), "store.db");
  const server = process.env.STENT_TEST_POSTGRES;
  if (!server) throw new Error("STENT_TEST_POSTGRES is not set; run the tests by scripts/with-postgres");
  return `${server}${server.includes("?") ? "&" : "?"}schema=node_${process.pid}_${++schemas}&min_size=0&max_size=6`;
}

/** Installs the packages of a folder below, and compiles what they bring, when they are not there for this Node. */
export function install(place: string, ...options: string[]): void {
  const env = { ...process.env };
  // The headers that came with this Node, else they are fetched.
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  if (fs.existsSync(path.join(prefix, "include/node/node.h"))) env.npm_config_nodedir ??= prefix;
  // What has been compiled stays, as long as it is for this Node.
  const [command, stdio] = [path.join(root, "install-packages"), ["ignore", "ignore", "inherit"] as const];
  execFileSync(command, [place, ...options], { env, stdio: [...stdio], timeout: 300_000 });
}

/** An open store that is closed at the test's end. What fails there is meant to, and not told. */
export async function using<T>(url: string, body: (stent: Stent) => Promise<T>): Promise<T> {
  const stent = await open(url, { logger: false });
  try {
    return await body(stent);
  } finally {
    await stent.close();
  }
}

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const start = Date.now();
  while (!(await condition())) {
    if (Date.now() - start > PATIENCE_MS) throw new Error(`still not: ${what}`);
    await delay(5);
  }
}

export const lines = (file: string): string =>
  fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n").join(" ") : "";

/** A process that is ended with the test. */
export class Process {
  readonly child: ChildProcess;
  said = "";
  code: number | null | undefined;
  signal: string | null | undefined;

  constructor(command: string, args: string[], environment: Record<string, string> = {}) {
    const env = { ...process.env, ...environment };
    this.child = spawn(command, args, { env, stdio: ["pipe", "pipe", "inherit"] });
    this.child.stdout!.on("data", (data) => (this.said += data));
    this.child.on("exit", (code, signal) => ([this.code, this.signal] = [code, signal]));
    after(() => this.child.kill("SIGKILL"));
  }

  says(word: string): Promise<void> {
    return until(`the process says ${word}`, () => {
      if (this.code) throw new Error(`the process ended with code ${this.code} after saying ${this.said}`);
      return this.said.split("\n").includes(word);
    });
  }

  ends(): Promise<void> {
    return until("the process ends", () => this.code !== undefined);
  }
}

export const scenarioWorker = (url: string): Process =>
  new Process(path.join(root, "scenario-worker"), [url, '{"lease_duration": "4s"}']);
