// The session of the viewer, the requests of the page, and the stream of events.

// The tokens are kept in this variable only: no script of another page and no later page in this tab can read them, as
// they could in sessionStorage. The price is a new sign-in after a reload.
let session = null;
let signIn = { kind: "application" };
let refreshing = null;
let refreshTimer = 0;
// Counts the viewers of this tab: an answer that was asked for by an earlier one is dropped.
let viewer = 0;

// How long the end of a session may take; then the page forgets its tokens without it.
const LOGOUT_MILLIS = 5000;
const JSON_TYPE = { "content-type": "application/json" };

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the service answered ${status}`);
    this.status = status;
    this.code = problem.code ?? "";
    this.errors = problem.errors ?? {};
  }
}

async function refused(answer) {
  const problem = await answer.json().catch(() => ({}));
  return new Refused(answer.status, problem);
}

async function send(path, options = {}) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    throw new Error("the instance does not answer; look whether it runs, and whether this machine reaches it");
  }
}

/** How the application signs its viewers in. */
export async function readSettings() {
  const answer = await send("settings");
  if (!answer.ok) {
    throw await refused(answer);
  }
  signIn = (await answer.json()).sign_in;
  return signIn;
}

function granted(tokens) {
  session = { access: tokens.access_token, refresh: tokens.refresh_token };
  clearTimeout(refreshTimer);
  // Before the token expires, so that no request of a viewer has to wait for a refusal first.
  // A hidden tab asks for nothing: its next request refreshes.
  refreshTimer = setTimeout(() => document.hidden || refresh().catch(() => {}), 800 * tokens.expires_in);
}

const factor = (code) => (/^\d{6,8}$/.test(code) ? { totp_code: code } : { recovery_code: code });

/** Signs in with the form of the page; `code` is empty unless the service asked for one. */
export async function logIn(email, password, code) {
  const body = { email, password, ...(code ? factor(code.replace(/\s/g, "")) : {}) };
  const answer = await send(signIn.login, { method: "POST", headers: JSON_TYPE, body: JSON.stringify(body) });
  if (!answer.ok) {
    throw await refused(answer);
  }
  viewer += 1;
  granted(await answer.json());
}

// A refresh token is valid once, so all requests that were refused share one refresh.
function refresh() {
  refreshing ??= (async () => {
    const mine = session;
    const body = JSON.stringify({ refresh_token: mine?.refresh });
    const answer = await send(signIn.refresh, { method: "POST", headers: JSON_TYPE, body });
    // A service that is away for a moment does not end the session.
    if ([400, 401, 403].includes(answer.status) && session === mine) {
      session = null;
    }
    if (!answer.ok) {
      throw await refused(answer);
    }
    const tokens = await answer.json();
    if (session === mine) {
      granted(tokens);
    }
  })().finally(() => (refreshing = null));
  return refreshing;
}

export async function logOut() {
  if (session) {
    // As each request of a viewer: with an access token that has expired, the session would live on.
    await asViewer(signIn.logout, { method: "POST", signal: AbortSignal.timeout(LOGOUT_MILLIS) }).catch(() => {});
  }
  clearTimeout(refreshTimer);
  session = null;
  viewer += 1;
}

const bearer = () => (session ? { authorization: `Bearer ${session.access}` } : {});

// Sends a request of a viewer; an access token that has expired is refreshed once.
async function asViewer(path, options) {
  const asker = viewer;
  const attempt = () => send(path, { ...options, headers: { ...options.headers, ...bearer() } });
  let answer = await attempt();
  if (answer.status === 401 && session) {
    await refresh();
    answer = await attempt();
  }
  if (asker !== viewer) {
    throw new Error("the viewer who asked has signed out");
  }
  if (!answer.ok) {
    throw await refused(answer);
  }
  return answer;
}

export async function get(path) {
  return (await asViewer(path, {})).json();
}

/** Posts a request to explain or to act; the header shows the service that no other site sent it. */
export async function post(path, body) {
  const headers = { ...JSON_TYPE, "x-larder-page": "1" };
  return (await asViewer(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    text += value;
    const whole = text.split("\n\n");
    text = whole.pop();
    for (const event of whole) {
      const field = (name) => event.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field("event")) {
        yield { name: field("event"), data: JSON.parse(field("data")) };
      }
    }
  }
}

const PAUSES = [1, 2, 4, 8];
// A sample comes each second. After so long without an event the connection is dead, although nothing closed it.
const QUIET_MILLIS = 10000;

/**
 * Follows the stream while the tab is shown, again after each loss. `on` has `state(state, text)`, `event(name, data)` and
 * `signedOut(error)`, which ends the following. EventSource cannot send a bearer token, so the stream is read by fetch.
 */
export function follow(on) {
  let current = null;
  let waiting = 0;
  let losses = 0;
  let ended = false;

  async function connect() {
    clearTimeout(waiting);
    const abort = new AbortController();
    current = abort;
    on.state("off", "Connecting");
    let quiet = 0;
    const heard = () => {
      clearTimeout(quiet);
      quiet = setTimeout(() => {
        abort.abort();
        lost(`No sample for ${QUIET_MILLIS / 1000} s`);
      }, QUIET_MILLIS);
    };
    heard();
    try {
      const answer = await asViewer("stream", { signal: abort.signal });
      for await (const event of events(answer.body)) {
        heard();
        // An instance that stops says hello, too.
        losses = event.name === "sample" ? 0 : losses;
        on.event(event.name, event.data);
      }
      lost("The instance closed the stream");
    } catch (error) {
      if (abort.signal.aborted) {
        return;
      }
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        end();
        on.signedOut(error);
        return;
      }
      lost(error instanceof Refused ? error.message : "No connection to the instance");
    } finally {
      clearTimeout(quiet);
    }
  }

  function lost(what) {
    if (ended || document.hidden) {
      return;
    }
    const pause = PAUSES[Math.min(losses, PAUSES.length - 1)];
    losses += 1;
    on.state("lost", `${what}; next attempt in about ${pause} s`);
    // The pages of an instance that has ended do not all come back at once.
    waiting = setTimeout(connect, 1000 * pause * (0.75 + 0.5 * Math.random()));
  }

  function seen() {
    clearTimeout(waiting);
    current?.abort();
    current = null;
    if (document.hidden) {
      on.state("off", "Paused while this tab is hidden");
    } else if (!ended) {
      connect();
    }
  }

  function end() {
    ended = true;
    clearTimeout(waiting);
    current?.abort();
    document.removeEventListener("visibilitychange", seen);
    on.state("off", "Not connected");
  }

  document.addEventListener("visibilitychange", seen);
  seen();
  return end;
}
