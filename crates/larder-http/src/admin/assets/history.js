// What all instances have said in the last hour, from the application's history.

import { get } from "./connection.js";
import { ago, byId, element, mebibytes, number, percent, setText } from "./figures.js";

const PERIOD_MILLIS = 30000;
const HOUR_SECONDS = 3600;

let timer = 0;

/** Reads the history now and again while the stream is on. */
export function start() {
  stop();
  read();
  timer = setInterval(read, PERIOD_MILLIS);
}

export function stop() {
  clearInterval(timer);
}

async function read() {
  try {
    show(await get(`history?since=${HOUR_SECONDS}`));
  } catch (error) {
    empty(`The history cannot be read: ${error.message}`);
  }
}

function empty(text) {
  byId("instances").hidden = true;
  byId("instances-empty").hidden = false;
  setText(byId("instances-empty"), text);
  setHour(null);
}

function setHour(staleness) {
  const cells = byId("stale-hour").querySelectorAll("td");
  ["p50", "p99", "max"].forEach((name, nth) => setText(cells[nth], number(staleness?.[name])));
}

function show(history) {
  if (history === null) {
    empty("This application keeps no history of its instances: the page shows the instance that answers it.");
    return;
  }
  if (history.instances.length === 0) {
    empty("No instance has written a minute yet; the first comes within two minutes after the start.");
    return;
  }
  byId("instances").hidden = false;
  byId("instances-empty").hidden = true;
  const rows = history.instances.map((one) => row(one, history.points));
  byId("instances").tBodies[0].replaceChildren(...rows);
  const figures = history.instances.map((one) => one.staleness_ms).filter((one) => one);
  const worst = (name) => Math.max(...figures.map((one) => one[name]));
  // Percentiles of several instances cannot be added: the page shows those of the worst instance.
  setHour(figures.length > 0 ? { p50: worst("p50"), p99: worst("p99"), max: worst("max") } : null);
}

/** The counts of an instance's last minute, all classes together. */
function lastMinute(instance, points) {
  const newest = points.filter((point) => point.instance === instance).sort((a, b) => (a.at < b.at ? 1 : -1))[0];
  const sum = { memory_hits: 0, redis_hits: 0, joins: 0, loads: 0 };
  for (const counts of Object.values(newest?.classes ?? {})) {
    for (const name of Object.keys(sum)) {
      sum[name] += counts[name] ?? 0;
    }
  }
  return sum;
}

function row(one, points) {
  const counts = lastMinute(one.instance, points);
  const hits = counts.memory_hits + counts.redis_hits + counts.joins;
  const total = hits + counts.loads;
  const cell = (label, text) => element("td", { name: "n", text, "data-label": label });
  return element("tr", {}, [
    element("th", { text: one.name, scope: "row", title: one.instance }),
    element("td", { text: one.health, "data-label": "Health" }),
    cell("Reads /min", number(total)),
    cell("Hit ratio", percent(total > 0 ? hits / total : null)),
    cell("Memory", `${mebibytes(one.memory_bytes)} MiB`),
    cell("p50, ms", number(one.staleness_ms?.p50)),
    cell("p99, ms", number(one.staleness_ms?.p99)),
    cell("max, ms", number(one.staleness_ms?.max)),
    cell("Last said", `${ago((Date.now() - Date.parse(one.last)) / 1000)} ago`),
  ]);
}
