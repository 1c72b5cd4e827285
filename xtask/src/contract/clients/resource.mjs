// Resource servers in JavaScript verify an access token as strictly as their libraries can: jose and express-oauth2-jwt-bearer.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import express from "express";
import { auth } from "express-oauth2-jwt-bearer";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const { LARDER_URL: issuer, LARDER_AUDIENCE: audience, LARDER_ADMIN_EMAIL: email, LARDER_ADMIN_PASSWORD: password } = process.env;
const granted = await fetch(`${issuer}/api/v1/auth/login`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ email, password }),
});
const { access_token: token } = await granted.json();
const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
assert.equal(metadata.issuer, issuer);

const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
const requiredClaims = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];
const strict = { issuer, audience, typ: "at+jwt", algorithms: ["EdDSA"], requiredClaims, maxTokenAge: "15m" };
const { payload } = await jwtVerify(token, keys, strict);
await assert.rejects(jwtVerify(token, keys, { ...strict, audience: "another" }), errors.JWTClaimValidationFailed);

// By discovery, and `strict`: RFC 9068 to the letter.
const app = express();
app.use(auth({ issuerBaseURL: issuer, audience, strict: true, tokenSigningAlg: "EdDSA" }));
app.get("/", (request, response) => response.json(request.auth.payload));
app.use((error, request, response, next) => response.status(error.status ?? 500).json({ message: error.message }));
const server = createServer(app).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const url = `http://127.0.0.1:${server.address().port}/`;
const send = (bearer) => fetch(url, { headers: { authorization: `Bearer ${bearer}` } });
const admitted = await send(token);
const body = await admitted.json();
assert.equal(admitted.status, 200, JSON.stringify(body));
assert.equal(body.sub, payload.sub);
assert.equal((await send(`${token}x`)).status, 401);
console.log("  jose and express-oauth2-jwt-bearer accept the token");
// The library keeps its connection to the service open, which would keep this process running.
process.exit(0);
