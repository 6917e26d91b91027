// The label page: shows the next image at once, loads the following ones ahead, sends each answer, and asks for the model's next
// questions and its accuracy meanwhile.

import { attempt, element, inOrder, request, tell } from "./page.js";

const AHEAD = 6; // images that are loaded before they are shown
const FIXED = 3; // of these stay, whatever the model proposes meanwhile: they are loaded already

const REASONS = {
  "diverse": "One of the first images, which are unlike each other.",
  "random": "Drawn at random: its answer counts for the accuracy.",
  "unsure": "The model is unsure.",
  "unfamiliar": "The image is unlike those with a label.",
  "undone": "Your last answer was taken back.",
};

let state = null; // classes, file, command, progress
let queue = []; // {row, reason, path}: the images to show, the current one first
let view = "one"; // or "grid"
let gridLabel = 0;
let gridItems = [];
const chosen = new Map(); // row in the grid -> "other" or "later"
const sending = []; // answers that are not confirmed yet
let isSending = false;
let confirmations = 0; // answers and skips that the server has confirmed
const acted = new Map(); // row -> the number of its confirmation, infinite before

const imageOf = (row, side) => `/image/${row}?side=${side}`;
const count = (number) => number.toLocaleString("en");

// Runs the work once more where it was asked for while it was running, and no more than once at a time.
function single(work) {
  let running = null, again = false;
  return () => {
    again = true;
    running ??= (async () => {
      try {
        while (again) {
          again = false;
          await work();
        }
      } finally {
        running = null;
      }
    })();
    return running;
  };
}

// --- One image ------------------------------------------------------------------------------------------------------

function show() {
  const item = queue[0];
  const isDone = state.progress.answers === state.progress.images;
  element("single").hidden = view !== "one" || isDone;
  element("many").hidden = view !== "grid";
  element("end").hidden = view !== "one" || !isDone;
  if (view !== "one" || isDone) return;
  element("image").hidden = !item;
  element("reason").textContent = item ? REASONS[item.reason] ?? "" : "The model chooses the next image…";
  element("caption").textContent = item?.path ?? "";
  if (!item) return;
  const source = imageOf(item.row, 1200);
  if (element("image").getAttribute("src") !== source) element("image").src = source;
  element("image").alt = item.path;
  for (const next of queue.slice(1, AHEAD)) new Image().src = imageOf(next.row, 1200);
}

// The server's list of what comes next, without what it could not know yet when it made it. The images at hand stay.
const loadNext = single(async () => {
  const known = confirmations;
  const received = await request("/api/next");
  takeNext(received.next.filter((item) => !(acted.get(item.row) > known)));
});

function takeNext(next) {
  const fixed = queue.slice(0, FIXED);
  const rows = new Set(fixed.map((item) => item.row));
  queue = [...fixed, ...next.filter((item) => !rows.has(item.row))];
  show();
}

function confirm(rows) {
  confirmations += 1;
  for (const row of rows) acted.set(row, confirmations);
}

function takeProgress(received) {
  state.progress = received.progress;
  const { answers, images, labels, skipped } = received.progress;
  const { classes, file } = state;
  const later = skipped ? `, ${count(skipped)} for later` : "";
  element("progress").textContent =
    `${count(answers)} of ${count(images)} images labelled: ${count(labels[0])} ${classes[0]}, ${count(labels[1])} ${classes[1]}` +
    `${later}; in ${file}`;
}

// --- Accuracy -------------------------------------------------------------------------------------------------------

const percent = (value) => `${(100 * value).toFixed(1)}%`;

