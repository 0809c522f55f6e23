"""Who is calling: Token, Bearer (personal access token), Basic, or the session cookie."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from http.cookies import SimpleCookie

from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError, forbidden, invalid

_SAFE = {"GET", "HEAD", "OPTIONS"}


def hashed(password: str, salt: str | None = None) -> str:
    """Return salt and scrypt digest of a password."""
    salt = salt or secrets.token_hex(8)
    # n is small on purpose: a test server signs people in thousands of times
    digest = hashlib.scrypt(password.encode(), salt=salt.encode(), n=256, r=8, p=1)
    return f"{salt}${digest.hex()}"


def matches(password: str, stored: str) -> bool:
    """Return whether this is the password that was stored."""
    salt, _, _ = stored.partition("$")
    return secrets.compare_digest(hashed(password, salt), stored)


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _refused(detail: str) -> ApiError:
    return ApiError(401, {"detail": detail})


def _by_password(call: Call, username: str, password: str) -> Row | None:
    user = call.db.one("SELECT * FROM user WHERE username = ? OR email = ?", username, username)
    if user is None or not user["is_active"] or not matches(password, user["password"]):
        return None
    return user


def _by_session(call: Call, key: str, kind: str) -> Row | None:
    row = call.db.one("SELECT * FROM session WHERE key = ? AND kind = ?", key, kind)
    if row is None:
        return None
    if kind == "session" and call.method not in _SAFE:
        given = call.headers.get("x-csrftoken", "")
        if not secrets.compare_digest(given, row["csrf"]):
            raise forbidden("CSRF Failed: CSRF token missing.")
    call.session_key = key
    return call.db.get("user", row["user_id"])


def _by_access_token(call: Call, key: str) -> Row:
    token = call.db.one("SELECT * FROM access_token WHERE digest = ?", digest(key))
    expired = token is not None and (token["expiry_date"] or "9999") < now()
    if token is None or expired:
        raise _refused("Invalid token.")
    with call.db.transaction():
        call.db.update("access_token", token["id"], last_used_date=now())
    call.token = token
    user = call.db.get("user", token["user_id"])
    if user is None or not user["is_active"]:
        raise _refused("User inactive or deleted.")
    return user


def _by_basic(call: Call, text: str) -> Row:
    try:
        username, _, password = base64.b64decode(text).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _refused("Invalid basic header. Credentials not correctly base64 encoded.") from error
    user = _by_password(call, username, password)
    if user is None:
        raise _refused("Invalid username/password.")
    return user


def _account(call: Call) -> Row | None:
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    scheme = scheme.lower()
    if scheme == "token":
        user = _by_session(call, value, "token")
        if user is None:
            raise _refused("Invalid token.")
        return user
    if scheme == "bearer":
        return _by_access_token(call, value)
    if scheme == "basic":
        return _by_basic(call, value)
    cookie = SimpleCookie(call.headers.get("cookie", ""))
    if "sessionid" in cookie:
        return _by_session(call, cookie["sessionid"].value, "session")
    return None


def sign_in(call: Call) -> None:
    """Set the caller's account; ApiError 401 without one, 403 for a read-only token's write."""
    call.account = _account(call)
    if call.account is None:
        raise _refused("Authentication credentials were not provided.")
    if call.token and call.token["read_only"] and call.method not in _SAFE:
        raise forbidden()


def login(call: Call) -> Answer:
    """Answer user and password with a token and a session."""
    fields = call.fields()
    name = fields.get("username") or fields.get("email") or ""
    if not name or not fields.get("password"):
        raise invalid('Must include either "username" or "email" and "password".')
    user = _by_password(call, str(name), str(fields["password"]))
    if user is None:
        raise invalid({"non_field_errors": ["Unable to log in with provided credentials."]})
    key = call.db.scalar("SELECT key FROM session WHERE user_id = ? AND kind = 'token'", user["id"])
    if key is None:
        key = secrets.token_hex(20)
        call.db.insert("session", key=key, user_id=user["id"], kind="token")
    session, csrf = secrets.token_hex(16), secrets.token_hex(16)
    call.db.insert("session", key=session, user_id=user["id"], kind="session", csrf=csrf)
    call.db.update("user", user["id"], last_login=now())
    return Answer(200, {"key": key}, cookies={"sessionid": session, "csrftoken": csrf})


def logout(call: Call) -> Answer:
    """Forget the caller's token and session."""
    if call.session_key:
        call.db.run("DELETE FROM session WHERE key = ?", call.session_key)
    return Answer(200, {"detail": "Successfully logged out."})


def groups(user: Row) -> list[str]:
    """Return the global roles of an account."""
    return list(json.loads(user["groups"]))


ROUTES = (
    Route("POST", "/api/auth/login", login, public=True),
    Route("POST", "/api/auth/logout", logout),
)
