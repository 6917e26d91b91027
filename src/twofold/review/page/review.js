// The review page: shows the next image at once, loads the following ones ahead, and sends each answer to the server.

import { attempt, element, inOrder, request, tell } from "./page.js";

const AHEAD = 4; // images that are loaded before they are shown

const REASONS = {
  "conflict": "The same image has both labels: neither file is used.",
  "other-label": "A near duplicate has the other label.",
  "label-error": "The label may be wrong.",
  "leak": "This image is also in the test set.",
  "unfamiliar": "The image is unlike the training images.",
  "borderline": "The model is unsure.",
  "duplicate": "The image may be a duplicate.",
  "ranked": "No finding: the queue of findings is at its end.",
  "random": "Drawn at random, to bound how many wrong labels are left.",
};

let state = null; // the last answer of the server
let queue = []; // {row, reason}: the images to show, the current one first
let view = "one"; // or "grid"
let gridItems = [];
let showsMap = false;
const details = new Map(); // "row reason" -> a promise of its description
const sending = []; // answers that are not confirmed yet
let isSending = false;

const imageOf = (row, side) => `/image/${row}?side=${side}`;
const keyOf = (item) => `${item.row} ${item.reason}`;

function describe(item) {
  const key = keyOf(item);
  if (!details.has(key)) {
    const promise = request(`/api/item/${item.row}?reason=${item.reason}`);
    promise.catch(() => details.delete(key));
    details.set(key, promise);
    if (details.size > 200) details.delete(details.keys().next().value);
  }
  return details.get(key);
}

function loadAhead() {
  for (const item of queue.slice(0, AHEAD)) {
    new Image().src = imageOf(item.row, 1200);
    describe(item).then((found) => {
      for (const near of Object.values(found.nearest).flat()) new Image().src = imageOf(near.row, 160);
      if (found.other) new Image().src = imageOf(found.other.row, 1200);
    }, () => {});
  }
}

// --- One image ------------------------------------------------------------------------------------------------------

function setLabel(target, name) {
  target.textContent = name;
  target.classList.toggle("is-negative", name === state.classes[0]);
  target.classList.toggle("is-positive", name === state.classes[1]);
}

async function show() {
  const item = queue[0];
  element("single").hidden = view !== "one" || !item;
  element("many").hidden = view !== "grid" || !gridItems.length;
  element("end").hidden = view === "one" ? Boolean(item) : gridItems.length > 0;
  if (view !== "one" || !item) return;
  element("image").src = imageOf(item.row, 1200);
  element("map").hidden = true;
  element("reason").textContent = REASONS[item.reason] ?? "";
  const found = await describe(item);
  if (queue[0] !== item) return; // answered meanwhile
  fill(found);
  loadAhead();
}

function fill(found) {
  element("image").alt = `${found.path}, labelled ${found.label}`;
  element("caption").textContent = found.path;
  setLabel(element("label"), found.label);
  element("needle").style.left = `${100 * found.probability}%`;
  const scores = [`probability of ${state.classes[1]} ${found.probability.toFixed(4)}`];
  if (found.p_label_error !== null) scores.push(`of a wrong label ${found.p_label_error.toFixed(4)}`);
  if (found.familiarity !== null) scores.push(`familiarity ${found.familiarity.toFixed(4)}`);
  element("scores").textContent = scores.join(" · ");
  element("keep").lastElementChild.textContent = `keep ${found.label}`;
  element("pair").hidden = element("separate").hidden = !found.other;
  if (found.other) {
    element("pair-image").src = imageOf(found.other.row, 1200);
    element("pair-image").alt = `${found.other.path}, labelled ${found.other.label}`;
    element("pair-caption").textContent = `${found.other.path}, labelled ${found.other.label}`;
  }
  element("nearest").replaceChildren(...state.classes.flatMap((name) => nearest(name, found.nearest[name])));
  if (showsMap) loadMap(found.row);
}

function nearest(name, rows) {
  const title = document.createElement("h2");
  title.textContent = `Most similar ${name}`;
  const list = document.createElement("div");
  list.className = "thumbs";
  list.append(...rows.map((near) => Object.assign(new Image(), {
    src: imageOf(near.row, 160), alt: near.path, title: near.path,
  })));
  return rows.length ? [title, list] : [];
}

function loadMap(row) {
  const map = element("map");
  map.onload = () => { map.hidden = !showsMap || queue[0]?.row !== row; };
  map.onerror = () => { map.hidden = true; tell("There is no evidence map of this image."); };
  map.src = `/map/${row}`;
}

function toggleMap() {
  showsMap = !showsMap;
  if (showsMap && queue[0]) loadMap(queue[0].row);
  else element("map").hidden = true;
}

// --- Answers --------------------------------------------------------------------------------------------------------

