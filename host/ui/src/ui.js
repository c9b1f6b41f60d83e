// Makes pages live. Everything can be read without it: it replaces the content when the record has changed, filters while one types, and
// moves among rows by keyboard.
"use strict";

const content = () => document.getElementById("content");

// Replaces the content of this page by what the server says now; scroll, focus and what is open stay.
let asked = 0;
let waited = 0;
async function refresh(address, keep) {
  const own = ++asked;
  waited += 1;
  let text;
  try {
    const response = await fetch(address, { headers: { accept: "text/html" } });
    text = await response.text();
  } finally { waited -= 1; }
  // Somebody has asked for something else meanwhile.
  if (own !== asked) return;
  const page = new DOMParser().parseFromString(text, "text/html");
  const next = page.getElementById("content");
  if (!next) return;
  const active = document.activeElement;
  const known = active && active.id ? active.id : null;
  const selection = known && "selectionStart" in active ? [active.selectionStart, active.value] : null;
  const open = [...content().querySelectorAll("details[open] > summary")].map((summary) => summary.textContent);
  const row = chosen();
  content().replaceWith(document.adoptNode(next));
  document.title = page.title;
  for (const summary of content().querySelectorAll("details > summary")) {
    if (open.includes(summary.textContent)) summary.parentElement.open = true;
  }
  if (known) {
    const again = document.getElementById(known);
    if (again) {
      again.focus();
      if (selection) { again.value = selection[1]; again.setSelectionRange(selection[0], selection[0]); }
    }
  }
  if (row !== null) choose(row);
  if (keep) keep.call(history, null, "", address);
}

function follow() {
  const line = document.getElementById("live");
  const source = new EventSource("/events");
  let version = document.body.dataset.version;
  source.onopen = () => { line.textContent = "live"; };
  source.onerror = () => { line.textContent = "not connected"; };
  source.onmessage = async (event) => {
    if (event.data === version) return;
    version = event.data;
    // What somebody has asked for comes as it is now.
    if (waited > 0) return;
    await refresh(location.href, null);
    line.textContent = "live, " + new Date().toLocaleTimeString();
  };
}

// A form that asks: its address is that of the page, so that it can be sent to somebody.
let waiting = null;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form.filter");
  if (!form) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const query = new URLSearchParams();
    for (const [key, value] of new FormData(form)) if (value !== "") query.append(key, value);
    const text = query.toString();
    refresh(form.getAttribute("action") + (text ? "?" + text : ""), history.replaceState);
  }, 15);
});

// Headings sort in place; the way back is kept.
document.addEventListener("click", (event) => {
  const link = event.target.closest("th a");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  refresh(link.getAttribute("href"), history.pushState);
});
addEventListener("popstate", () => refresh(location.href, null));

// What a place in a plot means: "log -3 0 0.16" is the logarithm from -3 to 0, above a share of the axis that is for rounding.
function valueAt(axis, share) {
  const [scale, low, high, start] = axis.split(" ").map((part, at) => (at === 0 ? part : Number(part)));
  if (start > 0 && share < start) return scale === "log" ? "at rounding" : "";
  const value = low + ((share - start) / (1 - start)) * (high - low);
  return number(scale === "log" ? 10 ** value : value);
}

