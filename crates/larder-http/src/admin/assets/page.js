// The page: it signs its viewer in, follows the stream, and shows what comes.

import { follow, logIn, logOut, readSettings } from "./connection.js";
import { bind, clearClass, say, switchClass } from "./controls.js";
import { Samples, ago, byId, clock, element, hitRatio, mebibytes, number, percent, quantile, reads, setText } from "./figures.js";
import * as history from "./history.js";
import * as log from "./log.js";
import { Plots } from "./plots.js";
import * as tuning from "./tuning.js";

const RATE_SECONDS = 5;
// A stream that ends with its token comes back within less; a longer pause is a line of the log.
const PAUSE_MILLIS = 3000;

const samples = new Samples();
let plots = null;
let signIn = { kind: "application" };
let instance = "";
let began = 0;
let lastAt = 0;
let stopFollowing = () => {};

function show(id) {
  for (const other of ["sign-in", "panel"]) {
    byId(other).hidden = other !== id;
  }
  byId("sign-out").hidden = id !== "panel" || signIn.kind !== "password";
}

function askToSignIn(text) {
  forget();
  show("sign-in");
  byId("sign-in-form").hidden = signIn.kind !== "password";
  byId("sign-in-elsewhere").hidden = signIn.kind === "password";
  setText(byId("sign-in-error"), text);
  byId("health").hidden = true;
  byId("email").focus();
}

async function submitSignIn(event) {
  event.preventDefault();
  const button = event.submitter ?? byId("sign-in-form").querySelector("button");
  button.disabled = true;
  setText(byId("sign-in-error"), "");
  try {
    await logIn(byId("email").value, byId("password").value, byId("code").value.trim());
    byId("sign-in-form").reset();
    byId("code-row").hidden = true;
    begin();
  } catch (error) {
    if (error.code === "second_factor_needed") {
      byId("code-row").hidden = false;
      byId("code").focus();
    }
    setText(byId("sign-in-error"), error.message);
  } finally {
    button.disabled = false;
  }
}

/** Forgets what the viewer has seen: the next one of this tab may have fewer rights. */
function forget() {
  history.forget();
  tuning.forget();
  byId("confirm").close();
  began = 0;
  lastAt = 0;
  startAnew();
  for (const id of ["explained", "reasons"]) {
    byId(id).replaceChildren();
  }
  for (const id of ["explain-key", "pattern"]) {
    byId(id).value = "";
  }
  say("");
}

/** Forgets the figures and the log of an instance. */
function startAnew() {
  samples.clear();
  byId("classes").tBodies[0].replaceChildren();
  byId("plot-class").length = 1;
  byId("explain-class").length = 0;
  log.clear();
}

async function leave(text) {
  stopFollowing();
  forget();
  await logOut();
  askToSignIn(text);
}

function begin() {
  show("panel");
  plots ??= new Plots();
  stopFollowing = follow({
    state(state, text) {
      byId("live").dataset.state = state;
      setText(byId("live"), text);
      if (state !== "on") {
        history.stop();
        tuning.stop();
      }
    },
    event(name, data) {
      ({ hello, sample, log: log.add })[name]?.(data);
    },
    signedOut(error) {
      // The session of a viewer who is no admin is of no use here, so it is ended, too.
      leave(error.status === 401 && signIn.kind === "application" ? "" : error.message);
    },
  });
}

function hello(data) {
  instance = data.instance;
  setText(byId("instance"), instance);
  byId("warm").hidden = !data.can_warm;
  if (began !== data.began) {
    // Another process: its counts have nothing to do with those before.
    began = data.began;
    startAnew();
    setText(byId("log-since"), `since ${clock(data.at)}, on this instance`);
  } else if (lastAt > 0 && data.at - lastAt > PAUSE_MILLIS) {
    const text = `this page did not listen from ${clock(lastAt)} to ${clock(data.at)}`;
    log.add([{ id: `pause-${data.at}`, at: data.at, cause: "paused", kind: "note", text, times: 1 }]);
  }
  history.start();
  tuning.start({ instance, began });
}

function sample(data) {
  byId("live").dataset.state = "on";
  setText(byId("live"), "Live");
  samples.add(data);
  lastAt = data.at;
  showHealth(data);
  showTiles(data);
  showClasses(data);
  showStaleness(data);
  showSources(data);
  plots.draw(samples, byId("plot-class").value);
}

const HEALTH = { working: "good", degraded: "bad", "memory-only": "" };

