"""Resource servers in Python verify an access token as strictly as their libraries can: PyJWT and Authlib (RFC 9068)."""

import functools
import os

# The service under test has no TLS; Authlib refuses that unless it is set.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import jwt
import requests
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator, token_validator

ISSUER, AUDIENCE = os.environ["LARDER_URL"], os.environ["LARDER_AUDIENCE"]
ADMIN = {"email": os.environ["LARDER_ADMIN_EMAIL"], "password": os.environ["LARDER_ADMIN_PASSWORD"]}
CLAIMS = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]



def post(path, body, **more):
    answer = requests.post(ISSUER + path, json=body, timeout=30, **more)
    answer.raise_for_status()
    return answer.json()


TOKEN = post("/api/v1/auth/login", ADMIN)["access_token"]
bearer = {"Authorization": f"Bearer {TOKEN}"}
wanted = {"name": "a resource server", "scopes": ["introspect"], "current_password": ADMIN["password"]}
made = post("/api/v1/users/me/api-keys", wanted, headers=bearer)

answer = requests.get(f"{ISSUER}/.well-known/oauth-authorization-server", timeout=30)
answer.raise_for_status()
metadata = AuthorizationServerMetadata(answer.json())
assert metadata["issuer"] == ISSUER, metadata
for member in ["issuer", "jwks_uri", "introspection_endpoint", "introspection_endpoint_auth_methods_supported",
               "revocation_endpoint", "revocation_endpoint_auth_methods_supported"]:
    assert metadata.get(member), f"{member} is missing"
    getattr(metadata, f"validate_{member}")()

key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(TOKEN)
options = {"require": CLAIMS, "verify_signature": True, "strict_aud": True}
claims = jwt.decode(TOKEN, key.key, ["EdDSA"], options=options, issuer=ISSUER, audience=AUDIENCE)
assert jwt.get_unverified_header(TOKEN)["typ"] == "at+jwt"
for wrong in [{"issuer": ISSUER + "/"}, {"audience": "another"}]:
    try:
        jwt.decode(TOKEN, key.key, ["EdDSA"], **{"issuer": ISSUER, "audience": AUDIENCE, "options": options, **wrong})
    except jwt.InvalidTokenError:
        continue
    raise AssertionError(f"PyJWT accepted {wrong}")


# Authlib passes no algorithm on to its JWT library, whose default list has RSA and elliptic curves, but not EdDSA. A resource server
# that uses this class has to allow the algorithm, as here.
token_validator.jwt.decode = functools.partial(token_validator.jwt.decode, algorithms=["EdDSA"])


class Validator(JWTBearerTokenValidator):
    def get_jwks(self):
        return requests.get(metadata["jwks_uri"], timeout=30).json()


validator = Validator(ISSUER, AUDIENCE)
token = validator.authenticate_token(TOKEN)
validator.validate_token(token, [], None)
assert token["sub"] == claims["sub"]
try:
    other = Validator(ISSUER, "another")
    other.validate_token(other.authenticate_token(TOKEN), [], None)
    raise AssertionError("Authlib accepted another audience")
except InvalidTokenError:
    pass

introspect = metadata["introspection_endpoint"]
client = (made["id"], made["key"])
active = requests.post(introspect, data={"token": TOKEN}, auth=client, timeout=30)
assert active.status_code == 200 and active.json()["active"] is True, active.text
assert active.json()["client_id"] == claims["client_id"], active.text
refused = requests.post(introspect, data={"token": TOKEN}, auth=(client[0], "wrong"), timeout=30)
assert refused.status_code == 401 and "Basic" in refused.headers["WWW-Authenticate"], refused.headers
print("  PyJWT and Authlib accept the token, and introspection knows the client by Basic")
