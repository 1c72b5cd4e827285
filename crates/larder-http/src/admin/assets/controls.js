// The controls: each asks for a confirmation, sends its request, and says how it ended.

import { post } from "./connection.js";
import { byId, clock, element, number } from "./figures.js";

let showing = 0;
// Resolves the question that is open. The event `close` comes later than the dialog closes: it can belong to an earlier
// question, so it counts only while the dialog is closed.
let pending = null;

/** Says how a request ended; a failure stays longer. */
export function say(text, isFailure = false) {
  const result = byId("result");
  clearTimeout(showing);
  result.classList.toggle("failed", isFailure);
  result.textContent = text;
  showing = setTimeout(() => (result.textContent = ""), isFailure ? 12000 : 6000);
}

/** Whether the viewer confirms. Escape and Cancel do not; the focus returns to the control. */
export function confirmed(title, text, yes) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "";
  answer(false);
  dialog.showModal();
  // Enter without a choice must change nothing.
  byId("confirm-no").focus();
  return new Promise((resolve) => (pending = resolve));
}

function answer(isYes) {
  pending?.(isYes);
  pending = null;
}

async function act(button, [title, text, yes], send) {
  if (!(await confirmed(title, text, yes))) {
    return;
  }
  button.disabled = true;
  try {
    say(await send());
  } catch (error) {
    say(`Not done: ${error.message}`, true);
  } finally {
    button.disabled = false;
    // A viewer who has gone on to another control keeps it.
    if (document.activeElement === document.body) {
      button.focus();
    }
  }
}

const delivered = (receipt) =>
  receipt.delivery === "sent"
    ? "It has reached every tier."
    : "It is queued: Redis gets it before Redis is used again.";

const clearing = (what, body) => async () => `Cleared ${what}. ${delivered(await post("clear", body))}`;

const COST = "The next read of each entry goes to the database. All instances are concerned.";

export function clearClass(button, name) {
  return act(button, [`Clear ${name}?`, COST, "Clear the class"], clearing(name, { class: name }));
}

/** `shown` waits until a sample has the new state: before that, the control would offer the same switch again. */
export function switchClass(button, name, on, instance, shown) {
  const text = on
    ? "Its reads use the cache again, on this instance."
    : "Its reads go to the database until it is switched on, on this instance. Invalidations still apply.";
  const question = [`Switch ${name} ${on ? "on" : "off"}?`, text, on ? "Switch on" : "Switch off"];
  return act(button, question, async () => {
    await post("switch", { class: name, on, instance });
    await shown();
    return `${name} is ${on ? "on" : "off"} on this instance.`;
  });
}

export function undoChange(button, change, { instance, began }) {
  const text = `${change.class}: ${change.text}. The former value is set on this instance, and this setting is left alone until a restart.`;
  return act(button, [`Undo change ${change.id}?`, text, "Undo"], async () => {
    await post("undo", { change: change.id, instance, began });
    return `Change ${change.id} of ${change.class} is undone on this instance.`;
  });
}

/** The controls that do not belong to a class. */
export function bind() {
  const dialog = byId("confirm");
  dialog.addEventListener("close", () => dialog.open || answer(dialog.returnValue === "yes"));
  byId("confirm-yes").addEventListener("click", () => byId("confirm").close("yes"));
  byId("confirm-no").addEventListener("click", () => byId("confirm").close());
  byId("clear-all").addEventListener("click", (event) => {
    act(event.currentTarget, ["Clear everything?", COST, "Clear everything"], clearing("everything", { everything: true }));
  });
  byId("warm").addEventListener("click", (event) => {
    const text = "The entries that most clients read first are loaded, if they are not cached.";
    act(event.currentTarget, ["Warm?", text, "Warm"], async () => {
      const classes = await post("warm", null);
      return classes.length > 0 ? `Warmed ${classes.join(", ")}.` : "There was nothing to warm.";
    });
  });
  byId("pattern-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const pattern = byId("pattern").value.trim();
    const question = [`Clear what matches ${pattern}?`, COST, "Clear"];
    act(event.submitter ?? byId("pattern-form").querySelector("button"), question, clearing(`what matches ${pattern}`, { pattern }));
  });
  byId("explain-form").addEventListener("submit", (event) => {
    event.preventDefault();
    explain();
  });
}

const until = (millis) => `until ${clock(millis)}`;

function copy(held) {
  const kind = held.is_absent ? "says that there is no such value" : `${number(held.payload_bytes)} bytes`;
  const ended = held.tags.filter((tag) => !tag.is_current).map((tag) => tag.name);
  const served = held.is_served ? "served now" : "not served now";
  const tags = ended.length > 0 ? `; invalidated by the tag ${ended.join(", ")}` : "";
  return `${kind}, loaded at ${clock(held.loaded_at)}, ${until(held.until)}; ${served}${tags}`;
}

const REDIS = {
  nothing: "nothing",
  lease: "an instance is loading it",
  anchor: "an anchor: this class keeps its values in memory alone",
  permit: "an application is computing it",
  unreadable: "a value that this release does not read; reads ignore it",
  away: "Redis does not answer",
  "not configured": "no Redis is configured",
};

async function explain() {
  const target = byId("explained");
  const parts = byId("explain-key").value.replace(/\n$/, "").split("\n");
  try {
    const entry = await post("explain", { class: byId("explain-class").value, key: parts });
    const redis = entry.redis ? copy(entry.redis) : REDIS[entry.redis_state];
    const last = entry.last_invalidation;
    const facts = [
      ["Memory", entry.memory ? copy(entry.memory) : entry.is_loading ? "being loaded" : "no copy"],
      ["Redis", entry.redis_until ? `${redis}, ${until(entry.redis_until)}` : redis],
      ["Last invalidated", last ? `${clock(last.at)}, ${last.cause}, by ${last.named}` : "not as far as this instance remembers"],
    ];
    const list = facts.flatMap(([name, text]) => [element("dt", { text: name }), element("dd", { text })]);
    target.replaceChildren(element("code", { text: entry.text }), element("dl", { name: "facts" }, list));
  } catch (error) {
    target.replaceChildren(element("p", { name: "error", text: `Not explained: ${error.message}` }));
  }
}
