"""Clients of the older systems, with requests: pages and redirects as Django REST framework's clients follow them, and the
hotel's partial updates."""

import os

import requests

URL = os.environ["LARDER_URL"]
ADMIN = {"email": os.environ["LARDER_ADMIN_EMAIL"], "password": os.environ["LARDER_ADMIN_PASSWORD"]}

session = requests.Session()
login = session.post(f"{URL}/api/v1/auth/login", json=ADMIN, timeout=30)
login.raise_for_status()
session.headers["Authorization"] = f"Bearer {login.json()['access_token']}"


def call(method, url, **more):
    answer = session.request(method, url, timeout=30, **more)
    answer.raise_for_status()
    return answer


def pages(**params):
    """Every user of a list, as a client follows `next`."""
    answer = call("GET", f"{URL}/api/users/", params={"page_size": 2, **params}).json()
    count, users = answer["count"], answer["results"]
    while answer["next"]:
        answer = call("GET", answer["next"]).json()
        assert answer["previous"] and answer["count"] == count, answer
        users += answer["results"]
    assert len(users) == count, (len(users), count)
    return users


# Without its slash the path is redirected: requests repeats the method and the body of a POST after a 308.
for number in range(5):
    name = f"dialect{number}"
    body = {"email": f"{name}@example.com", "username": name, "full_name": f"Zoë Nº {number}", "external_id": f"old|{number}"}
    made = call("POST", f"{URL}/api/users", json=body)
    assert made.status_code == 201 and [hop.status_code for hop in made.history] == [308], made.history
listed = call("GET", f"{URL}/api/users", params={"search": "dialect", "ordering": "username"})
assert [hop.status_code for hop in listed.history] == [301], listed.history
names = [f"dialect{number}" for number in range(5)]
assert [user["username"] for user in listed.json()] == names, listed.text

assert [user["username"] for user in pages(search="zoe no", ordering="-username")] == names[::-1]
everybody = [user["id"] for user in pages(is_active="true")]
assert len(set(everybody)) == len(everybody)
last = call("GET", f"{URL}/api/users/", params={"page": "last", "page_size": 2}).json()
assert last["next"] is None
assert session.get(f"{URL}/api/users/", params={"page": 10_000}, timeout=30).json()["detail"] == "Invalid page."
assert [user["username"] for user in call("GET", f"{URL}/api/users/", params={"external_id": "old|3"}).json()] == ["dialect3"]

# An id with a vertical bar is percent-encoded by requests itself.
one = call("GET", f"{URL}/api/users/old|3/").json()
assert one["username"] == "dialect3"
changed = call("PUT", f"{URL}/v1.0/user/update/{one['id']}", json={"occupation": "concierge"}).json()
for field in ("email", "username", "full_name", "external_id"):
    assert changed[field] == one[field], field
assert changed["occupation"] == "concierge"
assert call("PUT", f"{URL}/v1.0/user/update/{one['id']}", json={**changed, "bio": "x"}).json()["bio"] == "x"
for name in names:
    call("DELETE", f"{URL}/api/users/old|{name[-1]}")
print("  requests: pages, redirects and partial updates of the older systems work")
