// What the tests stand on: the real `stent ui` on a store that real workers have filled, and one browser.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

const root = join(import.meta.dirname, "../..");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const HOSTILE =
  "\"'></script></title></textarea></template><script>window.hit=1</script><img src=x onerror='window.hit=2'>\u202e&amp;{{7*7}}";
export const PATIENCE = 60_000;

const folder = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), "stent-ui-"));
const children = new Set();

/** A process that says one line when it is ready; it ends with the tests. */
async function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", options.quiet ? "ignore" : "inherit"], env: { ...process.env, ...options.env } });
  children.add(child);
  child.ended = new Promise((resolve) => child.on("close", resolve));
  const said = createInterface(child.stdout)[Symbol.asyncIterator]();
  const { value } = await said.next();
  if (value === undefined) throw new Error(`${command} ${args.join(" ")} has ended`);
  return { child, line: value };
}

/** A worker's process: `feed` fills the store first, and tells the ids of what it has started. */
export async function worker(what, store, ...more) {
  const flag = join(folder, `flag-${stores.indexOf(store)}`);
  const { child, line } = await start(process.env.STENT_UI_PYTHON, [join(import.meta.dirname, "worker.py"), what, store, flag, ...more], { quiet: true });
  return { child, ids: JSON.parse(line) };
}

export class Server {
  static async start(store, args = [], env = {}) {
    const server = new Server();
    server.store = store;
    server.log = join(folder, `audit-${Math.random()}`);
    const all = ["--db", store, "ui", "--listen", "127.0.0.1:0", "--audit-log", server.log, ...args];
    const { child, line } = await start(process.env.STENT_UI_COMMAND, all, { env });
    server.child = child;
    server.url = line.match(/http:\/\/[^/ ]+/)[0];
    return server;
  }

  async api(path) {
    const answer = await fetch(`${this.url}/api${path}`);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  async post(path, body) {
    const { csrf } = await this.api("/session");
    const headers = { "x-stent-csrf": csrf, "content-type": "application/json" };
    const answer = await fetch(`${this.url}/api${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** The last line of its log of acts. */
  audit() {
    return JSON.parse(readFileSync(this.log, "utf8").trimEnd().split("\n").at(-1));
  }
}

export const stores = [join(folder, "ui.db"), process.env.STENT_TEST_POSTGRES].filter(Boolean);
export const nameOf = (store) => (store.startsWith("postgres") ? "PostgreSQL" : "SQLite");

let browser;
export async function launch() {
  const args = ["--disable-gpu", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])];
  browser = await chromium.launch({ executablePath: process.env.STENT_UI_CHROMIUM ?? "/usr/bin/chromium", args });
}

/** Opens a page of its own; when `use` is over, nothing that a page may not do has been seen. */
export const visit = (server, path, use, options) => tour(server, [path], use, options);

/** The same for many, one after the other in one tab: a process of the browser's for each would cost more than what is seen. */
export async function tour(server, paths, use, options = {}) {
  const { refused = [], ...more } = options;
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, timezoneId: "Europe/Berlin", ...more });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const wrong = [];
  const isMeant = (status) => refused.includes(status);
  page.on("console", (said) => {
    if (["error", "warning"].includes(said.type()) && !refused.some((status) => said.text().includes(`status of ${status}`))) wrong.push(said.text());
  });
  page.on("pageerror", (error) => wrong.push(`${error.message} ${error.stack}`));
  page.on("dialog", (dialog) => {
    wrong.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  // A stream ends when its page is left.
  page.on("requestfailed", (request) => {
    if (!request.failure()?.errorText.includes("ERR_ABORTED")) wrong.push(`${request.url()}: ${request.failure()?.errorText}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(server.url)) wrong.push(`it asks another site: ${request.url()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400 && !isMeant(response.status())) wrong.push(`${response.status()} ${response.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
  });
  let at;
  try {
    for (at of paths) {
      await page.goto(server.url + at);
      await settled(page);
      await use(page, at);
      if (await page.evaluate(() => window.hit)) wrong.push("a script of the store has run");
      if (wrong.length) break;
    }
  } finally {
    await context.close();
  }
  if (wrong.length) throw new Error(`${at}:\n${wrong.join("\n")}`);
}

/** Its stream is open, and a timeline is drawn. The page's own policy forbids what Playwright would wait with. */
export async function settled(page) {
  await page.evaluate(
    () =>
      new Promise((resolve) => {
        const look = () => {
          const isLive = !document.body.dataset.stream || document.querySelector("#live")?.dataset.state === "on";
          const isDrawn = !document.querySelector("#timeline") || document.querySelector(".tl-row, #timeline .bad");
          if (isLive && isDrawn) resolve();
          else setTimeout(look, 10);
        };
        look();
      }),
  );
}

/** What axe finds serious or critical; by these of its rules only, if any are given. */
export async function faults(page, ...rules) {
  await page.evaluate(`window.axe || (() => { ${axe} })()`);
  const options = { resultTypes: ["violations"], ...(rules.length && { runOnly: { type: "rule", values: rules } }) };
  const { violations } = await page.evaluate((options) => window.axe.run(options), options);
  return violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 200)).slice(0, 4).join(" | ")}`);
}

export async function until(what, holds) {
  const end = Date.now() + PATIENCE;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function end() {
  await browser?.close();
  for (const child of children) child.kill("SIGKILL");
  await Promise.all([...children].map((child) => child.ended));
  rmSync(folder, { recursive: true, force: true });
}

export const images = join(root, "docs/images");
