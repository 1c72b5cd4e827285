// What tuning advises and has changed on this instance.

import { undoChange } from "./controls.js";
import { byId, clock, element, mebibytes, percent, setText } from "./figures.js";
import { Polling } from "./polling.js";

// The process whose changes are shown.
let process = { instance: "", began: 0 };

const isOf = (answer) => answer.instance === process.instance && answer.began === process.began;
const note = (text) => setText(byId("tuning-note"), text);

const polling = new Polling(
  "tuning",
  (answer) => (isOf(answer) ? show(answer) : note("Another instance answered: open the page of one instance by its own address.")),
  (failure) => note(`The advice cannot be read: ${failure}`),
);

/** Reads the advice of this process every 15 s while the stream is on. */
export function start(next) {
  if (!isOf(next)) {
    forget();
    process = next;
  }
  polling.start();
}

export const stop = () => polling.stop();

/** Stops, and shows nothing of what was read. */
export function forget() {
  stop();
  show({ mode: "", advice: [], changes: [], curve: [] });
}

const NOTES = {
  off: "Tuning is off: nothing is watched, and there is no advice.",
  advise: "Nothing would save much, or too little was read since the start.",
  apply: "Nothing more would save much, or too little was read since the start.",
};

function show(tuned) {
  const { mode, advice, changes, curve } = tuned;
  note(advice.length > 0 ? "" : (NOTES[mode] ?? ""));
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
    const { run } = polling;
    await undoChange(undo, change, mine);
    // A viewer who has signed out meanwhile is shown nothing.
    if (run === polling.run) {
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