function showHealth(data) {
  const pill = byId("health");
  pill.hidden = false;
  pill.className = `pill ${HEALTH[data.health] ?? ""}`;
  setText(pill, data.health);
  const texts = data.reasons.map((reason) => `${reason.trouble} since ${clock(reason.since)}: ${reason.text}${reason.detail ? ` (${reason.detail})` : ""}`);
  const shown = [...byId("reasons").children].map((child) => child.textContent);
  if (texts.join("\n") !== shown.join("\n")) {
    byId("reasons").replaceChildren(...texts.map((text) => element("p", { name: "reason", text })));
  }
}

function tile(name, value, more) {
  setText(byId(`tile-${name}`), value);
  setText(byId(`tile-${name}-more`), more);
}

function showTiles(data) {
  const rates = samples.rates("", RATE_SECONDS);
  const minute = samples.rates("", 60);
  tile("reads", number(rates && reads(rates)), rates ? `${number(rates.invalidations)} invalidations /s` : "");
  const ratio = minute && hitRatio(minute);
  tile("hits", ratio === null ? "–" : (100 * ratio).toFixed(1), ratio === null ? "no reads in the last minute" : `memory alone ${percent(minute.memory / reads(minute))}`);
  const failed = data.classes.reduce((sum, one) => sum + one.failures, 0);
  tile("loads", number(rates?.loads), `${number(failed)} failed since the start`);
  const ages = samples.ages(60);
  tile("age", number(quantile(ages, 0.99)), `p99; bound ${number(data.staleness.bound_ms / 1000)} s`);
  const answers = data.redis.state === "answers";
  tile("redis", answers ? number(data.redis.latency_ms) : data.redis.state, answers ? `${data.redis.version}, ${number(data.redis.clients)} clients` : "");
  setText(byId("tile-redis-unit"), answers ? "ms" : "");
  tile("memory", mebibytes(data.memory.bytes), `${number(data.memory.evictions)} evictions`);
}

const CELLS = [
  ["Reads /s", (_, rates) => number(rates && reads(rates))],
  ["Hit ratio", (one) => percent(hitRatio(one))],
  ["Memory", (one) => number(one.memory)],
  ["Redis", (one) => number(one.redis)],
  ["Joined", (one) => number(one.joins)],
  ["Loads", (one) => number(one.loads)],
  ["Load p99", (one) => (one.loads > 0 ? `${number(one.load_p99_ms)} ms` : "–")],
  ["Failed", (one) => number(one.failures)],
];

// The rows stay the same elements, so that a control keeps the focus while the figures change.
function classRow(name) {
  const row = element("tr", { "data-class": name }, [
    element("th", { text: name, scope: "row" }),
    ...CELLS.map(([label]) => element("td", { name: "n", "data-label": label })),
    element("td", { "data-label": "State" }, [element("span", { name: "pill" })]),
  ]);
  const clear = element("button", { text: "Clear", type: "button", "data-control": "clear", "aria-label": `Clear ${name}` });
  const toggle = element("button", { type: "button", "data-control": "switch" });
  clear.addEventListener("click", () => clearClass(clear, name));
  toggle.addEventListener("click", () => {
    const on = row.dataset.on === "false";
    switchClass(toggle, name, on, instance, () => shown(row, on));
  });
  row.append(element("td", {}, [clear, " ", toggle]));
  for (const select of [byId("plot-class"), byId("explain-class")]) {
    select.append(element("option", { text: name, value: name }));
  }
  return row;
}

const SHOWN_MILLIS = 5000;

/** Resolves when the row shows this state, or when no sample has shown it for 5 s. */
function shown(row, on) {
  return new Promise((resolve) => {
    const observer = new MutationObserver(check);
    const timer = setTimeout(end, SHOWN_MILLIS);
    function end() {
      clearTimeout(timer);
      observer.disconnect();
      resolve();
    }
    function check() {
      if (row.dataset.on === String(on)) {
        end();
      }
    }
    observer.observe(row, { attributes: true });
    check();
  });
}

function showClasses(data) {
  const body = byId("classes").tBodies[0];
  let idle = 0;
  for (const one of data.classes) {
    let row = [...body.rows].find((known) => known.dataset.class === one.name);
    if (!row) {
      row = classRow(one.name);
      body.append(row);
    }
    const rates = samples.rates(one.name, RATE_SECONDS);
    CELLS.forEach(([, text], nth) => setText(row.cells[nth + 1], text(one, rates)));
    // A class that is off stays in sight.
    const isIdle = one.on && reads(one) + one.bypasses === 0;
    idle += isIdle;
    row.classList.toggle("idle", isIdle);
    row.classList.toggle("off", !one.on);
    row.dataset.on = String(one.on);
    const pill = row.querySelector(".pill");
    pill.className = `pill ${one.on ? "good" : "warn"}`;
    setText(pill, one.on ? "on" : "off");
    const toggle = row.querySelector("[data-control=switch]");
    setText(toggle, one.on ? "Switch off" : "Switch on");
    toggle.setAttribute("aria-label", `Switch ${one.name} ${one.on ? "off" : "on"}`);
  }
  showIdle(data.classes.length, idle);
}

