// The tasks of an execution over time. Only the rows that are seen are in the page, so ten thousand of them scroll as ten.

import { connect, duration, listen } from "./page.js";

const ROW = 28;
const GLYPHS = { running: "▸", completed: "✓", failed: "✕", waiting: "◔", pending: "…", cancelled: "⊘", parked: "‖" };
const host = document.getElementById("timeline");
const tasks = new Map();
const folded = new Set();
let order = [];
let shown = [];
let clock = 0; // the store's host's clock less ours, in microseconds
let live = false;
let zoom = 1;
let offset = 0; // of the part that is seen, as a share of the whole
let active = 0;
let filter = "";
let state = "";

const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
const now = () => Date.now() * 1000 + clock;
const stateOf = (row) => (row.parked ? "parked" : row.state);

// ---- rows in the order in which they were called, each below its parent

function place(row) {
  const key = row.key ?? row.name;
  const at = key.lastIndexOf("#");
  return at < 0 ? [key, 0] : [key.slice(0, at), Number(key.slice(at + 1)) || 0];
}

function arrange() {
  const below = new Map();
  for (const row of tasks.values()) {
    const parent = row.parent && tasks.has(row.parent) ? row.parent : "";
    if (!below.has(parent)) below.set(parent, []);
    below.get(parent).push(row);
  }
  const before = (a, b) => {
    if (a.created !== b.created) return a.created - b.created;
    const [[nameA, countA], [nameB, countB]] = [place(a), place(b)];
    return nameA < nameB ? -1 : nameA > nameB ? 1 : countA - countB;
  };
  for (const children of below.values()) children.sort(before);
  order = [];
  const open = (below.get("") ?? []).toReversed().map((row) => [row, 1]);
  while (open.length) {
    const [row, level] = open.pop();
    const children = below.get(row.id) ?? [];
    order.push({ row, level, children: children.length });
    for (let index = children.length - 1; index >= 0; index--) open.push([children[index], level + 1]);
  }
  choose();
}

function choose() {
  shown = [];
  let under = Infinity;
  const wanted = filter.toLowerCase();
  const isFiltered = wanted || state;
  for (const line of order) {
    if (!isFiltered) {
      if (line.level > under) continue;
      under = folded.has(line.row.id) ? line.level : Infinity;
    } else {
      if (wanted && !(line.row.key ?? line.row.name).toLowerCase().includes(wanted) && !line.row.error?.toLowerCase().includes(wanted)) continue;
      if (state && stateOf(line.row) !== state) continue;
    }
    shown.push(line);
  }
  active = Math.min(active, Math.max(0, shown.length - 1));
}

// ---- what there is on the page

const tools = make("div", "tl-tools");
const find = make("input");
find.type = "search";
find.placeholder = "Find a task";
find.setAttribute("aria-label", "Find a task by its name or error");
const only = make("select");
only.setAttribute("aria-label", "Only tasks in this state");
only.classList.add("only");
for (const word of ["", ...Object.keys(GLYPHS)]) {
  const option = make("option", "", word || "any state");
  option.value = word;
  only.append(option);
}
only.style.width = "auto";
const button = (text, label, act) => {
  const made = make("button", "", text);
  made.type = "button";
  made.title = label;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
};
const told = make("span", "told");
told.setAttribute("role", "status");
tools.append(
  find,
  only,
  button("−", "Zoom out", () => zoomTo(zoom / 2)),
  button("+", "Zoom in", () => zoomTo(zoom * 2)),
  button("Fit", "Fit: show all of the time", () => zoomTo(1)),
  button("Fold all", "Fold all tasks", () => foldAll(true)),
  button("Unfold all", "Unfold all tasks", () => foldAll(false)),
  told,
);
const frame = make("div", "tl");
const axis = make("div", "tl-axis");
axis.setAttribute("aria-hidden", "true");
const view = make("div", "tl-view");
view.tabIndex = 0;
view.setAttribute("role", "treegrid");
view.setAttribute("aria-label", "Tasks over time");
view.setAttribute("aria-colcount", "2");
const all = make("div", "tl-all");
all.setAttribute("role", "rowgroup");
view.append(all);
frame.append(axis, view);
const legend = make("div", "tl-legend");
legend.setAttribute("aria-hidden", "true");
for (const [kind, text] of [["queued", "queued"], ["running", "running"], ["waiting", "waiting or asleep"], ["completed", "completed"], ["failed", "failed or parked"], ["attempt", "a failed attempt"], ["retry", "between attempts"], ["later", "due later"]]) {
  const one = make("span");
  one.append(make("span", `seg ${kind}`), text);
  legend.append(one);
}

