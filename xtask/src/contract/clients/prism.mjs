// Ordinary requests through Prism, which compares each request and each answer with the OpenAPI document.
import assert from "node:assert/strict";

const { PRISM_URL: url, LARDER_ADMIN_EMAIL: email, LARDER_ADMIN_PASSWORD: password } = process.env;
let token;
let sent = 0;

async function send(method, path, body) {
  const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body && { "content-type": "application/json" }) };
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  sent += 1;
  const text = await answer.text();
  return { status: answer.status, violations: answer.headers.get("sl-violations"), text, json: text ? JSON.parse(text) : undefined };
}

// The answer is the service's, with this status, and Prism reports nothing.
async function expect(status, method, path, body) {
  const answer = await send(method, path, body);
  const about = `${method} ${path}: ${answer.text}`;
  assert.equal(answer.violations, null, about);
  assert.equal(answer.status, status, about);
  if (status >= 400) {
    assert.ok(answer.json.type.startsWith("urn:problem-type:larder:"), about);
  }
  return answer.json;
}

// Prism reports what is wrong: it reads the document and compares with it.
const wrong = await send("POST", "/api/v1/auth/login", { email: 1 });
assert.ok(wrong.status === 422 && wrong.text.includes("stoplight.io/prism/errors#UNPROCESSABLE_ENTITY"), wrong.text);

const login = await expect(200, "POST", "/api/v1/auth/login", { email, password });
token = login.access_token;
await expect(200, "GET", "/livez");
await expect(200, "GET", "/readyz");
await expect(200, "GET", "/api/v1/users?limit=5&sort=-created_at");
const name = "through-prism";
const user = await expect(201, "POST", "/api/v1/users", { email: `${name}@example.com`, username: name, full_name: "Zoë Prism" });
const path = `/api/v1/users/${user.id}`;
assert.equal((await expect(200, "GET", path)).username, name);
assert.equal((await expect(200, "PATCH", path, { bio: "seen through a prism" })).bio, "seen through a prism");
assert.equal((await expect(200, "GET", "/api/v1/users?search=prism")).items.length, 1);
await expect(200, "GET", "/api/v1/users/statistics");
await expect(200, "GET", `${path}/stats`);
await expect(409, "POST", "/api/v1/users", { email: `${name}@example.com`, username: name });
// The document allows this password, and the service's list of common passwords has it.
const common = await expect(422, "POST", "/api/v1/auth/register", { email: `x${name}@example.com`, username: `x${name}`, password: "password1234" });
assert.ok("password" in common.errors, JSON.stringify(common));
await expect(204, "DELETE", path);
await expect(404, "GET", path);
await expect(204, "POST", "/api/v1/auth/logout");
await expect(401, "GET", "/api/v1/users/me");
console.log(`  Prism compared ${sent} requests and their answers with the document`);
