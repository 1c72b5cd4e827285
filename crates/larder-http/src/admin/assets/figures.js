// Texts of figures, elements, and the rates between two samples.

const KEPT_SECONDS = 600;
// A longer pause between two samples is a gap in the plots.
const GAP_SECONDS = 5;

export const byId = (id) => document.getElementById(id);

/** An element with a class, a text and children. */
export function element(tag, { name = "", text = "", ...attributes } = {}, children = []) {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  for (const [attribute, value] of Object.entries(attributes)) {
    made.setAttribute(attribute, value);
  }
  made.append(...children);
  return made;
}

export function setText(target, text) {
  if (target.textContent !== text) {
    target.textContent = text;
  }
}

/** Three significant digits, with thin spaces between thousands; an en dash for what is unknown. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return "–";
  }
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
  const [whole, rest] = value.toFixed(digits).split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return rest === undefined ? spaced : `${spaced}.${rest}`;
}

export const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`);
export const mebibytes = (bytes) => number(bytes / 1048576);
export const clock = (millis) => new Date(millis).toLocaleTimeString("en-GB");

export function ago(seconds) {
  const steps = [[86400, "d"], [3600, "h"], [60, "min"]];
  const step = steps.find(([size]) => seconds >= size);
  return step ? `${Math.floor(seconds / step[0])} ${step[1]}` : `${Math.max(0, Math.round(seconds))} s`;
}

export const quantile = (sorted, share) =>
  sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];

const COUNTS = ["memory", "redis", "joins", "loads", "bypasses", "failures", "invalidations", "stale"];
export const CAUSES = ["committed", "by_hand", "push", "journal", "loss"];

const all = (sample) =>
  Object.fromEntries(COUNTS.map((name) => [name, sample.classes.reduce((sum, one) => sum + one[name], 0)]));

/** The counts of a class, or of all classes for an empty name; `null` if the sample has no such class. */
const countsOf = (sample, name) =>
  name === "" ? all(sample) : (sample.classes.find((one) => one.name === name) ?? null);

/** The samples of the last ten minutes. */
export class Samples {
  constructor() {
    this.list = [];
  }

  /** Forgets all samples: the next is of another process, or for another viewer. */
  clear() {
    this.list = [];
  }

  add(sample) {
    // A clock that was put back: the plots need times that ascend.
    if (this.last && sample.at <= this.last.at) {
      this.clear();
    }
    this.list.push(sample);
    const oldest = sample.at - 1000 * KEPT_SECONDS;
    while (this.list[0].at < oldest) {
      this.list.shift();
    }
  }

  get last() {
    return this.list.at(-1);
  }

  /** The counts a second of a class over the last `seconds`; `null` before there are two samples. */
  rates(name, seconds) {
    const last = this.last;
    const first = this.list.findLast((sample) => sample.at <= last.at - 900 * seconds) ?? this.list[0];
    return between(first, last, (sample) => countsOf(sample, name));
  }

  /** One row for each sample: its time, and what `pick` returns for the sample and the one before it. */
  rows(width, pick) {
    const columns = Array.from({ length: width + 1 }, () => []);
    const push = (row) => row.forEach((value, column) => columns[column].push(value));
    const empty = Array(width).fill(null);
    this.list.forEach((sample, nth) => {
      const before = this.list[nth - 1];
      const at = sample.at / 1000;
      if (before && sample.at - before.at > 1000 * GAP_SECONDS) {
        push([at - 1, ...empty]);
      }
      const follows = before && sample.at - before.at <= 1000 * GAP_SECONDS;
      push([at, ...(pick(sample, follows ? before : null) ?? empty)]);
    });
    return columns;
  }

  readRows(name) {
    return this.rows(4, (sample, before) => {
      const rates = between(before, sample, (one) => countsOf(one, name));
      return rates && [rates.memory, rates.redis, rates.joins, rates.loads];
    });
  }

  hitRows(name) {
    return this.rows(2, (sample, before) => {
      const rates = between(before, sample, (one) => countsOf(one, name));
      const ratio = rates && hitRatio(rates);
      return ratio === null ? null : [100 * ratio, (100 * rates.memory) / reads(rates)];
    });
  }

  /** The ages of the certificate in the last `seconds`, sorted. */
  ages(seconds) {
    const since = this.last.at - 1000 * seconds;
    const ages = this.list.filter((sample) => sample.at >= since).map((sample) => sample.staleness.age_ms);
    return ages.filter((age) => age !== null).sort((a, b) => a - b);
  }
}

/** What counts grew by in a second; `null` if there is no earlier sample, or the process has started again. */
export function between(before, sample, pick) {
  const [from, to] = [before && pick(before), pick(sample)];
  const seconds = before ? (sample.at - before.at) / 1000 : 0;
  if (!from || !to || seconds <= 0) {
    return null;
  }
  const rates = {};
  for (const [name, value] of Object.entries(to)) {
    if (typeof value === "number" && typeof from[name] === "number") {
      rates[name] = (value - from[name]) / seconds;
    }
  }
  return COUNTS.some((name) => rates[name] < 0) ? null : rates;
}

export const reads = (counts) => counts.memory + counts.redis + counts.joins + counts.loads;

/** Hits among the reads, from 0 to 1; `null` without reads. */
export function hitRatio(counts) {
  const total = reads(counts);
  return total > 0 ? (total - counts.loads) / total : null;
}