let showsIdle = false;

// Classes without a read are left out at first: an application can have many, and they say nothing.
function showIdle(all, idle) {
  const table = byId("classes");
  table.classList.toggle("busy-only", !showsIdle);
  table.hidden = all === 0 || (idle === all && !showsIdle);
  const none = all === 0 ? "No class is open yet. A class appears here when the application opens it." : "No class was read yet.";
  byId("classes-empty").hidden = !table.hidden;
  setText(byId("classes-empty"), none);
  const toggle = byId("idle");
  toggle.hidden = idle === 0;
  toggle.setAttribute("aria-pressed", String(showsIdle));
  setText(toggle, showsIdle ? "Hide classes without reads" : `Show ${idle} without reads`);
}

function cells(id, values) {
  const targets = byId(id).querySelectorAll("td");
  values.forEach((value, nth) => setText(targets[nth], number(value)));
}

function showStaleness(data) {
  const ages = samples.ages(60);
  cells("stale-now", [quantile(ages, 0.5), quantile(ages, 0.99), ages.at(-1)]);
  const { auditor } = data.staleness;
  const lag = auditor && auditor.lag_count > 0;
  cells("stale-measured", lag ? [auditor.p50_ms, auditor.p99_ms, auditor.max_ms] : [null, null, null]);
  const bound = `No bounded read is more than ${number(data.staleness.bound_ms)} ms behind a committed write${writers(data)}.`;
  const audited = auditor
    ? ` The auditor checked ${number(auditor.hour_checked)} hits in the last hour; ${number(auditor.hour_stale)} were stale beyond that.`
    : " The auditor is off, so nothing is measured.";
  setText(byId("stale-note"), bound + audited);
}

/** Whose writes the bound concerns: without a journal only those that the cache is asked to invalidate. */
function writers({ journal, redis }) {
  if (journal.is_there) {
    return "";
  }
  return redis.state === "none" ? " that this process invalidates" : " that a process of this cache invalidates";
}

function showSources(data) {
  const { redis, journal } = data;
  const facts = [];
  if (redis.state === "answers") {
    const asked = redis.hits + redis.misses;
    facts.push(["Redis", `${redis.version}, ${redis.mode}, up ${ago(redis.uptime_s)}`]);
    facts.push(["Its memory", `${mebibytes(redis.used_memory_bytes)} MiB, ${number(redis.clients)} clients`]);
    facts.push(["Its keys", asked > 0 ? `${percent(redis.hits / asked)} of ${number(asked)} look-ups found` : "no look-ups yet"]);
  } else {
    facts.push(["Redis", redis.state === "none" ? "none is configured" : "does not answer; look at the reasons above"]);
  }
  if (redis.state !== "none") {
    facts.push(["Unsent invalidations", redis.unsent > 0 ? `${number(redis.unsent)}: Redis is not used until it has them` : "none"]);
  }
  facts.push(["Journal", journal.is_there ? `polled; ${number(journal.failed_prunes)} failed prunes` : "none: writes of other programs are not seen"]);
  const troubles = Object.entries(journal.troubles).map(([name, count]) => `${name} ×${count}`);
  facts.push(["Troubles since the start", troubles.length > 0 ? troubles.join(", ") : "none"]);
  const list = byId("sources");
  if (list.children.length !== 2 * facts.length) {
    list.replaceChildren(...facts.flatMap(() => [element("dt"), element("dd")]));
  }
  facts.flat().forEach((text, nth) => setText(list.children[nth], text));
}

async function start() {
  byId("sign-in-form").addEventListener("submit", submitSignIn);
  byId("sign-out").addEventListener("click", () => leave(""));
  byId("plot-class").addEventListener("change", () => samples.last && plots.draw(samples, byId("plot-class").value));
  byId("idle").addEventListener("click", () => {
    showsIdle = !showsIdle;
    if (samples.last) {
      showClasses(samples.last);
    }
  });
  bind();
  try {
    signIn = await readSettings();
  } catch (error) {
    byId("sign-in-form").hidden = true;
    show("sign-in");
    setText(byId("sign-in-error"), `The page cannot begin: ${error.message}. Load it again.`);
    return;
  }
  if (signIn.kind === "password") {
    askToSignIn("");
  } else {
    begin();
  }
}

start();
