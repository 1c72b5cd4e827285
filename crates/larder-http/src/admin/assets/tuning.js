// What tuning advises and has changed on this instance.

import { get } from "./connection.js";
import { undoChange } from "./controls.js";
import { byId, clock, element, mebibytes, percent, setText } from "./figures.js";

const PERIOD_MILLIS = 15000;

let timer = 0;
// The number of the present run: an answer to an earlier one is dropped.
let run = 0;
// The process whose changes are shown: each numbers its changes from 1.
let process = { instance: "", began: 0 };

/** Reads the advice of this process every 15 s while the stream is on. */
export function start(next) {
  stop();
  if (next.instance !== process.instance || next.began !== process.began) {
    forget();
    process = next;
  }
  read(run);
}

export function stop() {
  run += 1;
  clearTimeout(timer);
}

/** Stops, and shows nothing of what was read. */
export function forget() {
  stop();
  show({ mode: "", advice: [], changes: [], curve: [] });
  setText(byId("tuning-note"), "");
}

async function read(mine) {
  let answer = null;
  let failure = "";
  try {
    answer = await get("tuning");
  } catch (error) {
    failure = error.message;
  }
  if (mine !== run) {
    return;
  }
  if (failure) {
    setText(byId("tuning-note"), `The advice cannot be read: ${failure}`);
  } else if (answer.instance !== process.instance || answer.began !== process.began) {
    setText(byId("tuning-note"), "Another instance answered: open the page of one instance by its own address.");
  } else {
    show(answer);
  }
  // After the answer: a slow one must not meet the next.
  timer = setTimeout(() => read(mine), PERIOD_MILLIS);
}

const NOTES = {
  off: "Tuning is off: nothing is watched, and there is no advice.",
  advise: "Nothing would save much, or too little was read since the start.",
  apply: "Nothing more would save much, or too little was read since the start.",
};

function show(tuned) {
  const { mode, advice, changes, curve } = tuned;
  setText(byId("tuning-note"), advice.length > 0 ? "" : (NOTES[mode] ?? ""));
  byId("advice").replaceChildren(...advice.map((one) => element("li", { text: one.text, "data-kind": one.kind })));
  setText(byId("curve"), curve.length > 0 ? `Reads that memory would not answer, by its size: ${curve.map(point).join(", ")}.` : "");
  showChanges(changes);
}

const point = (one) => `${percent(one.miss_ratio)} with ${mebibytes(one.memory_bytes)} MiB`;

// A row stays the same element, so that its control keeps the focus.
function showChanges(changes) {
  const table = byId("tuning-changes");
  const body = table.tBodies[0];
  table.hidden = changes.length === 0;
  const known = new Map([...body.rows].map((row) => [row.dataset.change, row]));
  const rows = changes.map((change) => {
    const row = known.get(String(change.id)) ?? changeRow(change);
    row.querySelector("button").hidden = change.is_undone;
    row.querySelector(".pill").hidden = !change.is_undone;
    return row;
  });
  if (rows.some((row, nth) => body.rows[nth] !== row) || rows.length !== body.rows.length) {
    body.replaceChildren(...rows);
  }
}

function changeRow(change) {
  const undo = element("button", { text: "Undo", type: "button", "aria-label": `Undo change ${change.id} of ${change.class}` });
  const mine = process;
  undo.addEventListener("click", async () => {
    const before = run;
    await undoChange(undo, change, mine);
    // A viewer who has signed out meanwhile is shown nothing.
    if (run === before) {
      start(mine);
    }
  });
  const cell = (label, text) => element("td", { text, "data-label": label });
  return element("tr", { "data-change": String(change.id) }, [
    element("th", { text: change.class, scope: "row" }),
    cell("What", change.text),
    cell("Why", change.reason),
    cell("When", clock(change.at)),
    element("td", {}, [undo, element("span", { name: "pill warn", text: "undone" })]),
  ]);
}
