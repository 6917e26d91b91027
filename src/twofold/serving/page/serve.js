// The page to drop images on: each image is sent to /predict of the same service, and the answer is shown.

const find = (id) => document.getElementById(id);
const AT_ONCE = 2; // requests
const waiting = [];
let models = [];
let active = 0;
let token = "";

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const content = await response.json().catch(() => ({}));
  const error = new Error(content.error?.message ?? `The service answered with the status ${response.status}.`);
  error.status = response.status;
  throw error;
}

function say(text) {
  find("message").textContent = text;
  find("message").hidden = !text;
}

async function start() {
  try {
    models = (await (await ask("/models")).json()).models;
  } catch (error) {
    find("access").hidden = error.status !== 401;
    find("drop").hidden = true;
    say(error.status === 401 && !token ? "" : error.message);
    return;
  }
  say("");
  find("access").hidden = true;
  find("drop").hidden = false;
  find("choice").hidden = models.length < 2;
  find("model").replaceChildren(...models.map((model) => new Option(model.name, model.name)));
  describe();
}

function describe() {
  const model = models.find((each) => each.name === find("model").value);
  find("about").textContent = `${model.name}: ${model.classes.join(" or ")}. Version ${model.version}.`;
}

function add(files) {
  for (const file of files) waiting.push({ file, entry: show(file), model: find("model").value });
  work();
}

function show(file) {
  const entry = find("result").content.cloneNode(true).firstElementChild;
  entry.querySelector(".thumbnail").src = URL.createObjectURL(file);
  entry.querySelector(".name").textContent = file.name;
  entry.querySelector(".label").textContent = "…";
  find("results").prepend(entry);
  return entry;
}

async function work() {
  while (active < AT_ONCE && waiting.length) {
    const job = waiting.shift();
    active += 1;
    predict(job).finally(() => { active -= 1; work(); });
  }
}

function send(kind, { file, model }) {
  const type = file.type.startsWith("image/") ? file.type : "application/octet-stream";
  return ask(`/models/${model}/${kind}`, { method: "POST", body: file, headers: { "content-type": type } });
}

async function predict(job) {
  const part = (name) => job.entry.querySelector(name);
  try {
    const answer = await (await send("predict", job)).json();
    part(".label").textContent = answer.label ?? answer.reason;
    part(".detail").textContent = details(answer);
    part(".scale i").style.left = `${100 * answer.probability}%`;
    if (answer.label) part(".scale").classList.add(answer.label === answer.positive ? "positive" : "negative");
    part(".explain").hidden = false;
    const show = () => explain(job, answer.positive, part(".explain"), part(".thumbnail"));
    part(".explain").addEventListener("click", show);
  } catch (error) {
    part(".label").textContent = "no prediction";
    part(".detail").textContent = error.message;
    part(".scale").hidden = true;
  }
}

function details(answer) {
  const parts = [`probability of ${answer.positive} ${answer.probability.toFixed(3)}`];
  if (answer.familiarity !== null) parts.push(`familiarity ${answer.familiarity.toFixed(3)}`);
  return parts.join(", ");
}

async function explain(job, positive, button, image) {
  button.disabled = true;
  try {
    image.src = URL.createObjectURL(await (await send("explain", job)).blob());
    button.textContent = `Orange speaks for ${positive}, blue against it`;
  } catch (error) {
    button.disabled = false;
    say(error.message);
  }
}

find("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value;
  start();
});
find("model").addEventListener("change", describe);
find("files").addEventListener("change", (event) => { add(event.target.files); event.target.value = ""; });
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    find("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && !find("drop").hidden) add(event.dataTransfer.files);
  });
}
document.addEventListener("paste", (event) => { if (!find("drop").hidden) add(event.clipboardData.files); });
start();
