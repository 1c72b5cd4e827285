"""Hooks of schemathesis: the credentials of the requests, and values that random data does not hit.

A request may end its sender's own session, role or account. So after an answer of 401 or 403 the hooks check the caller, and
replace it by a new one of the same kind if its session or role has changed.
"""

import atexit
import base64
import itertools
import json
import os

import requests
import schemathesis

URL = os.environ["LARDER_URL"]
KIND = os.environ["LARDER_CALLER"]
ROLE = {"superadmin": "superadmin", "api-key": "admin", "user": "user"}.get(KIND)
KEEPER = {"email": os.environ["LARDER_ADMIN_EMAIL"], "password": os.environ["LARDER_ADMIN_PASSWORD"]}
PASSWORD = "a password that everybody has"
VICTIM = "staff-7"  # As in the document's examples.
CONFIRMED = {"current_password": PASSWORD}
# Operations that only the caller itself may do.
OWN = ("/api/v1/users/{id}/api-keys", "/api/v1/users/{id}/sessions/{session_id}")

numbers = itertools.count(1)
calls = itertools.count(1)


def send(method, path, headers=None, body=None):
    return requests.request(method, URL + path, headers=headers, json=body, timeout=30)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def log_in(email, password):
    answer = send("POST", "/api/v1/auth/login", body={"email": email, "password": password})
    answer.raise_for_status()
    return answer.json()


def made(**user):
    keeper = log_in(**KEEPER)
    # A role above `user` is given with the password of the caller.
    user["current_password"] = KEEPER["password"]
    return send("POST", "/api/v1/users", bearer(keeper["access_token"]), user)


class Caller:
    """A user or API key of the requested kind, logged in."""

    def __init__(self):
        name = f"{KIND}-{os.getpid()}-{next(numbers)}"
        self.email = f"{name}@example.com"
        self.is_doubted = False
        made(email=self.email, username=name, password=PASSWORD, role=ROLE).raise_for_status()
        self.tokens = log_in(self.email, PASSWORD)
        self.headers = bearer(self.tokens["access_token"])
        if KIND == "api-key":
            body = {"name": name, "scopes": ["read", "write", "introspect"], "current_password": PASSWORD}
            answer = send("POST", "/api/v1/users/me/api-keys", self.headers, body)
            answer.raise_for_status()
            self.headers = {"X-API-Key": answer.json()["key"]}

    def is_good(self):
        answer = send("GET", "/api/v1/auth/validate", self.headers)
        self.is_doubted = False
        return answer.status_code == 200 and answer.json()["role"] == ROLE

    def session(self):
        """The id of the caller's session."""
        claims = self.tokens["access_token"].split(".")[1]
        return json.loads(base64.urlsafe_b64decode(claims + "==="))["sid"]

    def real(self, path):
        """The body with real values of this caller; None if the path needs none."""
        credential = self.headers.get("X-API-Key", self.tokens["access_token"])
        name = f"new-{os.getpid()}-{next(numbers)}"
        new = {"email": f"{name}@example.com", "username": name}
        return {
            "/api/v1/users": new,
            "/api/users/": new,
            "/v1.0/user/create": new,
            "/api/v1/users/export": CONFIRMED,
            "/api/v1/users/{id}/api-keys": {"name": "another", **CONFIRMED},
            "/api/v1/users/{id}/permissions/{permission}": CONFIRMED,
            "/v1.0/permissions/{id}/{permission}": CONFIRMED,
            "/api/v1/users/{id}/points": {"amount": 5, "reason": "a course", "idempotency_key": name},
            "/api/v1/auth/login": {"email": self.email, "password": PASSWORD},
            "/api/v1/auth/refresh": {"refresh_token": self.tokens["refresh_token"]},
            "/api/v1/auth/password": {"current_password": PASSWORD, "new_password": PASSWORD + "!"},
            "/api/v1/auth/totp/enroll": {"password": PASSWORD},
            "/api/v1/auth/totp": {"password": PASSWORD},
            "/api/v1/auth/password/forgot": {"email": self.email},
            "/api/v1/auth/introspect": {"token": credential},
            "/api/v1/auth/revoke": {"token": credential},
        }.get(path)


class Run:
    """The current caller, and a user that requests are about."""

    def __init__(self):
        self.caller = None
        self.asked, self.done = set(), set()

    def present(self):
        if self.caller is None or (self.caller.is_doubted and not self.caller.is_good()):
            self.caller = Caller()
        return self.caller

    def stand_by(self):
        # The answer is 409 while the previous one exists.
        made(email=f"{VICTIM}-{next(numbers)}@example.com", username=f"v{os.getpid()}-{next(numbers)}", external_id=VICTIM)


run = Run()


@schemathesis.hook
def before_call(context, case, kwargs):
    if ROLE is None:
        return
    number = next(calls)
    caller = run.present()
    if number % 50 == 1:
        run.stand_by()
    case.headers.update(caller.headers)
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or meta.phase.name.value == "stateful":
        return
    if "id" in (case.path_parameters or {}) and number % 3:
        case.path_parameters["id"] = "me" if case.path in OWN else ["me", VICTIM][number % 3 - 1]
        if "session_id" in case.path_parameters:
            case.path_parameters["session_id"] = caller.session()
    body = caller.real(case.path)
    if body is not None and isinstance(case.body, dict) and number % 2:
        case.body = body


@schemathesis.hook
def after_call(context, case, response):
    run.asked.add(case.operation.label)
    if response.status_code < 300:
        run.done.add(case.operation.label)
    if run.caller is not None and response.status_code in (401, 403):
        run.caller.is_doubted = True


@atexit.register
def tell():
    """Counts what was answered: a run in which every request is refused finds nothing."""
    if run.asked:
        missed = ", ".join(sorted(run.asked - run.done))
        print(f"  {len(run.done)} of {len(run.asked)} operations did what was asked; not: {missed or 'none'}")