// ---- time to places

let first = 0;
let last = 1;

function span() {
  first = Infinity;
  last = 0;
  for (const row of tasks.values()) {
    first = Math.min(first, row.created);
    last = Math.max(last, row.completed ?? 0, row.started ?? 0, row.created);
  }
  if (live) last = Math.max(last, now());
  if (!Number.isFinite(first)) [first, last] = [0, 1];
  last = Math.max(last, first + 1000);
}

// Of the names, and of the bars beside them.
let names = 0;
let width = 50;
const placeOf = (micros) => (((micros - first) / (last - first) - offset) * zoom) * width;

function label(at) {
  if (at === 0) return "0";
  return at < 60e6 && at % 1e6 === 0 ? `${at / 1e6}s` : duration(at / 1e6);
}

function drawAxis() {
  const seen = (last - first) / zoom;
  const from = offset * (last - first);
  const steps = [1, 2, 5].flatMap((n) => [...Array(14).keys()].map((power) => n * 10 ** power)).sort((a, b) => a - b);
  const nice = [...steps.filter((step) => step < 60e6), 60e6, 120e6, 300e6, 600e6, 1800e6, 3600e6, 7200e6, 21600e6, 43200e6, 86400e6, 604800e6];
  const step = nice.sort((a, b) => a - b).find((one) => (one / seen) * width > 76) ?? 2592000e6;
  const marks = [];
  for (let at = Math.ceil(from / step) * step; at < from + seen; at += step) {
    const mark = make("span", "", label(at));
    mark.style.left = `${names + ((at - from) / seen) * width}px`;
    marks.push(mark);
    if (marks.length > 60) break;
  }
  axis.replaceChildren(...marks);
}

// ---- a row: its bar is the time from its creation to its end

function segments(row) {
  const parts = [];
  const ends = row.completed ?? (live ? now() : last);
  const word = stateOf(row);
  if (row.kind === "timer") parts.push([row.completed && row.state !== "completed" ? "cancelled" : "waiting", row.created, row.completed ?? Math.min(ends, row.due ?? ends)]);
  else if (row.kind === "signal") parts.push([row.completed ? (row.state === "completed" ? "waiting" : row.state) : "waiting", row.created, ends]);
  else if (row.kind === "step") parts.push([word, row.started ?? row.created, ends]);
  else {
    const began = row.started ?? ends;
    if (began > row.created) waited(row, began, parts);
    if (row.started) parts.push([row.state === "pending" ? "retry" : word, row.started, ends]);
  }
  if (!row.completed && row.due && row.due > ends && row.state !== "running") parts.push(["later", ends, row.due]);
  return parts;
}

// Before an attempt: the queue, and the attempts that failed. Of those that are not kept there is a dotted line.
function waited(row, began, parts) {
  const failed = (row.attempts ?? []).filter((one) => one.started && one.ended <= began).reverse();
  if (!failed.length) return parts.push([row.retries ? "retry" : "queued", row.created, began]);
  let at = row.created;
  failed.forEach((one, index) => {
    if (one.started > at) parts.push([index === 0 && failed.length >= row.retries ? "queued" : "retry", at, one.started]);
    parts.push(["attempt", one.started, one.ended]);
    at = one.ended;
  });
  if (began > at) parts.push(["retry", at, began]);
}

function summary(row) {
  const ends = row.completed ?? (live ? now() : null);
  const parts = [stateOf(row).replace("_", " ")];
  if (row.started && ends) parts.push(duration((ends - row.started) / 1e6));
  if (row.started && row.started - row.created > 1000) parts.push(`queued ${duration((row.started - row.created) / 1e6)}`);
  if (!row.completed && row.due > now()) parts.push(`${row.state === "running" ? "runs out" : "due"} in ${duration((row.due - now()) / 1e6)}`);
  if (row.retries) parts.push(`attempt ${row.retries + 1}`);
  if (row.attempts && row.state === "completed") parts.push(`before it ${row.attempts[0].error}`);
  if (row.worker) parts.push(`on ${row.worker}`);
  if (row.error) parts.push(row.error);
  return parts.join(", ");
}

