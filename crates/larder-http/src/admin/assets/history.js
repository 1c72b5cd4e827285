// What all instances have said in the last hour, from the application's history.

import { get } from "./connection.js";
import { ago, byId, element, mebibytes, number, setText } from "./figures.js";

const PERIOD_MILLIS = 15000;
const HOUR_SECONDS = 3600;

let timer = 0;
// The number of the present run: an answer to an earlier one is dropped.
let run = 0;

/** Reads the history now and again while the stream is on. */
export function start() {
  stop();
  read(run);
}

export function stop() {
  run += 1;
  clearTimeout(timer);
}

/** Stops, and shows nothing of what was read. */
export function forget() {
  stop();
  byId("instances").tBodies[0].replaceChildren();
  empty("");
}

async function read(mine) {
  let answer = null;
  let failure = "";
  try {
    answer = await get(`history?since=${HOUR_SECONDS}`);
  } catch (error) {
    failure = error.message;
  }
  if (mine !== run) {
    return;
  }
  if (failure) {
    empty(`The history cannot be read: ${failure}`);
  } else {
    show(answer);
  }
  // After the answer: a slow one must not meet the next.
  timer = setTimeout(() => read(mine), PERIOD_MILLIS);
}

function empty(text) {
  byId("instances").hidden = true;
  byId("instances-empty").hidden = false;
  setText(byId("instances-empty"), text);
  setHour(null);
}

function setHour(staleness) {
  const cells = byId("stale-hour").querySelectorAll("td");
  ["p50_ms", "p99_ms", "max_ms"].forEach((name, nth) => setText(cells[nth], number(staleness?.[name])));
}

function show(history) {
  if (history === null) {
    empty("This application keeps no history of its instances: the page shows the instance that answers it.");
    return;
  }
  if (history.instances.length === 0) {
    empty("No instance has written its figures yet; each writes them every 10 s.");
    return;
  }
  byId("instances").hidden = false;
  byId("instances-empty").hidden = true;
  byId("instances").tBodies[0].replaceChildren(...history.instances.map(row));
  setHour(known(history.staleness));
}

/** The percentiles, unless there was no certificate to measure. */
const known = (staleness) => (staleness.samples > 0 ? staleness : null);

function row(one) {
  const staleness = known(one.staleness);
  const tone = one.is_running ? (one.health === "degraded" ? "bad" : "good") : "warn";
  const state = element("span", { name: `pill ${tone}`, text: one.is_running ? one.health : "not running" });
  const cell = (label, text) => element("td", { name: "n", text, "data-label": label });
  return element("tr", { "data-instance": one.name }, [
    element("th", { text: one.name, scope: "row" }),
    element("td", { "data-label": "Health" }, [state]),
    cell("Memory", `${mebibytes(one.memory_bytes)} MiB`),
    cell("p50, ms", number(staleness?.p50_ms)),
    cell("p99, ms", number(staleness?.p99_ms)),
    cell("max, ms", number(staleness?.max_ms)),
    cell("Uncertified", `${number(one.staleness.uncertified_seconds)} s`),
    cell("Started", `${ago((Date.now() - Date.parse(one.started)) / 1000)} ago`),
    cell("Last said", `${ago(one.silent_for_ms / 1000)} ago`),
  ]);
}