const loadAccuracy = single(async () => {
  const { random, value, low, high, advice } = await request("/api/accuracy");
  element("accuracy").textContent = value === null ? "–" : percent(value);
  element("interval").textContent = value === null ? "" : `[${percent(low)}, ${percent(high)}]`;
  element("scale").hidden = value === null;
  element("range").style.left = percent(low);
  element("range").style.right = percent(1 - high);
  element("point").style.left = percent(value ?? 0);
  element("evidence").textContent = value === null
    ? "One image in five is drawn at random from the pool: from these comes the accuracy."
    : `95% interval, from ${count(random)} ${random === 1 ? "image" : "images"} drawn at random; each is answered by a model ` +
      "that did not see it.";
  element("advice").textContent = advice ?? "From 20 such images on, this page says what more labels would bring.";
});

// --- Answers --------------------------------------------------------------------------------------------------------

function answer(label) {
  const item = queue.shift();
  if (!item) return;
  tell("");
  acted.set(item.row, Infinity);
  sending.push({ row: item.row, label });
  show();
  attempt(send);
}

// One request at a time, in order: what was answered while it was under way goes with the next one.
async function send() {
  if (isSending || !sending.length) return;
  isSending = true;
  try {
    while (sending.length) {
      const answers = sending.slice(0, 100);
      const received = await request("/api/answer", { answers });
      sending.splice(0, answers.length);
      confirm(answers.map(({ row }) => row));
      takeProgress(received);
      if (received.progress.answers === received.progress.images) show();
    }
  } catch (error) {
    // The first answer that is not in the file is asked about again.
    for (const { row } of sending) acted.delete(row);
    queue = [{ row: sending[0].row, reason: "undone", path: "" }];
    sending.length = 0;
    throw error;
  } finally {
    isSending = false;
    refit();
  }
}

function refit() {
  attempt(async () => { await loadNext(); await loadAccuracy(); });
}

async function idle() {
  while (isSending) await new Promise((resolve) => setTimeout(resolve, 5));
  await send();
}

async function skip() {
  const item = queue.shift();
  if (!item) return;
  tell("");
  acted.set(item.row, Infinity);
  show();
  await inOrder(async () => {
    await idle();
    takeProgress(await request("/api/skip", { row: item.row }));
    confirm([item.row]);
    await loadNext();
  });
}

async function undo() {
  await idle();
  const received = await request("/api/undo", {});
  takeProgress(received);
  tell(received.undone ? "" : "There is nothing to undo.");
  if (received.undone) {
    acted.delete(received.undone.row);
    queue = [received.undone];
    if (view === "grid") return leaveGrid();
  }
  show();
  refit();
}

// --- Grid -----------------------------------------------------------------------------------------------------------

async function openGrid() {
  await idle();
  const received = await request(`/api/grid?label=${gridLabel}`);
  takeProgress(received);
  gridItems = received.items;
  chosen.clear();
  view = "grid";
  press();
  const name = state.classes[gridLabel];
  element("grid-title").textContent = gridItems.length ? `All of these are ${name}, but…` : "";
  element("tiles").replaceChildren(...gridItems.map(tile));
  element("empty").hidden = gridItems.length > 0;
  element("empty").textContent = state.progress.labels.includes(0)
    ? "The grid needs labels of both classes: answer some images one by one first."
    : `There is no image left that the model calls ${name}.`;
  element("confirm").disabled = !gridItems.length;
  countChosen();
  show();
}

function tile(item) {
  const button = document.createElement("button");
  const caption = document.createElement("span");
  button.className = "tile";
  button.dataset.row = item.row;
  button.setAttribute("aria-pressed", "false");
  caption.textContent = state.classes[gridLabel];
  button.append(Object.assign(new Image(), { src: imageOf(item.row, 320), alt: item.path }), caption);
  button.addEventListener("click", () => {
    const next = { undefined: "other", "other": "later", "later": undefined }[chosen.get(item.row)];
    if (next) chosen.set(item.row, next);
    else chosen.delete(item.row);
    button.setAttribute("aria-pressed", String(next !== undefined));
    caption.textContent = { "other": state.classes[1 - gridLabel], "later": "later" }[next] ?? state.classes[gridLabel];
    countChosen();
  });
  return button;
}