function draw(line, index) {
  const { row, level, children } = line;
  const element = make("div", `tl-row${index === active ? " active" : ""}`);
  element.id = `tl-${row.id}`;
  element.dataset.index = index;
  element.setAttribute("role", "row");
  element.setAttribute("aria-rowindex", index + 1);
  element.setAttribute("aria-level", level);
  if (children) element.setAttribute("aria-expanded", String(!folded.has(row.id)));
  element.style.top = `${index * ROW}px`;
  const name = make("div", "tl-name");
  name.setAttribute("role", "rowheader");
  name.style.width = `${names}px`;
  name.style.paddingLeft = `${8 + Math.min(level - 1, 12) * 14}px`;
  const fold = make("button", "fold-button", children ? (folded.has(row.id) ? "▸" : "▾") : "");
  fold.type = "button";
  fold.tabIndex = -1;
  fold.setAttribute("aria-label", children ? (folded.has(row.id) ? "Unfold" : "Fold") : "");
  if (!children) fold.style.visibility = "hidden";
  const glyph = make("span", `glyph g-${stateOf(row)}`, GLYPHS[stateOf(row)] ?? "•");
  glyph.setAttribute("aria-hidden", "true");
  const link = make("a", "", row.key && !row.key.endsWith("#1") ? row.key : row.name);
  link.href = host.dataset.task + row.id;
  link.tabIndex = -1;
  name.append(fold, glyph, link);
  if (row.retries) name.append(make("span", "tag", `×${row.retries + 1}`));
  if (!row.completed && row.state !== "running" && row.due > now()) {
    name.append(make("span", "tag", `in ${duration(Math.floor((row.due - now()) / 1e6))}`));
  }
  const track = make("div", "tl-track");
  track.setAttribute("role", "gridcell");
  const text = summary(row);
  track.setAttribute("aria-label", text);
  element.title = `${row.key ?? row.name} (${row.kind}): ${text}`;
  let right = 0;
  for (const [kind, from, to] of segments(row)) {
    const [left, end] = [placeOf(from), placeOf(to)];
    if (kind !== "later") right = Math.max(right, end);
    if (end < -2 || left > width + 2) continue;
    const bar = make("div", `seg ${kind}`);
    bar.style.left = `${Math.max(-4, left)}px`;
    bar.style.width = `${Math.max(2, Math.min(width + 8, end) - Math.max(-4, left))}px`;
    track.append(bar);
  }
  if (row.started && right < width - 60 && right > -60) {
    const took = make("span", "seg-text", duration(((row.completed ?? now()) - row.started) / 1e6));
    took.style.left = `${Math.max(0, right) + 6}px`;
    track.append(took);
  }
  element.append(name, track);
  return element;
}

// Rows that are on the page, by their place; all of them are drawn anew when more than the place has changed.
const drawn = new Map();
let stale = true;
let asked = false;

function refresh() {
  stale = true;
  scroll();
}

function scroll() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    if (stale) measure();
    const from = Math.max(0, Math.floor(view.scrollTop / ROW) - 8);
    const to = Math.min(shown.length, Math.ceil((view.scrollTop + view.clientHeight) / ROW) + 8);
    for (const [index, element] of drawn) {
      if (!stale && index >= from && index < to) continue;
      element.remove();
      drawn.delete(index);
    }
    const fresh = document.createDocumentFragment();
    for (let index = from; index < to; index++) {
      if (drawn.has(index)) continue;
      drawn.set(index, draw(shown[index], index));
      fresh.append(drawn.get(index));
    }
    all.append(fresh);
    stale = false;
  });
}

function measure() {
  span();
  all.style.height = `${shown.length * ROW}px`;
  view.style.height = `${Math.min(Math.max(shown.length * ROW + 2, 60), Math.min(innerHeight * 0.62, 620))}px`;
  view.setAttribute("aria-rowcount", shown.length);
  names = Math.min(340, Math.max(130, frame.clientWidth * 0.36));
  width = Math.max(50, view.clientWidth - names);
  const chosen = shown[active];
  if (chosen) view.setAttribute("aria-activedescendant", `tl-${chosen.row.id}`);
  drawAxis();
  const many = tasks.size.toLocaleString();
  const text = shown.length === order.length ? `${many} task${tasks.size === 1 ? "" : "s"}` : `${shown.length.toLocaleString()} of ${many} tasks`;
  if (told.textContent !== text) told.textContent = text;
}

