// Compiled against the types that openapi-typescript makes of the document: it fails where the document does not say what a
// client needs.
import type { components, operations } from "./api";

type Query = NonNullable<operations["list_users"]["parameters"]["query"]>;
type Login = components["schemas"]["Login"];
type PutUser = components["schemas"]["PutUser"];

export const login: Login = { email: "ada@example.com", password: "a long password", totp_code: "123456" };
export const recovery: Login = { email: "ada@example.com", password: "a long password", recovery_code: "ABCD" };
export const query: Query = { limit: 10, page: 2, role: "admin", status: "active", sort: "-created_at" };

// @ts-expect-error an integer parameter is no text
export const text: Query = { limit: "10" };
// @ts-expect-error a role is one of three words
export const role: Query = { role: "owner" };

// What GET returns for its own user is a body of PUT.
export const putBack = (user: components["schemas"]["User"]): PutUser => user;
