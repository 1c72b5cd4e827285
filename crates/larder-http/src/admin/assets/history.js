// What all instances have said in the last hour, from the application's history.

import { ago, byId, element, mebibytes, number, setText } from "./figures.js";
import { Polling } from "./polling.js";

const HOUR_SECONDS = 3600;

const polling = new Polling(`history?since=${HOUR_SECONDS}`, show, (failure) => empty(`The history cannot be read: ${failure}`));

/** Reads the history every 15 s while the stream is on. */
export const start = () => polling.start();
export const stop = () => polling.stop();

/** Stops, and shows nothing of what was read. */
export function forget() {
  stop();
  byId("instances").tBodies[0].replaceChildren();
  empty("");
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
