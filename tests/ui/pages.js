// Every page, as everybody sees it.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { HOSTILE, faults, images, settled, tour, visit } from "./harness.js";

async function places({ server, ids }) {
  const { tasks } = await server.api(`/executions/${ids.failed}/timeline`).then(({ rows }) => ({ tasks: rows }));
  const letter = (await server.api("/dead-letters")).dead_letters[0].task.id;
  return [
    "/",
    "/executions",
    "/tasks",
    "/dead-letters",
    "/schedules",
    "/workers",
    "/functions",
    "/queues",
    "/health",
    "/dispatch",
    `/executions/${ids.order}`,
    `/executions/${ids.order}/tree`,
    `/executions/${ids.order}/journal`,
    `/executions/${ids.failed}`,
    `/executions/${ids.failed}/tasks/${tasks[1].id}`,
    `/executions/${ids.moody}`,
    `/dead-letters/${letter}`,
    `/executions/${ids.order}/cancel`,
    `/executions/${ids.failed}/retry`,
  ];
}

async function narrow(page) {
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  return wide <= seen ? [] : [`it is ${wide} wide where ${seen} are seen`];
}

export function pages(of) {
  test("every page opens, light and dark, wide and narrow, and is for everybody", async () => {
    const found = [];
    await tour(of().server, await places(of()), async (page, path) => {
      const look = async (how, ...rules) => found.push(...(await faults(page, ...rules)).map((fault) => `${path} ${how}: ${fault}`));
      await look("light");
      await page.emulateMedia({ colorScheme: "dark" });
      await look("dark", "color-contrast");
      await page.setViewportSize({ width: 360, height: 740 });
      found.push(...(await narrow(page)).map((fault) => `${path} narrow: ${fault}`));
      await page.setViewportSize({ width: 1280, height: 800 });
      await page.emulateMedia({ colorScheme: "light" });
    });
    assert.deepEqual(found, []);
  });

  test("hostile payloads run nothing", async () => {
    const { server, ids } = of();
    const quoted = encodeURIComponent(HOSTILE);
    const { rows } = await server.api(`/executions/${ids.hostile_failed}/timeline`);
    const letter = (await server.api(`/dead-letters?execution=${ids.hostile_failed}`)).dead_letters[0].task.id;
    const all = [
      "/",
      "/executions",
      "/tasks",
      "/dead-letters",
      `/executions/${ids.hostile}`,
      `/executions/${ids.hostile}/tree`,
      `/executions/${ids.hostile}/journal`,
      `/executions/${ids.unknown}`,
      `/executions/${ids.hostile_failed}`,
      `/executions/${ids.hostile_failed}/tasks/${rows[0].id}`,
      `/dead-letters/${letter}`,
      `/executions?function=${quoted}&tag=${quoted}`,
      `/dispatch?function=${quoted}&args=${quoted}`,
      `/executions/${ids.hostile_failed}/retry`,
    ];
    await tour(server, all, async (page, path) => {
      await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
      assert.equal(await page.locator("main img, main script").count(), 0, path);
      if (path.includes(ids.hostile_failed)) assert.match(await page.locator("main").textContent(), /<script>window\.hit=1<\/scrip/);
    });
    const bad = `/executions?since=${quoted}`;
    await visit(server, bad, (page) => page.getByRole("alert").waitFor(), { refused: [400] });
  });

  test("a long name is cut, the labels of a filter stand in a line, and what is sorted is a whole list", async () => {
    const { server } = of();
    const name = `long_${"name_".repeat(48)}`;
    const [id] = (await server.post("/dispatch", { function: name })).ids;
    await visit(server, `/executions?function=${name}`, async (page) => {
      const cut = page.locator(`main tbody tr[id="e-${id}"] .name`);
      assert.equal(await cut.getAttribute("title"), name);
      assert.ok(await cut.evaluate((one) => one.scrollWidth > one.clientWidth));
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
      assert.ok(await page.locator("thead button").count(), "the whole list is here");
      const tops = await page.locator("form.filter label").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().top));
      assert.ok(tops[0] === tops[1] && tops[0] === tops[2], `${tops}`);
    });
    await visit(server, "/executions?function=old", async (page) => {
      assert.equal(await page.locator("thead button").count(), 0, "a part of it would be sorted");
    });
    await server.post(`/executions/${id}/cancel`, {});
  });

  test("a large execution opens as a small one, and scrolls", async () => {
    const { server, ids } = of();
    const opened = {};
    // The first one warms the browser up. Of each the best of some: something else may be in the way of one of them.
    const names = ["small", "small", "big", "small", "big", "small", "big"];
    for (const [index, name] of names.entries()) {
      const before = performance.now();
      await visit(server, `/executions/${ids[name]}`, async (page) => {
        const took = performance.now() - before;
        opened[name] = Math.min(opened[name] ?? Infinity, took);
        const rows = await page.locator(".tl-row").count();
        assert.ok(rows < 100, `${rows} rows are in the page`);
        if (index < names.length - 1) return;
        await page.getByText("10,001 tasks").waitFor();
        await page.locator(".tl-view").focus();
        await page.keyboard.press("End");
        await page.locator(".tl-row[aria-rowindex='10001']").waitFor();
        await page.evaluate(() => (document.querySelector(".tl-view").scrollTop = 5000 * 28));
        await page.locator(".tl-row[aria-rowindex='5001']").waitFor();
        await page.getByLabel("Find a task by its name or error").fill("#9876");
        await page.getByText("1 of 10,001 tasks").waitFor();
      });
    }
    const ratio = opened.big / opened.small;
    console.log(`# 10,000 tasks open in ${ratio.toFixed(1)} times the time of one`);
    assert.ok(ratio < 15, `${ratio}`);
  });

  test("the pages of a hundred thousand executions are as quick as the first", async () => {
    const { server } = of();
    await visit(server, "/executions?function=old", async (page) => {
      const seen = new Set();
      const collect = async () => {
        const ids = await page.locator("main tbody tr").evaluateAll((rows) => rows.map((row) => row.id));
        assert.equal(ids.length, 50);
        ids.forEach((id) => assert.ok(!seen.has(id), `${id} is seen twice`) ?? seen.add(id));
      };
      await collect();
      for (let turn = 0; turn < 4; turn++) {
        const here = page.url();
        await page.getByRole("link", { name: "Older" }).click();
        await page.waitForURL((url) => url.href !== here);
        await settled(page);
        await collect();
      }
      const last = page.url();
      await page.getByRole("link", { name: "Newest" }).click();
      await page.waitForURL((url) => !url.searchParams.has("after"));
      await page.goto(last);
      assert.equal(await page.locator("main tbody tr").count(), 50);
    });
    const time = async (path) => {
      const before = performance.now();
      await server.api(path);
      return performance.now() - before;
    };
    const { next } = await server.api("/executions?function=old&limit=500");
    let after = next;
    for (let turn = 0; turn < 20; turn++) after = (await server.api(`/executions?function=old&limit=500&after=${encodeURIComponent(after)}`)).next;
    const best = async (path) => Math.min(await time(path), await time(path), await time(path));
    const ratio = (await best(`/executions?after=${encodeURIComponent(after)}`)) / (await best("/executions"));
    console.log(`# the page after 10,000 others takes ${ratio.toFixed(1)} times the time of the first`);
    assert.ok(ratio < 10, `${ratio}`);
  });

  if (process.env.UPDATE_SCREENSHOTS) test("the pictures of the documents are made", async () => {
    const { server, ids } = of();
    mkdirSync(images, { recursive: true });
    const shots = { overview: "/", execution: `/executions/${ids.order}`, mismatch: `/executions/${ids.moody}` };
    for (const [name, path] of Object.entries(shots)) {
      for (const colorScheme of ["light", "dark"]) {
        const shot = async (page) => {
          if (name === "overview") await page.locator("main path[d*='L']").first().waitFor({ state: "attached" });
          await page.screenshot({ path: join(images, `ui-${name}-${colorScheme}.png`), scale: "css" });
        };
        await visit(server, path, shot, { colorScheme, viewport: { width: 1200, height: 800 } });
      }
    }
    const shot = (page) => page.screenshot({ path: join(images, "ui-phone.png") });
    await visit(server, `/executions/${ids.order}`, shot, { viewport: { width: 360, height: 740 } });
  });
}