function answer(kind, value = "") {
  const item = queue.shift();
  if (!item) return;
  tell("");
  sending.push({ row: item.row, kind, value, random: item.reason === "random" });
  attempt(show);
  attempt(send);
}

// One request at a time, in order: what was answered while it was under way goes with the next one.
async function send() {
  if (isSending || !sending.length) return;
  isSending = true;
  try {
    while (sending.length) {
      const answers = sending.slice(0, 100);
      const received = await request("/api/decide", { answers });
      sending.splice(0, answers.length);
      take(received);
    }
  } finally {
    isSending = false;
  }
}

// The server's list of what comes next, without what was answered meanwhile; the current image stays.
function take(received) {
  state = received;
  const answered = new Set(sending.map((entry) => entry.row));
  const next = received.next.filter((item) => !answered.has(item.row));
  const current = queue[0];
  if (current && !answered.has(current.row)) {
    const rest = next.filter((item) => item.row !== current.row);
    queue = [current, ...rest];
    describeState();
    loadAhead();
  } else {
    queue = next;
    describeState();
    attempt(show);
  }
}

function describeState() {
  const { progress, classes } = state;
  document.title = `Review ${state.name}`;
  element("name").textContent = state.name;
  element("negative").lastElementChild.textContent = element("key-negative").textContent = classes[0];
  element("positive").lastElementChild.textContent = element("key-positive").textContent = classes[1];
  const count = (number) => number.toLocaleString("en");
  element("progress").textContent =
    `${count(progress.checked)} of ${count(progress.images)} images checked: ${count(progress.relabelled)} labels changed, ` +
    `${count(progress.excluded)} excluded, ${count(progress.unsure)} unsure; in ${state.file}`;
  element("bound").textContent = progress.unchecked === 0 ? "All images are checked." : progress.drawn === 0 ?
    "One image in ten is drawn at random: from these follows how many wrong labels are left at most." :
    `At most ${count(progress.most_wrong_left)} wrong labels are left among ${count(progress.unchecked)} images ` +
    `(${100 * progress.confidence}%, from ${count(progress.drawn)} drawn at random).`;
}

// Waits until all answers are confirmed.
async function idle() {
  while (isSending) await new Promise((resolve) => setTimeout(resolve, 5));
  await send();
}

async function undo() {
  await idle();
  const received = await request("/api/undo", {});
  details.clear();
  if (received.undone === null) tell("There is nothing to undo.");
  else tell("");
  if (received.undone) queue = [received.undone];
  take(received);
  if (view === "grid") await openGrid();
  else await show();
}

async function separate() {
  const found = queue[0] && await describe(queue[0]);
  if (!found?.other) return;
  const received = await request("/api/separate", { row: found.row, other: found.other.row });
  details.clear();
  tell("They are no duplicates.");
  queue = queue.slice(0, 1);
  if (["duplicate", "other-label"].includes(queue[0].reason)) queue = [];
  take(received);
}

// --- Grid -----------------------------------------------------------------------------------------------------------

async function openGrid() {
  await idle();
  const received = await request("/api/grid");
  gridItems = received.items;
  state = received;
  view = "grid";
  describeState();
  press();
  element("groups").replaceChildren(...state.classes.flatMap(group));
  countSelected();
  await show();
}

function group(name) {
  const items = gridItems.filter((item) => item.label === name);
  if (!items.length) return [];
  const title = document.createElement("h2");
  title.textContent = `All of these are ${name}, but…`;
  const tiles = document.createElement("div");
  tiles.className = "tiles";
  tiles.append(...items.map(tile));
  return [title, tiles];
}

function tile(item) {
  const button = document.createElement("button");
  const caption = document.createElement("span");
  button.className = "tile";
  button.dataset.row = item.row;
  button.setAttribute("aria-pressed", "false");
  caption.textContent = item.label;
  button.append(Object.assign(new Image(), { src: imageOf(item.row, 320), alt: item.path }), caption);
  button.addEventListener("click", () => {
    const other = state.classes.find((name) => name !== item.label);
    const chosen = { "": other, [other]: "exclude", "exclude": "" }[button.dataset.answer ?? ""];
    button.dataset.answer = chosen;
    button.setAttribute("aria-pressed", String(chosen !== ""));
    caption.textContent = chosen === "" ? item.label : chosen === "exclude" ? "exclude" : `wrong: ${chosen}`;
    countSelected();
  });
  return button;
}

function countSelected() {
  const selected = document.querySelectorAll('.tile[aria-pressed="true"]').length;
  element("selected").textContent = `${gridItems.length - selected} keep their label, ${selected} change. ` +
    "A second click excludes, a third takes it back.";
}

