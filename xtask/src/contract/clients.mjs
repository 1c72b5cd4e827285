// Provokes refusals with node's fetch, and over one HTTP/2 connection: each answer has to arrive.

import http2 from "node:http2";

const url = process.argv[2];
const tries = 100;
const json = { "content-type": "application/json" };
const refusals = [
  [401, "PATCH", "/api/v1/users/me", 40_000, { authorization: "Bearer expired", ...json }],
  [401, "PATCH", "/api/v1/users/me", 900_000, { authorization: "Bearer expired", ...json }],
  [404, "POST", "/nothing", 900_000, json],
  [413, "POST", "/api/v1/auth/login", 900_000, json],
  [415, "POST", "/api/v1/auth/login", 900_000, { "content-type": "text/plain" }],
];

let lost = 0;
for (const [status, method, path, size, headers] of refusals) {
  for (let number = 0; number < tries; number += 1) {
    try {
      const answer = await fetch(url + path, { method, headers, body: " ".repeat(size) });
      await answer.arrayBuffer();
      if (answer.status !== status) {
        throw new Error(`${answer.status} in place of ${status}`);
      }
    } catch (error) {
      lost += 1;
      console.log(`  fetch, ${status} for ${size} bytes: ${error.cause ?? error}`);
    }
  }
}

const session = http2.connect(url);
session.on("error", (error) => console.log(`  http2: ${error}`));
const send = (method, path, size, headers) =>
  new Promise((resolve, reject) => {
    const stream = session.request({ ":method": method, ":path": path, ...headers });
    let status;
    stream.on("response", (answer) => {
      status = answer[":status"];
    });
    // The service ends a stream early once it has answered; the rest of the body is not sent then.
    stream.on("error", (error) => (status ? resolve(status) : reject(error)));
    stream.on("close", () => (status ? resolve(status) : reject(new Error("no answer"))));
    stream.resume();
    stream.end(" ".repeat(size));
  });
let lostByHttp2 = 0;
for (const [status, method, path, size, headers] of refusals) {
  for (let number = 0; number < tries; number += 1) {
    const seen = await send(method, path, size, headers).catch((error) => error);
    if (seen !== status) {
      lostByHttp2 += 1;
      console.log(`  http2, ${status} for ${size} bytes: ${seen}`);
    }
  }
}
session.close();
console.log(`  http2: ${lostByHttp2} of ${refusals.length * tries} lost`);
lost += lostByHttp2;
console.log(`  fetch: ${lost - lostByHttp2} of ${refusals.length * tries} lost`);
process.exit(lost > 0 ? 1 : 0);
