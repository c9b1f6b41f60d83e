// `slhf-lab ui` in Chromium. Started by tests/tests/browser.rs: node ui.mjs CHROMIUM URL EXPERIMENT RUN COMMAND…
// COMMAND starts another run in the record that the pages show.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [chromiumPath, url, experiment, run, shots, ...command] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const name = encodeURIComponent(experiment);
const views = [
  "", `experiment/${name}`, `cells/${name}`, `pivot/${name}`, `parallel/${name}`, `run/${run}`, "runs", `curves?experiment=${name}`, `samples?run=${run}`, "audits",
];
const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });

async function tab(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error") page.problems.push(message.text()); });
  page.on("request", (request) => { if (!request.url().startsWith(url) && !request.url().startsWith("data:")) page.problems.push("asks " + request.url()); });
  return page;
}

async function check(what, test) {
  try {
    await test();
    console.log("ok", what);
  } catch (error) {
    console.error("FAILED", what);
    throw error;
  }
}

// axe's script is put in by the debugger, which no policy of a page concerns.
async function accessible(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = found.violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  assert.deepEqual(serious.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html)}`), [], where);
}

for (const colorScheme of ["light", "dark"]) {
  for (const width of [400, 1600]) {
    await check(`every view, ${colorScheme}, ${width} pixels`, async () => {
      const page = await tab({ colorScheme, viewport: { width, height: 900 } });
      for (const view of views) {
        const response = await page.goto(url + view);
        assert.equal(response.status(), 200, view);
        assert.ok((await page.textContent("h1")).length > 0, view);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${view} is ${over} pixels wider than the window`);
        await accessible(page, view);
      }
      assert.deepEqual(page.problems, []);
      if (shots !== "-" && colorScheme === "light" && width === 1600) {
        await page.setViewportSize({ width: 1100, height: 760 });
        for (const [file, view] of [["ui-cells", `cells/${name}`], ["ui-curves", `curves?experiment=${name}`]]) {
          await page.goto(url + view);
          await page.screenshot({ path: `${shots}/${file}.png` });
        }
      }
      await page.context().close();
    });
  }
}

const column = (page, at) => page.$$eval(`tbody tr td:nth-child(${at})`, (cells) => cells.map((cell) => cell.textContent.trim()));

await check("a table sorts by its headings, and its address says how", async () => {
  const page = await tab();
  await page.goto(url + "runs");
  await page.click("th >> text=seed");
  await page.waitForURL(/sort=seed/);
  const seeds = (await column(page, 4)).map(Number);
  assert.deepEqual(seeds, [...seeds].sort((a, b) => a - b));
  assert.equal(await page.getAttribute("th:nth-child(4)", "aria-sort"), "ascending");
  await page.click("th >> text=seed");
  await page.waitForURL(/sort=-seed/);
  const reversed = (await column(page, 4)).map(Number);
  assert.deepEqual(reversed, [...seeds].reverse());
  const again = await tab();
  await again.goto(page.url());
  assert.deepEqual((await column(again, 4)).map(Number), reversed);
});

await check("a filter narrows while one types, and its address can be sent", async () => {
  const page = await tab();
  await page.goto(url + "runs");
  const all = (await column(page, 1)).length;
  const first = (await column(page, 3))[0];
  await page.fill("#q", first);
  await page.waitForFunction((text) => location.search.includes("q=") && [...document.querySelectorAll("tbody tr td:nth-child(3)")].every((cell) => cell.textContent.includes(text)), first);
  const few = (await column(page, 1)).length;
  assert.ok(few > 0 && few < all, `${few} of ${all}`);
  assert.equal(await page.evaluate(() => document.activeElement.id), "q");
  const again = await tab();
  await again.goto(page.url());
  assert.equal((await column(again, 1)).length, few);
});

await check("the keyboard is enough", async () => {
  const page = await tab();
  await page.goto(url + "runs");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "q");
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  const second = (await column(page, 1))[1];
  await page.keyboard.press("Enter");
  await page.waitForURL(new RegExp(`/run/${second}$`));
  await page.keyboard.press("u");
  await page.waitForURL(url);
  await page.keyboard.press("Tab");
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Skip/);
});

await check("the pointer says what lies below it, and a part that it is dragged over is drawn by itself", async () => {
  const page = await tab({ viewport: { width: 1200, height: 900 } });
  await page.goto(`${url}curves?experiment=${name}&key=num_tokens&x=step&y=linear`);
  const plot = await page.$eval("svg.figure rect[data-x]", (rect) => { const box = rect.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; });
  await page.mouse.move(plot[0] + plot[2] / 2, plot[1] + plot[3] / 2);
  const said = await page.textContent("#tip");
  assert.match(said, /^[0-9.]+\n/, said);
  assert.match(said, /: [0-9.]+$/m, said);
  await page.mouse.down();
  await page.mouse.move(plot[0] + plot[2] * 0.98, plot[1] + plot[3] / 2, { steps: 4 });
  assert.equal(await page.$$eval(".brush", (found) => found.length), 1);
  await page.mouse.up();
  await page.waitForURL(/from=[0-9.]+&to=[0-9.]+/);
  await page.waitForFunction(() => Number(document.getElementById("from").value) > 1);
  const axis = await page.$eval("svg.figure rect[data-x]", (rect) => rect.dataset.x.split(" ").map(Number));
  assert.ok(axis[1] > 1, axis);
  await page.goBack();
  await page.waitForFunction(() => document.getElementById("from").value === "");
  assert.deepEqual(page.problems, []);
});

