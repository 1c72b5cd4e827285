// The log of invalidations and troubles.

import { byId, clock, element, number } from "./figures.js";

// How many items are shown.
const ITEMS = 100;

const TONES = { committed: "good", "by hand": "warn", loss: "bad", degraded: "bad", alarm: "bad", missed: "warn", recovered: "good" };

function scope(line) {
  if (line.is_hidden) {
    return `a ${line.kind} whose name you may not see`;
  }
  return line.kind === "note" || line.kind === "everything" ? line.text : `${line.kind} ${line.text}`;
}

// One write invalidates many names at once: what came together is one line, which opens.
function logItem(lines) {
  const [first] = lines;
  const texts = lines.map((line) => (line.times > 1 ? `${scope(line)} ×${number(line.times)}` : scope(line)));
  const what = element("div", { name: "what" });
  if (texts.length === 1) {
    what.textContent = texts[0];
  } else {
    const summary = element("summary", { text: `${texts[0]} and ${texts.length - 1} more` });
    what.append(element("details", {}, [summary, ...texts.slice(1).map((text) => element("p", { text }))]));
  }
  return element("li", { "data-cause": first.cause, "data-id": first.id }, [
    element("time", { name: "muted", text: clock(first.at) }),
    element("span", { name: `pill ${TONES[first.cause] ?? ""}`, text: first.cause }),
    what,
  ]);
}

// The items of the log and their lines; the newest is the first in the list.
let items = [];
const TOGETHER_MILLIS = 50;

function addLine(line) {
  const list = byId("log");
  const known = items.find((item) => item.lines.some((other) => other.id === line.id));
  const last = items.at(-1);
  if (known) {
    known.lines = known.lines.map((other) => (other.id === line.id ? line : other));
    return known;
  }
  if (last && last.lines[0].cause === line.cause && line.kind !== "note" && line.at - last.lines[0].at < TOGETHER_MILLIS) {
    last.lines.push(line);
    return last;
  }
  const made = { lines: [line], shown: element("li") };
  list.prepend(made.shown);
  items.push(made);
  return made;
}

/** Adds lines, or shows again those that were repeated. */
export function add(lines) {
  byId("log-empty").hidden = true;
  const changed = new Set(lines.map(addLine));
  for (const item of changed) {
    const isOpen = item.shown.querySelector("details")?.open;
    const made = logItem(item.lines);
    if (isOpen && made.querySelector("details")) {
      made.querySelector("details").open = true;
    }
    item.shown.replaceWith(made);
    item.shown = made;
  }
  while (items.length > ITEMS) {
    items.shift().shown.remove();
  }
}

/** Forgets all lines. */
export function clear() {
  byId("log").replaceChildren();
  items = [];
  byId("log-empty").hidden = false;
}
