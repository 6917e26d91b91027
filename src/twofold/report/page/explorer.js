// The threshold explorer: what a rule does to 1,000 images, for every position of its two handles.

const NEVER = 1.0000000000000002;  // a threshold that no probability reaches

// Four decimals as Python writes them: exact ties go to the even digit.
function decimals(value, digits) {
  const text = value.toFixed(digits), long = Math.abs(value).toFixed(Math.min(digits + 25, 100));
  const rest = long.slice(long.indexOf(".") + 1 + digits);
  if (!/^50*$/.test(rest) || Number(text.at(-1)) % 2 === 0) return text;
  return (value - Math.sign(value) * 10 ** -digits).toFixed(digits);
}

// The number of ascending values below a threshold.
function countBelow(values, threshold) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < threshold) low = middle + 1; else high = middle;
  }
  return low;
}

// The probability that holds at the prevalence `next` instead of `current`.
function changePrevalence(p, current, next) {
  if (current === next || p < 0 || p > 1) return p;
  const ratio = (next / (1 - next)) * (1 - current) / current;
  return (ratio * p) / (1 - p + ratio * p);
}

// Scores, unpacked from base64; `counts(low, high)` takes two binary searches for each class.
class Scores {
  constructor(header, text) {
    const bytes = Uint8Array.from(atob(text.trim()), letter => letter.charCodeAt(0)).buffer;
    let at = 0;
    const take = (Type, length) => {
      const part = new Type(bytes.slice(at, at + length * Type.BYTES_PER_ELEMENT));
      at += length * Type.BYTES_PER_ELEMENT;
      return part;
    };
    this.header = header;
    this.classes = header.images.map(length => take(Float32Array, length));
    this.units = header.grouped ? header.units.map(length => take(Float32Array, length)) : this.classes;
    [this.missedBounds, this.calledBounds] = header.bounds.map(length => take(Float64Array, length));
    this.unfamiliar = header.images.map(length => {  // how many of the first images are unfamiliar
      const sums = new Uint32Array(length + 1);
      take(Uint8Array, length).forEach((flag, index) => { sums[index + 1] = sums[index] + flag; });
      return sums;
    });
  }

  // Images of each class that are called negative, unsure, unfamiliar, called positive.
  counts(low, high) {
    return this.classes.map((values, label) => {
      const below = countBelow(values, low), from = countBelow(values, high), sums = this.unfamiliar[label];
      const all = sums[values.length];
      const negative = below - sums[below], positive = values.length - from - (all - sums[from]);
      return { negative, unsure: values.length - negative - positive - all, unfamiliar: all, positive };
    });
  }

  // The highest rates of missed positives and of false alarms that the band allows; undefined above its end.
  bounds(low, high) {
    return {
      missed: this.missedBounds[countBelow(this.units[1], low)],
      called: this.calledBounds[this.units[0].length - countBelow(this.units[0], high)],
    };
  }

  // The highest `low` whose bound is at most `rate`, and the lowest `high`; null where no image may fail.
  lowFor(rate) { return this.endFor(this.missedBounds, rate, failures => this.units[1][failures]); }
  highFor(rate) {
    const negatives = this.units[0];
    return this.endFor(this.calledBounds, rate, failures => negatives[negatives.length - 1 - failures] * (1 + 2e-7) + 1e-12);
  }
  endFor(bounds, rate, end) {
    const allowed = bounds.findLastIndex(bound => bound <= rate);
    return allowed < 0 ? null : end(allowed);
  }
}

// What a rule does to images at a prevalence: null is that of the scores.
function summarise(scores, low, high, prevalence) {
  const [negatives, positives] = scores.counts(low, high), [n0, n1] = scores.header.images;
  const fraction = n1 / (n0 + n1), total = n0 + n1;
  const w0 = prevalence === null ? 1 : (1 - prevalence) / (1 - fraction), w1 = prevalence === null ? 1 : prevalence / fraction;
  const decided = w0 * (negatives.negative + negatives.positive) + w1 * (positives.negative + positives.positive);
  const wrong = w0 * negatives.positive + w1 * positives.negative;
  const per1000 = (weight, count) => (1000 * weight * count) / total;
  return {
    cells: [[w0, negatives], [w1, positives]].map(([weight, row]) =>
      ["negative", "unsure", "unfamiliar", "positive"].map(name => per1000(weight, row[name]))),
    missed: positives.negative / n1, called: negatives.positive / n0, coverage: decided / total, error: wrong / decided,
    positives: 1000 * w1 * n1 / total, negatives: 1000 * w0 * n0 / total, bounds: scores.bounds(low, high),
  };
}

