// How fast pages are, in Chromium: node speed.mjs CHROMIUM REPEATS FILE. Started by tests/benches/ui.rs.
// FILE is a JSON list of { name, url, ready, act? }: `ready` is a selector that matches once the page shows what was asked for. Without
// `act`, what is timed is a navigation by a browser that has nothing cached. `act` is { on, click | value, selector, text }: from the
// click, or from the new value of a field, to the frame that shows an element of `selector` with that text; timed within the page.
// Prints one JSON line each: the median and all times, in milliseconds.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [chromiumPath, repeats, file] = process.argv.slice(2);
const pages = JSON.parse(readFileSync(file, "utf8"));
const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });
const timeout = 180000;

const painted = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

// Runs within the page.
async function acted({ on, value, selector, text }) {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const isThere = () => [...document.querySelectorAll(selector)].some((element) => element.textContent.trim() === text);
  if (isThere()) throw new Error("there before the action");
  const began = performance.now();
  const field = document.querySelector(on);
  if (value === undefined) field.click();
  else {
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  while (!isThere()) {
    await frame();
    if (performance.now() - began > 60000) throw new Error("nothing came of it");
  }
  await frame();
  await frame();
  return performance.now() - began;
}

async function once(what) {
  const context = await browser.newContext({ viewport: { width: 1600, height: 900 } });
  const page = await context.newPage();
  const began = performance.now();
  await page.goto(what.url, { waitUntil: "commit", timeout });
  await page.waitForSelector(what.ready, { timeout });
  await painted(page);
  let took = performance.now() - began;
  if (what.act) {
    await page.waitForLoadState("load");
    await page.waitForTimeout(300);
    took = await page.evaluate(acted, what.act);
  }
  await context.close();
  return took;
}

for (const what of pages) {
  const times = [];
  try {
    await once(what);
    for (let count = 0; count < Number(repeats); count += 1) times.push(await once(what));
    console.log(JSON.stringify({ name: what.name, median_ms: median(times), times_ms: times }));
  } catch (error) {
    console.log(JSON.stringify({ name: what.name, failed: String(error).split("\n")[0] }));
  }
}
await browser.close();
