// Makes pages live. Everything can be read without it: it replaces the content when the record has changed, filters while one types, and
// moves among rows by keyboard.
"use strict";

const content = () => document.getElementById("content");

// Replaces the content of this page by what the server says now; scroll, focus and what is open stay.
async function refresh(address, push) {
  const response = await fetch(address, { headers: { accept: "text/html" } });
  const text = await response.text();
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
  if (push) history.replaceState(null, "", address);
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
    await refresh(location.href, false);
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
    refresh(form.getAttribute("action") + (text ? "?" + text : ""), true);
  }, 120);
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
