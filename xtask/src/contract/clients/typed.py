"""Uses the client that openapi-python-client makes of the document against a running service: a login with a second factor, a
list with typed parameters, a user that is PUT back as GET returned it, and an export that is imported.
"""

import io
import os
import sys

sys.path.insert(0, os.getcwd())

import pyotp
from client import AuthenticatedClient, Client
from client.api.auth import confirm_second_factor, enroll_second_factor, login, register
from client.api.users import export_users, get_user, import_users, list_users, put_user
from client.models import ConfirmationFields, ConfirmFields, EnrollFields, Login, PutUser, Register, User
from client.models.export_users_format import ExportUsersFormat
from client.models.list_users_role import ListUsersRole
from client.models.list_users_sort import ListUsersSort
from client.types import File

URL = os.environ["LARDER_URL"]
NAME = "typed-client"
EMAIL, PASSWORD = f"{NAME}@example.com", "a password of a typed client"


def done(answer, status):
    assert answer.status_code == status, (answer.status_code, answer.content)
    return answer.parsed


def session(**factor):
    body = Login(email=EMAIL, password=PASSWORD, **factor)
    granted = done(login.sync_detailed(client=Client(URL), body=body), 200)
    return AuthenticatedClient(URL, granted.access_token)


done(register.sync_detailed(client=Client(URL), body=Register(email=EMAIL, username=NAME, password=PASSWORD)), 201)
first = session()
secret = done(enroll_second_factor.sync_detailed(client=first, body=EnrollFields(password=PASSWORD)), 200).secret
totp = pyotp.TOTP(secret)
codes = done(
    confirm_second_factor.sync_detailed(client=first, body=ConfirmFields(totp_code=totp.now())), 200
).recovery_codes
refused = login.sync_detailed(client=Client(URL), body=Login(email=EMAIL, password=PASSWORD))
assert refused.status_code == 401 and "totp_code" in refused.parsed.errors.additional_properties, refused.content
# A code is valid once, so the login uses a recovery code, and not the code that confirmed the factor.
second = session(recovery_code=codes[0])

users = done(list_users.sync_detailed(client=second, limit=5, role=ListUsersRole.USER, sort=ListUsersSort("-created_at")), 200)
assert NAME in [user.username for user in users.items], users

own = done(get_user.sync_detailed("me", client=second), 200)
assert isinstance(own, User), type(own)
body = PutUser.from_dict(own.to_dict())
kept = done(put_user.sync_detailed("me", client=second, body=body), 200)
assert kept.email == own.email and kept.id == own.id, kept
body.points = own.points + 1
assert "points" in put_user.sync_detailed("me", client=second, body=body).parsed.errors.additional_properties

email, password = os.environ["LARDER_ADMIN_EMAIL"], os.environ["LARDER_ADMIN_PASSWORD"]
granted = done(login.sync_detailed(client=Client(URL), body=Login(email=email, password=password)), 200)
admin = AuthenticatedClient(URL, granted.access_token)
proof = ConfirmationFields(current_password=password)
exported = done(export_users.sync_detailed(client=admin, body=proof, format_=ExportUsersFormat.CSV), 200)
header, *rows = exported.payload.read().splitlines()
new = {"external_id": "row-1", "email": "row@example.com", "username": "row"}
rows.append(",".join(new.get(column, "") for column in header.decode().split(",")).encode())
# Of the two types of rows, the generated client always names the last one: CSV.
rows = File(io.BytesIO(b"\r\n".join([header, *rows])))
report = done(import_users.sync_detailed(client=admin, body=rows), 200)
assert (report.created, report.refused) == (1, 0) and report.unchanged > 0, report
print("  the typed client logged in with a second factor, listed, put back what it got, and imported what it exported")
