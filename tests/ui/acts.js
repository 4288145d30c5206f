// What people do on the page, by mouse and by keys, and what happens while they look.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Server, settled, until, visit, worker } from "./harness.js";

const TOKEN = "a token of the tests, and nobody else's";
const state = async (server, id) => (await server.api(`/executions/${id}`)).execution.state;

export function acts(of) {
  const audited = (action, ...ids) => {
    const line = of().server.audit();
    assert.deepEqual([line.action, line.outcome, line.by], [action, "done", "local"]);
    for (const id of ids) assert.ok(line.ids.includes(id), `${id} of ${JSON.stringify(line)}`);
  };

  test("an execution is dispatched, signalled and cancelled", async () => {
    const { server, ids } = of();
    await visit(server, "/functions", async (page) => {
      await page.getByRole("row", { name: /^waits/ }).getByRole("link", { name: "Dispatch" }).click();
      assert.equal(await page.getByLabel("Function", { exact: true }).inputValue(), "waits");
      assert.ok(await page.locator("datalist#functions option[value=order]").count());
      await page.getByLabel("Arguments, a JSON list").fill("[");
      await page.getByText("This is no JSON yet").waitFor();
      await page.getByLabel("Arguments, a JSON list").fill("[]");
      await page.getByRole("button", { name: "Next" }).click();
      await page.getByText("This starts an execution of waits").waitFor();
      await page.locator("main").getByRole("button", { name: "Dispatch" }).click();
      await page.waitForURL(/\/executions\/[0-9a-f-]{36}$/);
      audited("dispatch", page.url().split("/").at(-1));
    });
    await visit(server, `/executions/${ids.waits0}`, async (page) => {
      await page.getByRole("link", { name: "Send a signal" }).click();
      await page.getByLabel("Name", { exact: true }).fill("go");
      await page.getByLabel("Payload, JSON").fill('{"by": "hand"}');
      await page.getByRole("button", { name: "Next" }).click();
      await page.getByText("This sends the signal go").waitFor();
      await page.getByRole("button", { name: "Send" }).click();
      await page.waitForURL(`**/executions/${ids.waits0}`);
      await page.locator("h1").getByText("completed").waitFor();
      audited("signal", ids.waits0);
    });
    await visit(server, `/executions/${ids.waits1}`, async (page) => {
      await page.getByRole("link", { name: "Cancel" }).click();
      assert.notEqual(await state(server, ids.waits1), "cancelled");
      await page.getByLabel("Reason, kept with the execution").fill("of no use");
      await page.getByRole("button", { name: "Cancel it" }).click();
      await page.locator("h1").getByText("cancelled").waitFor();
      await page.getByText("of no use").waitFor();
      audited("cancel", ids.waits1);
    });
  });

  test("letters are replayed and discarded, one and many; a parked task is resumed", async () => {
    const { server, ids } = of();
    await visit(server, `/executions/${ids.failed0}`, async (page) => {
      await page.getByRole("link", { name: "Retry" }).click();
      await page.getByRole("button", { name: "Retry" }).click();
      await page.waitForURL((url) => /\/executions\/[0-9a-f-]{36}$/.test(url.pathname) && !url.pathname.includes(ids.failed0));
      audited("retry");
    });
    await visit(server, `/dead-letters?execution=${ids.failed1}`, async (page) => {
      await page.locator("main tbody tr th a").click();
      await page.getByRole("link", { name: "Replay", exact: true }).click();
      await page.getByRole("button", { name: "Replay" }).click();
      await page.waitForURL(/\/executions\//);
      audited("replay");
    });
    await visit(server, `/dead-letters?execution=${ids.failed2}`, async (page) => {
      await page.locator("main tbody tr th a").click();
      await page.getByRole("link", { name: "Discard", exact: true }).click();
      await page.getByRole("button", { name: "Discard" }).click();
      await page.getByText("1 dead letter discarded.").waitFor();
      audited("discard");
    });
    await visit(server, "/dead-letters", async (page) => {
      const before = (await server.api("/dead-letters")).dead_letters.length;
      await page.locator("main tbody input[type=checkbox]").nth(0).check();
      await page.locator("main tbody input[type=checkbox]").nth(1).check();
      await page.getByRole("button", { name: "Discard the chosen" }).click();
      await page.getByRole("button", { name: "Discard" }).click();
      await page.getByText("2 dead letters discarded.").waitFor();
      assert.equal((await server.api("/dead-letters")).dead_letters.length, before - 2);
      assert.equal(server.audit().ids.length, 2);
      await page.getByRole("link", { name: "Go on" }).click();
      await page.getByLabel("Choose all on this page").check();
      await page.getByRole("link", { name: "Discard all of this filter" }).click();
      await page.getByRole("button", { name: "Discard" }).click();
      await page.getByRole("link", { name: "Go on" }).click();
      await page.getByText("No dead letters.").waitFor();
      audited("discard");
    });
    await visit(server, `/executions/${ids.moody}`, async (page) => {
      const sides = page.locator(".sides pre");
      assert.match(await sides.nth(0).textContent(), /wait for signal "go"/);
      assert.match(await sides.nth(1).textContent(), /activity "add" with args/);
      await page.getByRole("link", { name: "Resume" }).click();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.locator("h1").getByText("completed").waitFor();
      audited("resume");
    });
  });

  test("a queue and a function are paused and resumed", async () => {
    const { server } = of();
    await visit(server, "/queues", async (page) => {
      await page.getByRole("row", { name: /^default/ }).getByRole("link", { name: "Pause" }).click();
      await page.getByLabel("Reason, shown to whoever waits").fill("a <b>flood</b>");
      await page.getByRole("button", { name: "Pause it" }).click();
      await page.waitForURL("**/queues");
      await page.getByRole("row", { name: /^default/ }).getByText("a <b>flood</b>").waitFor();
      assert.deepEqual([server.audit().action, server.audit().of], ["pause", "queue default"]);
      const [id] = (await server.post("/dispatch", { function: "waits", queue: "default" })).ids;
      await page.getByRole("row", { name: /^default/ }).getByRole("link", { name: "Resume" }).click();
      assert.equal(await state(server, id), "pending");
      await page.getByRole("button", { name: "Resume it" }).click();
      await page.waitForURL("**/queues");
      await until("it runs", async () => (await state(server, id)) === "running");
      await server.post(`/executions/${id}/cancel`, {});
    });
    await visit(server, "/functions", async (page) => {
      await page.getByRole("row", { name: /^waits/ }).getByRole("link", { name: "Pause" }).click();
      await page.getByRole("button", { name: "Pause it" }).click();
      await page.waitForURL("**/functions");
      await page.getByRole("row", { name: /^waits/ }).getByText("paused", { exact: true }).waitFor();
      await page.getByRole("row", { name: /^waits/ }).getByRole("link", { name: "Resume" }).click();
      await page.getByRole("button", { name: "Resume it" }).click();
      await page.waitForURL("**/functions");
      assert.equal(await page.getByText("paused", { exact: true }).count(), 0);
      assert.deepEqual([server.audit().action, server.audit().of], ["resume", "function waits"]);
    });
  });

  test("what is looked at changes by itself, and what was chosen on it stays", async () => {
    const { server, ids } = of();
    await visit(server, `/executions/${ids.waits2}`, async (page) => {
      await page.evaluate(() => (window.same = true));
      await page.locator("details.payload").first().evaluate((one) => (one.open = true));
      await page.getByRole("link", { name: "Journal" }).focus();
      await page.setViewportSize({ width: 1280, height: 300 });
      await page.evaluate(() => scrollTo(0, 120));
      await server.post(`/executions/${ids.waits2}/signal`, { name: "go", payload: "heard by itself" });
      await page.locator("h1").getByText("completed").waitFor();
      await page.locator(".json").getByText("heard by itself").first().waitFor();
      await page.locator(".tl-row .g-completed").first().waitFor();
      const kept = await page.evaluate(() => [
        window.same,
        document.querySelector("details.payload").open,
        document.activeElement.textContent,
        scrollY,
      ]);
      assert.deepEqual(kept, [true, true, "Journal", 120]);
    });
  });

  test("a worker that is killed is seen to be gone, and its task goes to another", async () => {
    const { server, store } = of();
    const first = await worker("work", store, "doomed");
    const [id] = (await server.post("/dispatch", { function: "runs_slow" })).ids;
    await visit(server, "/workers", async (page) => {
      await page.evaluate(() => (window.same = true));
      await page.getByText("Held by doomed").waitFor();
      first.child.kill("SIGKILL");
      await page.getByRole("rowheader", { name: "doomed", exact: true }).waitFor({ state: "detached" });
      await page.getByText("Held by doomed").waitFor({ state: "detached" });
      const second = await worker("work", store, "heir");
      await page.getByText("Held by heir").waitFor();
      assert.equal(await page.evaluate(() => window.same), true);
      await server.post(`/executions/${id}/cancel`, {});
      second.child.kill("SIGKILL");
    });
  });

  test("keys alone do it", async () => {
    const { server } = of();
    const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
    await visit(server, "/executions", async (page) => {
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), "Skip to the content");
      await page.keyboard.press("Enter");
      // From there on the next Tab goes: the browser goes there when it finds the time.
      await until("it is skipped to", () => page.evaluate(() => document.activeElement.id === "main"));
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), "f-state", "the first thing of the content");
      await page.keyboard.press("Escape");
      await page.keyboard.press("/");
      assert.equal(await focused(page), "find");
      await page.keyboard.press("Escape");
      await page.keyboard.press("?");
      const dialog = page.getByRole("dialog", { name: "Keys" });
      await dialog.waitFor();
      // The browser's own places after the page's are the only ones beside.
      for (let turn = 0; turn < 6; turn++) {
        await page.keyboard.press("Tab");
        assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog")));
      }
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "hidden" });
      await page.keyboard.press("j");
      await page.keyboard.press("j");
      // In one look: the list is live.
      const [second, chosen] = await page.evaluate(() => {
        const rows = [...document.querySelectorAll("main tbody tr")];
        return [rows[1].querySelector("a"), document.activeElement].map((one) => one.getAttribute("href"));
      });
      assert.equal(chosen, second);
      await page.keyboard.press("Enter");
      await page.waitForURL(`**${second}`);
      await settled(page);
      // The second key counts for a moment only, which may be over on a busy machine.
      await until("it goes where the keys say", async () => {
        await page.keyboard.press("g");
        await page.keyboard.press("d");
        return page.waitForURL("**/dead-letters", { timeout: 10_000 }).then(() => true, () => false);
      });
    });
  });

  test("read-only: nothing can be done", async () => {
    const { store, ids } = of();
    const server = await Server.start(store, ["--read-only"]);
    for (const path of ["/", "/functions", "/dead-letters", `/executions/${ids.waits3}`]) {
      await visit(server, path, async (page) => {
        for (const name of ["Dispatch", "Pause", "Resume", "Send a signal", "Cancel", "Replay all of this filter"]) assert.equal(await page.getByRole("link", { name, exact: true }).count(), 0, name);
        assert.equal(await page.locator("form[method=post]").count(), 0);
      });
    }
    await visit(server, `/executions/${ids.waits3}/cancel`, (page) => page.getByText("This page only reads.").waitFor(), { refused: [403] });
    await assert.rejects(server.post(`/executions/${ids.waits3}/cancel`, {}), /403/);
    assert.equal(await state(server, ids.waits3), "running");
    server.child.kill();
  });

  test("a token is asked for once; strangers' pages and names do nothing", async () => {
    const { server: open, store, ids } = of();
    const server = await Server.start(store, [], { STENT_UI_TOKEN: TOKEN });
    const options = { refused: [401] };
    const login = async (page) => {
      await page.getByLabel("Token").fill("not the token of these tests");
      await page.keyboard.press("Enter");
      await page.getByText("That is not the token.").waitFor();
      await page.getByLabel("Token").fill(TOKEN);
      await page.keyboard.press("Enter");
      await page.waitForURL("**/executions");
      await settled(page);
      const cookies = await page.context().cookies();
      assert.deepEqual(cookies.map((one) => [one.httpOnly, one.sameSite]), [[true, "Strict"]]);
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByLabel("Token").waitFor();
    };
    await visit(server, "/executions", login, options);
    server.child.kill();
    // A form of another site, and a form without the secret.
    const send = (headers, body) => fetch(`${open.url}/executions/${ids.waits3}/cancel`, { method: "POST", headers, body, redirect: "manual" });
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const { csrf } = await open.api("/session");
    assert.equal((await send({ ...form, origin: open.url }, "confirm=yes")).status, 403);
    assert.equal((await send({ ...form, origin: "http://evil.example" }, `csrf=${csrf}&confirm=yes`)).status, 403);
    assert.equal(await state(open, ids.waits3), "running");
    const { request } = await import("node:http");
    const status = await new Promise((resolve) => request(open.url, { headers: { host: "evil.example" } }, (answer) => resolve(answer.resume().statusCode)).end());
    assert.ok([400, 403, 421].includes(status), `${status}`);
    await until("an open page's server still answers", async () => (await fetch(open.url)).ok);
  });
}