await check("pinned cells stay above the others", async () => {
  const page = await tab();
  await page.goto(`${url}cells/${name}`);
  const last = await page.$$eval("tbody tr", (rows) => rows[rows.length - 1].cells[0].textContent.trim());
  await page.click("tbody tr:last-child a.pin");
  await page.waitForURL(/pin=/);
  assert.equal((await column(page, 1))[0].replace("★", "☆"), last);
  await page.click("th:nth-child(2) a, th:nth-child(3) a");
  await page.waitForURL(/sort=/);
  assert.equal((await column(page, 1))[0].replace("★", "☆"), last);
  await page.click("tbody tr:first-child a.pin");
  await page.waitForFunction(() => !location.search.includes("pin="));
});

await check("tags and notes are written, with and without JavaScript", async () => {
  for (const javaScriptEnabled of [true, false]) {
    const page = await tab({ javaScriptEnabled });
    await page.goto(`${url}run/${run}`);
    const tag = `seen-${javaScriptEnabled}`;
    await page.fill("#add-tag", tag);
    await page.click(".tags form:has(#add-tag) button");
    await page.waitForSelector(`.tags a:has-text("${tag}")`);
    await page.click("summary:has-text('Write a note')");
    await page.fill("#note", "<b>as expected</b>");
    await page.click("button:has-text('Keep the note')");
    await page.waitForSelector(`.note:has-text("<b>as expected</b>")`);
    await page.click(`.tags li:has-text("${tag}") button`);
    await page.waitForFunction((tag) => ![...document.querySelectorAll(".tags a")].some((link) => link.textContent === tag), tag).catch(async () => {
      assert.ok(!(await page.textContent(".tags")).includes(tag));
    });
    assert.deepEqual(page.problems, []);
    await page.context().close();
  }
});

await check("everything can be read without JavaScript", async () => {
  const page = await tab({ javaScriptEnabled: false });
  for (const view of views) {
    const response = await page.goto(url + view);
    assert.equal(response.status(), 200, view);
    assert.ok((await page.textContent("main")).length > 40, view);
  }
  await page.goto(url + "runs");
  const first = await column(page, 3);
  await page.fill("#q", `${first[0]}/1`);
  await page.click("form.filter button");
  assert.deepEqual([await column(page, 3), await column(page, 4)], [[first[0]], ["1"]]);
});

await check("text of strangers is text", async () => {
  const page = await tab();
  for (const view of views) {
    await page.goto(url + view);
    await page.waitForTimeout(50);
    assert.equal(await page.evaluate(() => globalThis.hacked), undefined, view);
    assert.equal(await page.$$eval("main img, main script, main iframe", (found) => found.length), 0, view);
  }
});

await check("a page of another origin neither reads nor writes", async () => {
  const server = createServer((request, response) => {
    response.setHeader("content-type", "text/html");
    response.end(`<!doctype html><title>elsewhere</title><iframe src="${url}"></iframe><form id="f" method="post" action="${url}run/${run}" target="t"><input name="note" value="x"></form><iframe name="t"></iframe>`);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const page = await (await browser.newContext()).newPage();
  const statuses = [];
  page.on("response", (response) => { if (response.url().startsWith(url)) statuses.push([response.request().method(), response.status()]); });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const read = await page.evaluate(async (address) => {
    const tries = [fetch(address), fetch(address, { mode: "no-cors" }), fetch(address + "session", { method: "POST", body: "x" })];
    const ended = await Promise.allSettled(tries);
    return Promise.all(ended.map(async (one) => one.status === "fulfilled" ? await one.value.text() : "refused"));
  }, url);
  assert.deepEqual(read.filter((text) => text !== "refused" && text !== ""), []);
  await page.evaluate(() => document.getElementById("f").submit());
  await page.waitForTimeout(400);
  const frames = await Promise.all(page.frames().slice(1).map((frame) => frame.content().catch(() => "")));
  assert.ok(frames.every((text) => !text.includes("slhf-lab")), "a frame shows a page");
  assert.ok(statuses.filter(([method]) => method === "POST").every(([, status]) => status === 403), JSON.stringify(statuses));
  server.close();
});

await check("a page follows what another process runs", async () => {
  const page = await tab();
  await page.goto(url + "runs");
  await page.waitForFunction(() => document.getElementById("live").textContent.startsWith("live"));
  const before = (await column(page, 1)).length;
  await page.evaluate(() => { globalThis.stayed = true; });
  const other = spawn(command[0], command.slice(1), { stdio: ["ignore", "ignore", "inherit"] });
  const ended = new Promise((done) => other.on("exit", done));
  await page.waitForFunction((known) => document.querySelectorAll("tbody tr").length > known, before, { timeout: 60000 });
  assert.equal(await ended, 0);
  await page.waitForFunction(() => ![...document.querySelectorAll("tbody tr td:nth-child(5)")].some((cell) => /running|pending/.test(cell.textContent)), null, { timeout: 60000 });
  assert.equal(await page.evaluate(() => globalThis.stayed), true, "the page was not loaded anew");
  assert.deepEqual(page.problems, []);
});

await browser.close();