function number(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return String(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(3);
  return String(Number(value.toPrecision(5)));
}

// The plot below the pointer, with its curves.
function plotAt(event) {
  const svg = event.target.closest ? event.target.closest("svg.figure") : null;
  if (!svg) return null;
  const matrix = svg.getScreenCTM();
  if (!matrix) return null;
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  let found = null;
  for (const element of svg.children) {
    if (element.dataset.x) {
      const [left, top, width, height] = ["x", "y", "width", "height"].map((name) => Number(element.getAttribute(name)));
      if (found) break;
      if (at.x >= left && at.x <= left + width && at.y >= top && at.y <= top + height) {
        found = { svg, at, left, top, width, height, x: element.dataset.x, y: element.dataset.y, curves: [] };
      }
    } else if (found && element.dataset.name !== undefined) {
      const pairs = (text) => text.split(" ").map((pair) => pair.split(",").map(Number));
      found.curves.push({ name: element.dataset.name, points: pairs(element.getAttribute("points")), values: pairs(element.dataset.values) });
    }
  }
  return found && found.curves.length > 0 ? found : null;
}

function mark(svg, name, parts) {
  let element = svg.querySelector("." + name);
  if (!parts) { if (element) element.remove(); return; }
  if (!element) {
    element = document.createElementNS("http://www.w3.org/2000/svg", parts.width === undefined ? "line" : "rect");
    element.classList.add(name);
    svg.append(element);
  }
  for (const [key, value] of Object.entries(parts)) element.setAttribute(key, value);
}

function tip() {
  let box = document.getElementById("tip");
  if (!box) {
    box = document.createElement("div");
    box.id = "tip";
    box.setAttribute("role", "status");
    document.body.append(box);
  }
  return box;
}

let dragged = null;
document.addEventListener("pointermove", (event) => {
  const plot = plotAt(event);
  for (const line of document.querySelectorAll(".pointer")) if (!plot || line.parentNode !== plot.svg) line.remove();
  const box = tip();
  if (!plot) { box.hidden = true; return; }
  const lines = plot.curves.map(({ name, points, values }) => {
    let near = 0;
    points.forEach((point, at) => { if (Math.abs(point[0] - plot.at.x) < Math.abs(points[near][0] - plot.at.x)) near = at; });
    return { x: points[near][0], at: values[near][0], text: (name ? name + ": " : "") + number(values[near][1]) };
  });
  const x = lines[0].x;
  // Curves of other steps say their own.
  const texts = lines.map((line) => line.text + (line.at === lines[0].at ? "" : " at " + number(line.at)));
  box.textContent = [number(lines[0].at), ...texts].join("\n");
  box.hidden = false;
  const width = document.documentElement.clientWidth;
  box.style.left = Math.max(0, Math.min(event.clientX + 14, width - box.offsetWidth - 8)) + "px";
  const isLow = event.clientY + 14 + box.offsetHeight > document.documentElement.clientHeight;
  box.style.top = (isLow ? event.clientY - 14 - box.offsetHeight : event.clientY + 14) + "px";
  mark(plot.svg, "pointer", { x1: x, x2: x, y1: plot.top, y2: plot.top + plot.height });
  if (dragged && dragged.svg === plot.svg) {
    const [from, to] = [dragged.at.x, plot.at.x].sort((one, other) => one - other);
    mark(plot.svg, "brush", { x: from, y: dragged.top, width: to - from, height: dragged.height });
  }
});

// A part of the horizontal axis that is dragged over is drawn by itself, where the page can.
document.addEventListener("pointerdown", (event) => {
  if (event.button === 0 && document.querySelector("form.filter [name=from]")) dragged = plotAt(event);
  if (dragged) event.preventDefault();
});
document.addEventListener("pointerup", (event) => {
  const [began, plot] = [dragged, plotAt(event)];
  dragged = null;
  if (began) mark(began.svg, "brush", null);
  if (!began || !plot || Math.abs(plot.at.x - began.at.x) < 6) return;
  const address = new URL(location.href);
  const ends = [began.at.x, plot.at.x].sort((one, other) => one - other);
  const values = ends.map((x) => valueAt(began.x, (x - began.left) / began.width));
  address.searchParams.set("from", values[0]);
  address.searchParams.set("to", values[1]);
  refresh(address.pathname + address.search, history.pushState);
});

const rows = () => [...document.querySelectorAll("tr[data-row]")];
const chosen = () => { const at = rows().findIndex((row) => row.classList.contains("chosen")); return at < 0 ? null : at; };

function choose(at) {
  const all = rows();
  if (all.length === 0) return;
  const next = Math.max(0, Math.min(all.length - 1, at));
  for (const row of all) row.classList.remove("chosen");
  all[next].classList.add("chosen");
  all[next].scrollIntoView({ block: "nearest" });
  const link = all[next].querySelector("a");
  if (link) link.focus();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "Escape" && typing) { typing.blur(); return; }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = chosen();
  if (event.key === "/") { const field = document.getElementById("q"); if (field) { event.preventDefault(); field.focus(); } }
  else if (event.key === "j") choose(at === null ? 0 : at + 1);
  else if (event.key === "k") choose(at === null ? 0 : at - 1);
  else if (event.key === "u") location.assign("/");
});

// The token stands behind the hash sign, which browsers send to nobody.
async function enter() {
  const token = location.hash.slice(1);
  if (!token) return;
  const response = await fetch("/session", { method: "POST", body: token });
  if (response.ok) { history.replaceState(null, "", location.pathname); location.reload(); }
  else document.getElementById("door").textContent = "The token is not that of this server.";
}

if (document.body.dataset.door) enter(); else follow();