async function confirmGrid() {
  if (!gridItems.length) return;
  const answers = gridItems.map(({ row, label }) => {
    const chosen = document.querySelector(`.tile[data-row="${row}"]`).dataset.answer ?? "";
    if (chosen === "") return { row, kind: "keep", random: true };
    if (chosen === "exclude" && !state.classes.includes(chosen)) return { row, kind: "exclude", random: true };
    return { row, kind: "label", value: chosen, random: true };
  });
  gridItems = [];
  await request("/api/decide", { answers });
  await openGrid();
  document.querySelector(".tile")?.focus();
}

async function leaveGrid() {
  await idle();
  view = "one";
  press();
  queue = [];
  take(await request("/api/state"));
  await show();
}

function press() {
  element("one").setAttribute("aria-pressed", String(view === "one"));
  element("grid").setAttribute("aria-pressed", String(view === "grid"));
}

// --- Retraining -----------------------------------------------------------------------------------------------------

async function retrain() {
  const button = element("retrain");
  if (button.disabled) return;
  button.disabled = true;
  tell("Retraining…");
  const start = performance.now();
  try {
    await idle();
    const received = await request("/api/retrain", {});
    tell("");
    details.clear();
    queue = [];
    take(received);
    showRetrained(received, (performance.now() - start) / 1000);
  } finally {
    button.disabled = false;
  }
}

function showRetrained({ result, command }, seconds) {
  const { comparison } = result;
  const verdict = result.differs
    ? "The difference is more than noise."
    : "The difference is not more than noise.";
  element("retrained-text").textContent =
    `${result.relabelled} labels changed, ${result.excluded} images excluded; ${seconds.toFixed(1)} s. Before and after are ` +
    `compared on the ${comparison.images.toLocaleString("en")} images whose label did not change. ${verdict}`;
  const names = { accuracy: "accuracy", log_loss: "log-loss", roc_auc: "area under the ROC curve" };
  element("retrained-rows").replaceChildren(...Object.entries(names).map(([key, name]) => {
    const row = document.createElement("tr");
    const { value, low, high } = comparison.differences[key];
    const interval = value === null ? "–" : `${signed(value)} [${signed(low)}, ${signed(high)}]`;
    const cells = [name, result.before[key].toFixed(4), result.after[key].toFixed(4), interval].map((text, number) => {
      const cell = document.createElement(number ? "td" : "th");
      cell.textContent = text;
      if (number) cell.className = "number";
      return cell;
    });
    row.append(...cells);
    return row;
  }));
  element("command").textContent = command;
  element("retrained").showModal();
}

const signed = (value) => value === null ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;

// --- Keys and buttons -----------------------------------------------------------------------------------------------

const ACTIONS = {
  "0": () => answer("label", state.classes[0]),
  "1": () => answer("label", state.classes[1]),
  " ": () => answer("keep"),
  "x": () => answer("exclude"),
  "u": () => answer("unsure"),
  "d": () => attempt(() => inOrder(separate)),
  "m": toggleMap,
};

function openKeys() {
  element("keys").showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || !state) return;
  const key = event.key.toLowerCase();
  const onButton = event.target instanceof HTMLButtonElement;
  if (key === "?") openKeys();
  else if (key === "z") attempt(() => inOrder(undo));
  else if (key === "g") attempt(() => inOrder(view === "one" ? openGrid : leaveGrid));
  else if (key === "r") attempt(retrain);
  else if (view === "grid" && key === "enter" && !onButton) attempt(() => inOrder(confirmGrid));
  else if (view === "one" && key in ACTIONS && !(onButton && key === " ")) ACTIONS[key]();
  else return;
  event.preventDefault();
});

element("negative").addEventListener("click", () => ACTIONS["0"]());
element("positive").addEventListener("click", () => ACTIONS["1"]());
element("keep").addEventListener("click", () => ACTIONS[" "]());
element("exclude").addEventListener("click", () => ACTIONS.x());
element("unsure").addEventListener("click", () => ACTIONS.u());
element("separate").addEventListener("click", () => ACTIONS.d());
element("undo").addEventListener("click", () => attempt(() => inOrder(undo)));
element("grid-undo").addEventListener("click", () => attempt(() => inOrder(undo)));
element("confirm").addEventListener("click", () => attempt(() => inOrder(confirmGrid)));
element("one").addEventListener("click", () => { if (view === "grid") attempt(() => inOrder(leaveGrid)); });
element("grid").addEventListener("click", () => { if (view === "one") attempt(() => inOrder(openGrid)); });
element("retrain").addEventListener("click", () => attempt(retrain));
element("help").addEventListener("click", openKeys);
element("close-keys").addEventListener("click", () => element("keys").close());
element("close-retrained").addEventListener("click", () => element("retrained").close());

attempt(async () => {
  take(await request("/api/state"));
  tell(state.notes.join(" "));
  await show();
});
