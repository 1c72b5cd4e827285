// Provokes refusals with node's fetch: each answer has to arrive.

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
console.log(`  fetch: ${lost} of ${refusals.length * tries} lost`);
process.exit(lost > 0 ? 1 : 0);
