// What the page asks for every 15 s while the stream is on.

import { get } from "./connection.js";

const PERIOD_MILLIS = 15000;

export class Polling {
  #timer = 0;
  // The number of the present run: an answer to an earlier one is dropped.
  #run = 0;

  /** `show` gets each answer, `fail` the text of each failure. */
  constructor(path, show, fail) {
    Object.assign(this, { path, show, fail });
  }

  get run() {
    return this.#run;
  }

  start() {
    this.stop();
    this.#read(this.#run);
  }

  stop() {
    this.#run += 1;
    clearTimeout(this.#timer);
  }

  async #read(mine) {
    let answer = null;
    let failure = "";
    try {
      answer = await get(this.path);
    } catch (error) {
      failure = error.message;
    }
    if (mine !== this.#run) {
      return;
    }
    if (failure) {
      this.fail(failure);
    } else {
      this.show(answer);
    }
    // After the answer: a slow one must not meet the next.
    this.#timer = setTimeout(() => this.#read(mine), PERIOD_MILLIS);
  }
}