// The cost of 1,000 images. Where unsure images have no cost, unfamiliar ones count as answered.
function costPer1000(scores, low, high, prevalence, costs) {
  const [n0, n1] = scores.header.images, total = n0 + n1, fraction = n1 / total;
  const w0 = prevalence === null ? 1 : (1 - prevalence) / (1 - fraction), w1 = prevalence === null ? 1 : prevalence / fraction;
  const answered = costs.unsure === null;
  const rows = scores.classes.map((values, label) => {
    const below = countBelow(values, low), from = countBelow(values, high), sums = scores.unfamiliar[label];
    const negative = below - (answered ? 0 : sums[below]);
    const positive = values.length - from - (answered ? 0 : sums[values.length] - sums[from]);
    return { negative, positive, none: values.length - negative - positive };
  });
  const cost = w0 * rows[0].positive * costs.fp + w1 * rows[1].negative * costs.fn
    + (costs.unsure ?? 0) * (w0 * rows[0].none + w1 * rows[1].none);
  return (1000 * cost) / total;
}

// The thresholds of theory for calibrated probabilities (Chow 1970).
function costBand(costs) {
  const single = costs.fp / (costs.fp + costs.fn);
  if (costs.unsure === null) return [single, single];
  const low = costs.unsure / costs.fn, high = 1 - costs.unsure / costs.fp;
  return low < high ? [low, high] : [single, single];
}

// Six decimals, on the side that keeps a promise.
const floor = p => Math.floor(p * 1e6) / 1e6, ceil = p => Math.min(Math.ceil(p * 1e6) / 1e6, NEVER);

const quoted = text => /^[\w@%+=:,./-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\"'\"'") + "'";
const plain = value => Number(value.toPrecision(12)).toString();

// The command that gives a bundle this rule; null where none does.
function decideCommand(name, low, high, prevalence) {
  const words = ["twofold", "decide", quoted(name)];
  if (low === high) words.push("--threshold", String(Math.min(low, 1)));
  else if (low <= 0 || high >= 1) return null;
  else words.push("--cost-fp", plain(1 / (1 - high)), "--cost-fn", plain(1 / low), "--cost-unsure", "1");
  if (prevalence !== null) words.push("--prevalence", String(prevalence));
  return [...words, "--write"].join(" ");
}