// ---- what people do

function zoomTo(next, middle = offset + 0.5 / zoom) {
  const share = (middle - offset) * zoom;
  zoom = Math.min(1e6, Math.max(1, next));
  offset = Math.min(1 - 1 / zoom, Math.max(0, middle - share / zoom));
  refresh();
}

function pan(share) {
  offset = Math.min(1 - 1 / zoom, Math.max(0, offset + share / zoom));
  refresh();
}

function foldAll(folds) {
  folded.clear();
  if (folds) for (const { row, level, children } of order) if (children && level > 1) folded.add(row.id);
  choose();
  refresh();
}

function fold(line, folds) {
  if (!line?.children) return;
  if (folds) folded.add(line.row.id);
  else folded.delete(line.row.id);
  choose();
  refresh();
}

function go(to) {
  active = Math.min(shown.length - 1, Math.max(0, to));
  const top = active * ROW;
  if (top < view.scrollTop) view.scrollTop = top;
  else if (top + ROW > view.scrollTop + view.clientHeight) view.scrollTop = top + ROW - view.clientHeight;
  refresh();
}

view.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const line = shown[active];
  const page = Math.max(1, Math.floor(view.clientHeight / ROW) - 1);
  const acts = {
    ArrowDown: () => go(active + 1),
    ArrowUp: () => go(active - 1),
    PageDown: () => go(active + page),
    PageUp: () => go(active - page),
    Home: () => go(0),
    End: () => go(shown.length - 1),
    ArrowLeft: () => {
      if (line?.children && !folded.has(line.row.id)) return fold(line, true);
      for (let at = active - 1; at >= 0; at--) if (shown[at].level < line.level) return go(at);
    },
    ArrowRight: () => (line?.children && folded.has(line.row.id) ? fold(line, false) : go(active + 1)),
    Enter: () => line && (location.href = host.dataset.task + line.row.id),
    "+": () => zoomTo(zoom * 2),
    "=": () => zoomTo(zoom * 2),
    "-": () => zoomTo(zoom / 2),
    0: () => zoomTo(1),
  };
  const act = acts[event.key];
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act();
});
all.addEventListener("click", (event) => {
  const element = event.target.closest(".tl-row");
  if (!element) return;
  const line = shown[Number(element.dataset.index)];
  if (event.target.closest(".fold-button")) fold(line, !folded.has(line.row.id));
  else if (!event.target.closest("a")) go(Number(element.dataset.index));
});
view.addEventListener("scroll", scroll, { passive: true });
view.addEventListener("wheel", (event) => {
  if (event.ctrlKey) {
    event.preventDefault();
    const x = event.clientX - view.getBoundingClientRect().left - names;
    zoomTo(zoom * Math.exp(-event.deltaY / 200), offset + Math.max(0, x) / width / zoom);
  } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    event.preventDefault();
    pan((event.deltaX || event.deltaY) / width);
  }
}, { passive: false });
let dragged = null;
view.addEventListener("pointerdown", (event) => {
  if (zoom > 1 && event.target.closest(".tl-track")) dragged = event.clientX;
});
addEventListener("pointermove", (event) => {
  if (dragged === null) return;
  pan((dragged - event.clientX) / width);
  dragged = event.clientX;
});
addEventListener("pointerup", () => (dragged = null));
find.addEventListener("input", () => {
  filter = find.value.trim();
  choose();
  refresh();
});
only.addEventListener("change", () => {
  state = only.value;
  choose();
  refresh();
});
new ResizeObserver(refresh).observe(host);

// ---- rows come once, then what has changed of them

function take(told) {
  clock = told.now - Date.now() * 1000;
  live = told.live;
  if (told.full) tasks.clear();
  for (const row of told.rows) tasks.set(row.id, row);
  arrange();
  refresh();
}

listen("tasks", take);
try {
  const answer = await fetch(host.dataset.from, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  const told = await answer.json();
  host.replaceChildren(tools, frame, legend);
  take({ ...told, full: true });
  connect(`digest=${told.digest}`);
} catch (why) {
  host.replaceChildren(make("p", "bad", `The tasks could not be read: ${why.message}`));
  connect();
}
// What runs grows.
setInterval(() => live && !document.hidden && refresh(), 1000);
