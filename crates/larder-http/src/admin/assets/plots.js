// The plots, drawn by uPlot. Their colours are those of the page, in both schemes.

import { CAUSES, byId, element, number, setText } from "./figures.js";

const HEIGHT = 136;

const series = (name, label, unit, scale = "y") => ({ name, label, unit, scale });

/** Each plot: its title with the unit, its series, its rows, and the text while it has no point. */
const PLOTS = [
  {
    id: "reads",
    title: "Reads by tier, /s",
    series: [series("memory", "Memory", "/s"), series("redis", "Redis", "/s"), series("joined", "Joined", "/s"), series("load", "Loaded", "/s")],
    rows: (samples, name) => samples.readRows(name),
    empty: "The first point comes with the second sample.",
  },
  {
    id: "hits",
    title: "Hit ratio, %",
    series: [series("redis", "All tiers", "%"), series("memory", "Memory alone", "%")],
    rows: (samples, name) => samples.hitRows(name),
    range: [0, 100],
    empty: "There were no reads yet.",
  },
  {
    id: "age",
    title: "Staleness at most, ms",
    series: [series("memory", "Age of the last certificate", "ms")],
    rows: (samples) => samples.rows(1, (sample) => [sample.staleness.age_ms]),
    empty: "Neither Redis nor a journal certifies: copies end with their own time.",
  },
  {
    id: "invalidations",
    title: "Invalidations by cause, /s",
    series: [series("load", "Committed", "/s"), series("joined", "By hand", "/s"), series("memory", "Push", "/s"), series("redis", "Journal", "/s")],
    rows: (samples) =>
      samples.rows(4, (sample, before) => {
        const grown = before && CAUSES.slice(0, 4).map((cause) => sample.causes[cause] - before.causes[cause]);
        const seconds = before && (sample.at - before.at) / 1000;
        return grown && grown.every((count) => count >= 0) ? grown.map((count) => count / seconds) : null;
      }),
    empty: "The first point comes with the second sample.",
  },
  {
    id: "redis",
    title: "Redis: commands /s, answer in ms",
    series: [series("redis", "Commands", "/s"), series("load", "Answer to PING", "ms", "ms")],
    rows: (samples) =>
      samples.rows(2, (sample, before) => {
        if (sample.redis.state !== "answers") {
          return null;
        }
        const known = before?.redis.state === "answers";
        const rate = known ? (sample.redis.commands - before.redis.commands) / ((sample.at - before.at) / 1000) : null;
        return [rate !== null && rate >= 0 ? rate : null, sample.redis.latency_ms];
      }),
    empty: "Redis does not answer, or none is configured.",
  },
  {
    id: "memory",
    title: "Memory of the entries, MiB",
    series: [series("memory", "Entries", "MiB")],
    rows: (samples) => samples.rows(1, (sample) => [sample.memory.bytes / 1048576]),
    empty: "The first point comes with the first sample.",
  },
];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

class Plot {
  constructor(spec) {
    this.spec = spec;
    this.uplot = null;
    this.values = spec.series.map(() => element("b", { text: "–" }));
    const items = spec.series.map((one, nth) =>
      element("span", {}, [element("i", { name: `c-${one.name}` }), one.label, this.values[nth]]),
    );
    this.area = element("div", { name: "area" });
    this.empty = element("p", { name: "empty", text: spec.empty });
    const heading = element("h3", { text: spec.title, id: `plot-${spec.id}-title` });
    const legend = element("div", { name: "legend" }, items);
    this.card = element("div", { name: "plot", id: `plot-${spec.id}`, role: "group", "aria-labelledby": heading.id });
    this.card.append(heading, legend, this.area, this.empty);
  }

  make() {
    this.uplot?.destroy();
    const { spec } = this;
    const [ink, line] = [colour("muted"), colour("line")];
    const font = "11px system-ui, sans-serif";
    const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 }, gap: 4 };
    const values = (_, ticks) => ticks.map((tick) => number(tick));
    const scales = { x: { time: true }, y: { range: spec.range ?? ((_, __, high) => [0, (high || 1) * 1.1]) } };
    const axes = [
      { ...axis, size: 24, space: 72, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString("en-GB")) },
      { ...axis, scale: "y", size: 48, space: 32, values },
    ];
    if (spec.series.some((one) => one.scale === "ms")) {
      scales.ms = { range: (_, __, high) => [0, (high || 1) * 1.1] };
      axes.push({ ...axis, scale: "ms", side: 1, size: 40, space: 32, values, grid: { show: false } });
    }
    const lines = spec.series.map((one) => ({ scale: one.scale, stroke: colour(one.name), width: 1.5, points: { show: false } }));
    const options = {
      width: this.area.clientWidth, height: HEIGHT, legend: { show: false }, scales, axes, series: [{}, ...lines],
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      hooks: { setCursor: [(plot) => this.say(plot.cursor.idx)] },
    };
    this.uplot = new uPlot(options, this.data ?? [[], ...spec.series.map(() => [])], this.area);
  }

  /** Writes the values under the pointer, or else the newest ones. */
  say(at) {
    const points = this.data?.[0].length ?? 0;
    const nth = at ?? points - 1;
    this.values.forEach((target, column) => setText(target, number(this.data?.[column + 1]?.[nth])));
  }

  draw(samples, name) {
    this.data = this.spec.rows(samples, name);
    const points = this.data.slice(1).some((column) => column.some((value) => value !== null));
    this.empty.hidden = points;
    this.card.dataset.points = String(this.data[1].filter((value) => value !== null).length);
    this.uplot.setData(this.data);
    this.say(this.uplot.cursor.idx);
  }

  fit() {
    const width = this.area.clientWidth;
    if (this.uplot && width > 0 && width !== this.uplot.width) {
      this.uplot.setSize({ width, height: HEIGHT });
    }
  }
}

/** All plots, in `#plots`. */
export class Plots {
  constructor() {
    this.plots = PLOTS.map((spec) => new Plot(spec));
    byId("plots").append(...this.plots.map((plot) => plot.card));
    this.plots.forEach((plot) => plot.make());
    new ResizeObserver(() => this.plots.forEach((plot) => plot.fit())).observe(byId("plots"));
    // A canvas keeps the colours with which it was drawn.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plots.forEach((plot) => plot.make()));
  }

  draw(samples, name) {
    this.plots.forEach((plot) => plot.draw(samples, name));
  }
}