customElements.define("threshold-explorer", class extends HTMLElement {
  connectedCallback() {
    const { header, name, classes } = PAGE.explorer;
    this.scores = new Scores(header, document.getElementById("scores").textContent);
    this.name = name;
    this.classes = classes;
    const ends = this.scores.classes.flatMap(values => values.length ? [values[0], values[values.length - 1]] : []);
    const logits = ends.map(p => Math.abs(this.logit(Math.min(Math.max(p, 1e-4), 1 - 1e-4))));
    this.reach = Math.max(...logits, 3) + 0.4;  // the axis shows probabilities by their log-odds
    this.find = id => this.querySelector("#" + id);
    this.low = header.low;
    this.high = header.high;
    this.prevalence = header.assumed ? header.prevalence : null;
    if (header.assumed) this.find("prevalence").value = String(header.prevalence);
    for (const [id, cost] of Object.entries({ "cost-fp": "fp", "cost-fn": "fn", "cost-unsure": "unsure" })) {
      if (header.costs && header.costs[cost] !== null) this.find(id).value = String(header.costs[cost]);
    }
    this.find("single").checked = this.low === this.high;
    for (const end of ["low", "high"]) this.listen(end);
    for (const tick of [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999]) {
      const at = this.position(tick), label = document.createElement("span");
      if (at <= 0 || at >= 1000) continue;
      label.textContent = String(tick);
      label.style.left = at / 10 + "%";
      this.find("ticks").append(label);
    }
    this.find("single").addEventListener("change", event => this.join(event.target.checked));
    for (const id of ["prevalence", "cost-fp", "cost-fn", "cost-unsure", "most-missed", "most-called"]) {
      this.find(id).addEventListener("input", () => { this.readPrevalence(); this.show(); });
    }
    this.find("to-cost").addEventListener("click", () => this.moveToCost());
    this.find("to-promise").addEventListener("click", () => this.moveToPromise());
    this.find("to-rule").addEventListener("click", () => this.moveToRule());
    this.show();
  }

  logit(p) { return Math.log(p / (1 - p)); }

  // A handle: 1,001 steps along the axis; its ends are "no image" and "every image".
  listen(end) {
    this.find(end).addEventListener("input", event => {
      const step = Number(event.target.value);
      this.move(end, step === 0 ? 0 : step === 1000 ? NEVER : this.rounded(1 / (1 + Math.exp(this.reach - 2 * this.reach * step / 1000))));
      this.show();
    });
  }

  join(together) {
    if (together) this.high = this.low;
    this.show();
    this.say(together ? "Both handles move together." : "Each handle moves alone: images between them are unsure.");
  }

  rounded(p) { return p < 0.5 ? Number(p.toPrecision(3)) : Number((1 - Number((1 - p).toPrecision(3))).toFixed(8)); }

  move(end, value) {
    this[end] = value;
    if (this.find("single").checked) this.low = this.high = value;
    else if (end === "low") this.high = Math.max(this.high, value);
    else this.low = Math.min(this.low, value);
    this.say("");
  }

  moveTo(low, high, sentence) {
    this.find("single").checked = low === high;
    this.low = low;
    this.high = high;
    this.show();
    this.say(sentence);
  }

  say(sentence) { this.find("moved").textContent = sentence; }

  number(id, least, most) {
    const text = this.find(id).value.trim(), value = Number(text);
    return text === "" || !(value >= least && value <= most) ? null : value;
  }

  readPrevalence() { this.prevalence = this.number("prevalence", 1e-6, 1 - 1e-6); }

  get costs() {
    const [fp, fn, unsure] = ["cost-fp", "cost-fn", "cost-unsure"].map(id => this.number(id, 1e-9, 1e9));
    return fp === null || fn === null ? null : { fp, fn, unsure };
  }

  moveToCost() {
    if (this.costs === null) return this.say("Give the cost of both kinds of error first.");
    const [low, high] = costBand(this.costs);
    this.moveTo(low, high, "Moved to where calibrated probabilities cost least.");
  }

  moveToPromise() {
    const missed = this.number("most-missed", 0, 1), called = this.number("most-called", 0, 1);
    if (missed === null && called === null) return this.say("Give the highest rate of at least one kind of error first.");
    const low = missed === null ? Infinity : this.scores.lowFor(missed), high = called === null ? 0 : this.scores.highFor(called);
    if (low === null || high === null) return this.say("So few images cannot promise this rate, even if none of them fails.");
    const from = ceil(this.fromScores(high)), to = low === Infinity ? NEVER : floor(this.fromScores(low));
    const half = Math.min(Math.max(0.5, from), to);
    if (from <= to) this.moveTo(half, half, "Moved to one threshold that keeps both rates.");
    else this.moveTo(to, from, "No single threshold keeps both rates: images between the handles are unsure.");
  }

  moveToRule() {
    const { low, high, assumed, prevalence } = this.scores.header;
    this.find("prevalence").value = assumed ? String(prevalence) : "";
    this.readPrevalence();
    this.moveTo(low, high, "The handles are at the rule in use.");
  }

  // Thresholds are shown at the prevalence that is assumed; the scores hold at their own.
  toScores(p) { return this.prevalence === null ? p : changePrevalence(p, this.prevalence, this.scores.header.prevalence); }
  fromScores(p) { return this.prevalence === null ? p : changePrevalence(p, this.scores.header.prevalence, this.prevalence); }

  show() {
    const low = this.toScores(this.low), high = this.toScores(this.high);
    this.showHandles();
    this.showHistogram();
    const result = summarise(this.scores, low, high, this.prevalence);
    this.showResult(result);
    this.showCost(low, high);
    this.showPromise(result);
    if (this.prevalence === null && this.find("prevalence").value.trim() !== "") this.say("The fraction lies between 0 and 1, as 0.02.");
    const command = decideCommand(this.name, this.low, this.high, this.prevalence);
    this.find("command").textContent = command ?? "No command gives a band that begins at 0 or ends at 1: move that handle.";
  }

  position(p) {
    if (p <= 0) return 0;
    if (p >= 1) return 1000;
    return Math.min(Math.max(500 + 500 * this.logit(p) / this.reach, 0), 1000);
  }

  text(p) { return p >= NEVER ? "above 1" : p === 0 || p === 1 ? String(p) : String(Number(p.toPrecision(6))); }

  showHandles() {
    const [negative, positive] = this.classes;
    const texts = { low: `${negative} below ${this.text(this.low)}`, high: `${positive} from ${this.text(this.high)}` };
    for (const end of ["low", "high"]) {
      const handle = this.find(end), at = this.position(this[end]);
      if (Number(handle.value) !== Math.round(at)) handle.value = String(Math.round(at));
      handle.setAttribute("aria-valuetext", texts[end]);
      this.find(`${end}-text`).textContent = texts[end];
      this.find(`${end}-line`).setAttribute("x1", at);
      this.find(`${end}-line`).setAttribute("x2", at);
    }
    const from = this.position(this.low), to = this.position(this.high);
    this.find("unsure-area").setAttribute("x", from);
    this.find("unsure-area").setAttribute("width", to - from);
  }

  // Bars of the square root of the number of images: with their number the few between the ends would not be visible.
  showHistogram() {
    if (this.drawnAt === this.prevalence) return;
    this.drawnAt = this.prevalence;
    const bins = 60, edges = Array.from({ length: bins + 1 }, (_, bin) => 1 / (1 + Math.exp(this.reach - 2 * this.reach * bin / bins)));
    const counts = this.scores.classes.map(values => {
      const below = edges.map(edge => countBelow(values, this.toScores(edge)));
      below[0] = 0;
      below[bins] = values.length;
      return below.slice(1).map((count, bin) => count - below[bin]);
    });
    const most = Math.sqrt(Math.max(...counts[0], ...counts[1], 1));
    for (const [label, id] of [[0, "negative-bars"], [1, "positive-bars"]]) {
      this.find(id).setAttribute("d", counts[label].map((count, bin) => {
        const height = 92 * Math.sqrt(count) / most, x = 1000 * bin / bins;
        return count ? `M${x} 100v${label ? -height : height}h${1000 / bins - 1}V100Z` : "";
      }).join(""));
    }
  }

  showResult(result) {
    const cell = (id, text) => { this.find(id).textContent = text; };
    const rate = value => Number.isNaN(value) ? "undefined" : decimals(value, 4);
    const most = (value, factor) => value === undefined ? `above ${this.scores.header.max_rate}: no bound` : `at most ${factor === undefined ? rate(value) : decimals(factor * value, 1)}`;
    result.cells.forEach((row, label) => row.forEach((value, column) => cell(`cell-${label}-${column}`, decimals(value, 1))));
    cell("missed", rate(result.missed));
    cell("called", rate(result.called));
    cell("missed-bound", most(result.bounds.missed));
    cell("called-bound", most(result.bounds.called));
    cell("missed-1000", decimals(result.cells[1][0], 1));
    cell("called-1000", decimals(result.cells[0][3], 1));
    cell("missed-1000-bound", result.bounds.missed === undefined ? "" : most(result.bounds.missed, result.positives));
    cell("called-1000-bound", result.bounds.called === undefined ? "" : most(result.bounds.called, result.negatives));
    cell("coverage", rate(result.coverage));
    cell("coverage-1000", decimals(1000 * result.coverage, 1));
    cell("error", rate(result.error));
    cell("error-1000", decimals(result.cells[1][0] + result.cells[0][3], 1));
  }

  showCost(low, high) {
    const costs = this.costs, some = ["cost-fp", "cost-fn", "cost-unsure"].some(id => this.find(id).value.trim() !== "");
    this.find("cost").textContent = costs === null ? (some ? "Costs need a number above 0 for both kinds of error." : "") :
      this.costSentence(costs, costPer1000(this.scores, low, high, this.prevalence, costs));
  }

  costSentence({ fp, fn, unsure }, cost) {
    const [negative, positive] = this.classes, none = unsure === null ? "" : `, and ${unsure} for each image without a label`;
    return `1,000 images cost ${decimals(cost, 1)}, at ${fn} for each ${positive} missed and ${fp} for each ${negative} called ${positive}${none}.`;
  }

  showPromise(result) {
    const sentences = [];
    for (const [id, bound, what] of [
      ["most-missed", result.bounds.missed, `of ${this.classes[1]} missed`],
      ["most-called", result.bounds.called, `of ${this.classes[0]} called ${this.classes[1]}`],
    ]) {
      const most = this.number(id, 0, 1);
      if (most === null && this.find(id).value.trim() !== "") sentences.push("A promise is a rate from 0 to 1.");
      if (most !== null) sentences.push(`${bound !== undefined && bound <= most ? "Kept" : "Not kept"}: at most ${most} ${what}.`);
    }
    this.find("promise").textContent = sentences.join(" ");
  }
});
