// What every page does: live regions, times, keys, colours. Nothing here asks the server again and again: one stream of
// events tells what has changed.

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// ---- times: ages, and the viewer's own zone; the exact one on hover

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

export function duration(seconds) {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))}ms`;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  const [index, [unit, size]] = [...units.entries()].find(([, [, size]]) => seconds >= size);
  const [next, small] = units[index + 1];
  return `${Math.floor(seconds / size)}${unit}${String(Math.floor((seconds % size) / small)).padStart(2, "0")}${next}`;
}

function age(seconds) {
  const rough = Math.abs(seconds) < 60 ? `${Math.floor(Math.abs(seconds))}s` : duration(Math.abs(seconds));
  if (seconds < -1) return `in ${rough}`;
  return seconds < 2 ? "just now" : `${rough} ago`;
}

/** What a time's element shows: its date, how long it has been going on, or how long ago it is. */
function told(time, at, seconds) {
  if (time.classList.contains("date")) return exact.format(at);
  return time.classList.contains("since") ? whole(seconds) : age(seconds);
}

const whole = (seconds) => (seconds < 60 ? `${Math.max(0, Math.floor(seconds))}s` : duration(seconds));

function tick(within = document) {
  const now = Date.now();
  for (const time of $$("time[datetime]", within)) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const seconds = (now - at) / 1000;
    const text = told(time, at, seconds);
    if (time.textContent !== text) time.textContent = text;
    const title = `${exact.format(at)} here; ${time.dateTime}`;
    if (time.title !== title) time.title = title;
  }
}

// ---- what differs between the two sides of a mismatch is marked

function mark(within = document) {
  for (const sides of $$(".sides", within)) {
    const [one, other] = $$("pre", sides);
    if (!one || !other) continue;
    const [a, b] = [one.textContent, other.textContent];
    let head = 0;
    while (head < a.length && a[head] === b[head]) head++;
    let tail = 0;
    while (tail < Math.min(a.length, b.length) - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
    // What has too little in common is another thing as a whole: no letter of it is marked.
    if (head + tail < Math.min(a.length, b.length) / 4) continue;
    for (const [place, text] of [[one, a], [other, b]]) {
      const different = document.createElement("mark");
      different.textContent = text.slice(head, text.length - tail);
      place.replaceChildren(text.slice(0, head), different, text.slice(text.length - tail));
    }
  }
}

// ---- a region drawn anew, without losing the focus, the place, or what is unfolded

const isSame = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeName === "#text" && old.parentNode?.nodeName === "TIME") return;
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.hasAttribute("data-keep")) return;
  for (const { name } of [...old.attributes]) {
    if (fresh.hasAttribute(name) || (name === "open" && old.nodeName === "DETAILS") || ["aria-sort", "tabindex"].includes(name)) continue;
    if (name === "class" && old.classList.contains("chosen")) continue;
    old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (name === "open" && old.nodeName === "DETAILS") continue;
    if (name === "title" && old.nodeName === "TIME") continue;
    if (["value", "checked"].includes(name) && old.nodeName !== "OPTION") continue;
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (["INPUT", "TEXTAREA", "SELECT"].includes(old.nodeName)) return;
  const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const known = next.id ? named.get(next.id) : null;
    if (known) {
      if (known !== at) old.insertBefore(known, at);
      else at = at.nextSibling;
      morph(known, next);
    } else if (at && isSame(at, next)) {
      const here = at;
      at = at.nextSibling;
      morph(here, next);
    } else {
      old.insertBefore(next, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function redraw({ id, html }) {
  const old = document.getElementById(id);
  if (!old) return;
  const fresh = old.cloneNode(false);
  fresh.innerHTML = html;
  $$("table.sortable, table.choosable", fresh).forEach(heads);
  const sorted = $$("table.sortable", old).map((table) => [table.dataset.by, table.dataset.order]);
  $$("table.sortable", fresh).forEach((table, index) => {
    const [by, order] = sorted[index] ?? [];
    if (by !== undefined && order) sort(table, Number(by), order);
  });
  mark(fresh);
  tick(fresh);
  morph(old, fresh);
  reach();
}

// ---- what scrolls can be scrolled by keys

function reach() {
  for (const place of $$(".card, .json, main pre")) {
    const scrolls = place.scrollWidth > place.clientWidth + 1 || place.scrollHeight > place.clientHeight + 1;
    const isReached = $("a, button, input, select, textarea, summary", place);
    if (scrolls && !isReached) place.tabIndex = 0;
    else if (place.hasAttribute("tabindex")) place.removeAttribute("tabindex");
  }
}
addEventListener("resize", reach);
document.addEventListener("toggle", reach, true);

// ---- the stream

const listeners = [];
/** Tells of the tasks of an execution; the timeline listens. `query`: what it has already. */
export function listen(event, heard) {
  listeners.push([event, heard]);
}

let source = null;
let query = "";

export function connect(more = query) {
  const path = document.body.dataset.stream;
  if (!path || document.hidden) return;
  query = more;
  source?.close();
  source = new EventSource(query ? `${path}${path.includes("?") ? "&" : "?"}${query}` : path);
  source.onopen = () => say("on", "live");
  source.onerror = () => say("off", "not live: trying again");
  source.addEventListener("region", (event) => redraw(JSON.parse(event.data)));
  source.addEventListener("trouble", (event) => say("off", `the store does not answer: ${event.data}`));
  source.addEventListener("well", () => say("on", "live"));
  for (const [name, heard] of listeners) source.addEventListener(name, (event) => heard(JSON.parse(event.data)));
}

function say(state, word) {
  const live = $("#live");
  if (!live) return;
  live.hidden = false;
  if (live.dataset.state === state && $(".word", live).textContent === word) return;
  if (live.dataset.state !== state) $("#news").textContent = word;
  live.dataset.state = state;
  $(".word", live).textContent = word;
}

// A page that nobody sees asks for nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (!source) connect();
});
addEventListener("pagehide", () => {
  source?.close();
  source = null;
});
// The browser may bring a page back as it was left.
addEventListener("pageshow", (event) => event.persisted && connect());

// ---- tables that can be sorted: those of which all is on this page

function sort(table, column, order) {
  const body = table.tBodies[0];
  const value = (row) => {
    const cell = row.cells[column];
    const time = $("time", cell);
    if (time && !time.classList.contains("since")) return Date.parse(time.dateTime);
    if (time) return Date.now() - Date.parse(time.dateTime);
    const text = cell.textContent.trim();
    const took = text.match(/^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:(\d+)ms)?$/);
    if (text && took) {
      const [d, h, m, s, ms] = took.slice(1).map((part) => Number(part ?? 0));
      return ((d * 24 + h) * 60 + m) * 60000 + s * 1000 + ms;
    }
    const number = Number(text.replaceAll(",", ""));
    return text && !Number.isNaN(number) ? number : text.toLowerCase();
  };
  const rows = [...body.rows].map((row) => [value(row), row]);
  const sign = order === "ascending" ? 1 : -1;
  rows.sort(([a], [b]) => sign * (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1));
  body.append(...rows.map(([, row]) => row));
  [table.dataset.by, table.dataset.order] = [column, order];
  [...table.tHead.rows[0].cells].forEach((head, index) => {
    if (index === column) head.setAttribute("aria-sort", order);
    else head.removeAttribute("aria-sort");
  });
}

function heads(table) {
  [...table.tHead.rows[0].cells].forEach((head) => {
    if (head.firstElementChild) return;
    if (head.textContent === "Choose") {
      const all = document.createElement("input");
      all.type = "checkbox";
      all.id = "choose-all";
      all.setAttribute("aria-label", "Choose all on this page");
      return head.replaceChildren(all);
    }
    if (!table.classList.contains("sortable")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.title = "Sorts by it";
    head.replaceChildren(button);
  });
}

document.addEventListener("click", (event) => {
  const head = event.target.closest?.("table.sortable thead th");
  if (!head || !event.target.closest("button")) return;
  const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  sort(head.closest("table"), head.cellIndex, order);
});

document.addEventListener("change", (event) => {
  if (event.target.id !== "choose-all") return;
  for (const box of $$("tbody input[type=checkbox]", event.target.closest("table"))) box.checked = event.target.checked;
});

// ---- keys

const isTyping = (target) => target.matches?.("input:not([type=checkbox]), textarea, select") || target.isContentEditable;
const places = { o: "/", e: "/executions", t: "/tasks", d: "/dead-letters", w: "/workers", f: "/functions", q: "/queues", h: "/health" };
let going = 0;

function choose(step) {
  const rows = $$("main table tbody tr").filter((row) => $("a", row));
  if (!rows.length) return;
  const now = rows.findIndex((row) => row.classList.contains("chosen"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, now + step))];
  rows.forEach((row) => row.classList.toggle("chosen", row === next));
  $("a", next).focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && isTyping(event.target)) return event.target.blur();
  if (isTyping(event.target)) return;
  const wasGoing = Date.now() - going < 1500;
  going = 0;
  if (wasGoing && places[event.key]) {
    const home = $(".brand").getAttribute("href").replace(/\/$/, "");
    location.href = home + places[event.key];
  } else if (event.key === "/") {
    event.preventDefault();
    $("#find")?.focus();
  } else if (event.key === "j") choose(1);
  else if (event.key === "k") choose(-1);
  else if (event.key === "g") going = Date.now();
  else if (event.key === "?") help();
});

function help() {
  let dialog = $("dialog#help");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = "help";
    dialog.setAttribute("aria-labelledby", "help-title");
    dialog.innerHTML = `<h2 id="help-title">Keys</h2><table><tbody>
      <tr><td><kbd>/</kbd></td><td>find an execution by its id</td></tr>
      <tr><td><kbd>j</kbd> <kbd>k</kbd></td><td>the next line of a list, the one before; <kbd>⏎</kbd> opens it</td></tr>
      <tr><td><kbd>g</kbd> and <kbd>o e t d w f q h</kbd></td><td>go to overview, executions, tasks, dead letters, workers, functions, queues, health</td></tr>
      <tr><td><kbd>↑ ↓ ← →</kbd></td><td>in the timeline: lines, fold and unfold; <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom</td></tr>
      <tr><td><kbd>?</kbd></td><td>this</td></tr></tbody></table><form method="dialog"><button class="primary">Close</button></form>`;
    document.body.append(dialog);
  }
  if (!dialog.open) dialog.showModal();
}

// ---- colours, the menu, copies

const colours = ["system", "light", "dark"];
function theme(step) {
  const root = document.documentElement;
  const now = colours.indexOf(root.dataset.colours ?? "system");
  const chosen = colours[(now + step) % colours.length];
  if (chosen === "system") delete root.dataset.colours;
  else root.dataset.colours = chosen;
  try {
    localStorage.setItem("stent-colours", chosen);
  } catch {
    // They hold for this page, then.
  }
  $("#theme").textContent = `Colours: ${chosen === "system" ? "as the system" : chosen}`;
}

const toggle = $("#theme");
if (toggle) {
  toggle.hidden = false;
  toggle.addEventListener("click", () => theme(1));
  theme(0);
}
const keys = $("#keys");
if (keys) {
  keys.hidden = false;
  keys.addEventListener("click", help);
}
$("button.menu")?.addEventListener("click", (event) => {
  const button = event.currentTarget;
  button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") !== "true"));
});

// JSON is looked at while it is typed.
for (const area of $$("textarea[data-json]")) {
  const told = document.createElement("p");
  told.className = "invalid";
  told.id = `${area.id}-told`;
  told.setAttribute("role", "status");
  area.after(told);
  area.setAttribute("aria-describedby", told.id);
  area.addEventListener("input", () => {
    try {
      if (area.value.trim()) JSON.parse(area.value);
      told.textContent = "";
      area.removeAttribute("aria-invalid");
    } catch (why) {
      told.textContent = `This is no JSON yet: ${why.message}`;
      area.setAttribute("aria-invalid", "true");
    }
  });
}

$$("table.sortable, table.choosable").forEach(heads);
mark();
tick();
reach();
setInterval(() => document.hidden || tick(), 1000);
// The timeline reads its rows first, and connects with what it has.
if (!$("#timeline")) connect();