function countChosen() {
  const values = [...chosen.values()];
  const others = values.filter((value) => value === "other").length;
  const rest = gridItems.length - values.length;
  const [name, other] = gridLabel ? [state.classes[1], state.classes[0]] : state.classes;
  element("selected").textContent = gridItems.length
    ? `${rest} ${name}, ${others} ${other}, ${values.length - others} for later. Click an image that is ${other}; ` +
      "a second click leaves it for later, a third takes that back."
    : "";
}

async function confirmGrid() {
  if (!gridItems.length) return;
  const answers = gridItems
    .filter(({ row }) => chosen.get(row) !== "later")
    .map(({ row }) => ({ row, label: chosen.get(row) === "other" ? 1 - gridLabel : gridLabel }));
  const later = gridItems.filter(({ row }) => chosen.get(row) === "later");
  gridItems = [];
  if (answers.length) takeProgress(await request("/api/answer", { answers }));
  for (const { row } of later) await request("/api/skip", { row });
  confirm([...answers, ...later].map(({ row }) => row));
  queue = [];
  refit();
  await openGrid();
}

async function leaveGrid() {
  view = "one";
  press();
  show();
  await loadNext();
  attempt(loadAccuracy);
}

function chooseGrid(label) {
  return inOrder(() => {
    gridLabel = label;
    return openGrid();
  });
}

function press() {
  element("one").setAttribute("aria-pressed", String(view === "one"));
  element("grid").setAttribute("aria-pressed", String(view === "grid"));
  element("grid-negative").setAttribute("aria-pressed", String(gridLabel === 0));
  element("grid-positive").setAttribute("aria-pressed", String(gridLabel === 1));
}

// --- Keys and buttons -----------------------------------------------------------------------------------------------

const ACTIONS = {
  "0": () => (view === "one" ? answer(0) : attempt(() => chooseGrid(0))),
  "1": () => (view === "one" ? answer(1) : attempt(() => chooseGrid(1))),
  "u": () => view === "one" && attempt(skip),
  "z": () => attempt(() => inOrder(undo)),
  "g": () => attempt(() => inOrder(view === "one" ? openGrid : leaveGrid)),
  "?": () => element("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || !state) return;
  const key = event.key.toLowerCase();
  if (key in ACTIONS) ACTIONS[key]();
  else if (view === "grid" && key === "enter" && !(event.target instanceof HTMLButtonElement)) attempt(() => inOrder(confirmGrid));
  else return;
  event.preventDefault();
});

element("negative").addEventListener("click", () => answer(0));
element("positive").addEventListener("click", () => answer(1));
element("unsure").addEventListener("click", () => attempt(skip));
element("undo").addEventListener("click", () => attempt(() => inOrder(undo)));
element("grid-undo").addEventListener("click", () => attempt(() => inOrder(undo)));
element("grid-negative").addEventListener("click", () => attempt(() => chooseGrid(0)));
element("grid-positive").addEventListener("click", () => attempt(() => chooseGrid(1)));
element("confirm").addEventListener("click", () => attempt(() => inOrder(confirmGrid)));
element("one").addEventListener("click", () => { if (view === "grid") attempt(() => inOrder(leaveGrid)); });
element("grid").addEventListener("click", () => { if (view === "one") attempt(() => inOrder(openGrid)); });
element("help").addEventListener("click", ACTIONS["?"]);
element("close-keys").addEventListener("click", () => element("keys").close());

attempt(async () => {
  state = await request("/api/state");
  document.title = `Label ${state.name}`;
  element("name").textContent = state.name;
  element("command").textContent = state.command;
  ["negative", "positive"].forEach((side, number) => {
    for (const id of [side, `grid-${side}`]) element(id).lastElementChild.textContent = state.classes[number];
    element(`key-${side}`).textContent = state.classes[number];
  });
  takeProgress(state);
  tell(state.notes.join(" "));
  takeNext(state.next);
  await loadAccuracy();
});
