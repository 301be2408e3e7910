"""Random sequences of calls to two cores, and what differs between their responses.

Both cores get the same calls; a token or handle that one core has made stands for the one that the other core
has made at the same place. Compared are the statuses and the bodies: tokens by what they contain, times and
random values by their kind, lists in any order. Texts of errors are free to differ.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import requests

from flask_stsession.constants import CDI_VERSIONS
from support.given_core import SENT_AGAIN
from support.patterns import decode_jwt

_TIMEOUT_SECONDS: Final = 30
#: One call in so many is spoilt: a field is missing, of another type, or not what a core can know.
_SPOILT: Final = 8
_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
#: Random values, by their shape.
_KINDS: Final = {
    "refresh token": re.compile(r"[^.\s]+\.[0-9a-f]{64}\.V2"),
    "hash": re.compile(r"[0-9a-f]{64}"),
    "dynamic key": re.compile(r"d-\d{13}"),
    "static key": re.compile(rf"s-{_UUID}"),
    "uuid": re.compile(rf"{_UUID}(_[a-z0-9-]+)?"),
    "random text": re.compile(r"[A-Za-z0-9_=-]{64,}"),
}
_NEAR_SECONDS: Final = 400 * 86400


@dataclass(frozen=True)
class Pair:
    """One value for each of the two cores: what each of them has made at the same place.

    :param values: for the first and the second core.
    """

    values: tuple[Any, Any]

    def spoilt(self, spoil: Callable[[str], str]) -> Pair:
        """Return the pair with both values changed."""
        return Pair((spoil(self.values[0]), spoil(self.values[1])))


@dataclass(frozen=True)
class Call:
    """One call; its fields may hold pairs.

    :param method: the HTTP method.
    :param path: the path, without tenant.
    :param tenant: in front of the path; the tenant ``public`` if it is empty.
    :param cdi: the version of the interface.
    """

    method: str
    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    tenant: str = ""
    cdi: str = CDI_VERSIONS[-1]

    def send(self, core: Core) -> Reply:
        """Send the call to one of the cores."""
        fields = _of_core(self.fields, core.number)
        place = {"params": fields} if self.method == "GET" else {"json": fields}
        response = core.session.request(
            self.method,
            f"{core.url}/{self.tenant}{self.path}" if self.tenant else core.url + self.path,
            headers={"cdi-version": self.cdi, **core.headers},
            timeout=_TIMEOUT_SECONDS,
            **place,
        )
        try:
            body = response.json()
        except ValueError:
            body = Text(response.text)
        return Reply(response.status_code, body, SENT_AGAIN in response.headers)


@dataclass(frozen=True)
class Core:
    """One of the two cores.

    :param number: 0 or 1.
    :param url: its address.
    :param session: sends the requests.
    :param headers: sent with every request.
    """

    number: int
    url: str
    session: requests.Session
    headers: Mapping[str, str] = field(default_factory=dict)


class Text(str):
    """A body that is not JSON."""


@dataclass(frozen=True)
class Reply:
    """The response of a core.

    :param sent_again: whether the core had refused the call at first, its database being locked.
    """

    status: int
    body: Any
    sent_again: bool = False

    @property
    def is_ok(self) -> bool:
        """Is it a verdict of success?"""
        return self.status == 200 and isinstance(self.body, dict) and self.body.get("status") == "OK"


@dataclass(frozen=True)
class Difference:
    """A known difference between the cores.

    :param reason: why it stays.
    :param explains: does it explain these responses, of the first and the second core, to the call?
    """

    reason: str
    explains: Callable[[Call, Reply, Reply], bool]


class Calls:
    """A random sequence of calls that build on one another.

    :param rng: chooses.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        mark = f"{rng.randrange(16**8):08x}"
        self._users = [f"user-{mark}", f"root-{mark}", f"root-{mark} ", f"ünï-{mark}", f"User-{mark}"]
        self._tenants = ["", "", "", "", "public", "acme", "Acme", "globex", "unknown"]
        self._roles = ["admin", "editor", " editor ", "Admin", "nobody"]
        self._permissions = ["read", "write", " write", "delete"]
        self._emails = [f"a-{mark}@example.com", f" A-{mark}@Example.com ", f"b-{mark}@example.com"]
        self._access: list[Pair] = []
        self._refresh: list[Pair] = []
        self._handles: list[Pair] = []
        self._email_tokens: list[Pair] = []
        self._operations: list[tuple[int, Callable[[], Call]]] = [
            (12, self._create),
            (14, self._verify),
            (14, self._use_refresh_token),
            (6, self._regenerate),
            (4, self._remove),
            (3, self._remove_of_user),
            (4, self._list),
            (5, self._read_session),
            (5, self._write_session),
            (14, self._roles_and_permissions),
            (10, self._email_addresses),
            (5, self._metadata),
            (6, self._manage_tenants),
            (2, self._make_jwt),
        ]

    def next(self) -> Call:
        """Return the next call."""
        weights = [weight for weight, _ in self._operations]
        [(_, operation)] = self._rng.choices(self._operations, weights)
        call = operation()
        return self._spoilt(call) if self._rng.randrange(_SPOILT) == 0 else call

    def learn(self, replies: tuple[Reply, Reply]) -> None:
        """Keep the tokens and handles that both cores have made."""
        first, second = (reply.body for reply in replies)
        if not (replies[0].is_ok and replies[1].is_ok):
            return
        for place, known in (
            (("accessToken", "token"), self._access),
            (("refreshToken", "token"), self._refresh),
            (("session", "handle"), self._handles),
            (("token",), self._email_tokens),
        ):
            found = Pair((_at(first, place), _at(second, place)))
            if None not in found.values and found not in known:
                known.append(found)

    def name_of(self, number: int, value: str) -> str | None:
        """Return which known handle of a core a value is."""
        for place, pair in enumerate(self._handles):
            if pair.values[number] == value:
                return f"<handle {place}>"
        return None

    # Choices

    def _one(self, known: list[Pair], unknown: str) -> Any:
        """Choose a value that the cores have made, a recent one more often; rarely one that they have not."""
        if not known or self._rng.randrange(25) == 0:
            return unknown
        return self._rng.choice(known[-4:] if self._rng.randrange(4) else known)

    def _handle(self) -> Any:
        return self._one(self._handles, "00000000-0000-4000-8000-000000000000")

    def _cdi(self) -> str:
        return self._rng.choice(CDI_VERSIONS)

    def _tenant(self) -> str:
        return self._rng.choice(self._tenants)

    def _flag(self) -> bool:
        return self._rng.random() < 0.5

    def _data(self) -> dict[str, Any]:
        values: list[Any] = [1, -1, 0, 1.5, True, None, "text", "", "ü", [1, "a", None], {"b": {"c": []}}]
        keys = self._rng.sample(["a", "b", "st-role", "", "ü", "aud"], self._rng.randrange(4))
        # A core keeps an audience only if it is text, or a list of texts.
        return {key: "someone" if key == "aud" else self._rng.choice(values) for key in keys}

    def _spoilt(self, call: Call) -> Call:
        fields = dict(call.fields)
        how = self._rng.randrange(4)
        if how == 0 and fields:
            del fields[self._rng.choice(list(fields))]
        elif how == 1 and fields and call.method != "GET":
            odd: list[Any] = [None, "text", {}, True]
            fields[self._rng.choice(list(fields))] = self._rng.choice(odd)
        elif how == 2:
            for name, value in fields.items():
                if isinstance(value, Pair):
                    fields[name] = value.spoilt(self._rng.choice([_cut, _swap_case, _with_blank]))
        else:
            return Call(call.method, call.path, fields, call.tenant, self._rng.choice(["5.7", "x", ""]))
        return Call(call.method, call.path, fields, call.tenant, call.cdi)

    # Operations

    def _create(self) -> Call:
        fields = {
            "userId": self._rng.choice(self._users),
            "userDataInJWT": self._data(),
            "userDataInDatabase": self._data(),
            "enableAntiCsrf": self._rng.randrange(5) == 0,
        }
        if self._flag():
            fields["useDynamicSigningKey"] = self._flag()
        return Call("POST", "/recipe/session", fields, self._tenant(), self._cdi())

    def _verify(self) -> Call:
        fields = {
            "accessToken": self._one(self._access, "a.b.c"),
            "doAntiCsrfCheck": self._rng.randrange(5) == 0,
            "enableAntiCsrf": self._rng.randrange(5) == 0,
            "checkDatabase": self._flag(),
        }
        return Call("POST", "/recipe/session/verify", fields, "", self._cdi())

    def _use_refresh_token(self) -> Call:
        fields = {
            "refreshToken": self._one(self._refresh, f"abc.{'0' * 64}.V2"),
            "enableAntiCsrf": self._rng.randrange(5) == 0,
            "useDynamicSigningKey": self._rng.randrange(5) != 0,
        }
        return Call("POST", "/recipe/session/refresh", fields, "", self._cdi())

    def _regenerate(self) -> Call:
        fields = {"accessToken": self._one(self._access, "a.b.c")}
        if self._flag():
            fields["userDataInJWT"] = self._data()
        return Call("POST", "/recipe/session/regenerate", fields, "", self._cdi())

    def _remove(self) -> Call:
        fields = {"sessionHandles": [self._handle()]}
        return Call("POST", "/recipe/session/remove", fields, "", self._cdi())

    def _remove_of_user(self) -> Call:
        fields: dict[str, Any] = {"userId": self._rng.choice(self._users)}
        if self._flag():
            fields["revokeAcrossAllTenants"] = self._flag()
        return Call("POST", "/recipe/session/remove", fields, self._tenant(), self._cdi())

    def _list(self) -> Call:
        fields: dict[str, Any] = {"userId": self._rng.choice(self._users)}
        if self._flag():
            fields["fetchAcrossAllTenants"] = self._rng.choice(["true", "false"])
        return Call("GET", "/recipe/session/user", fields, self._tenant(), self._cdi())

    def _read_session(self) -> Call:
        path = self._rng.choice(["/recipe/session", "/recipe/session/data", "/recipe/jwt/data"])
        return Call("GET", path, {"sessionHandle": self._handle()}, "", self._cdi())

    def _write_session(self) -> Call:
        path, name = self._rng.choice(
            [("/recipe/session/data", "userDataInDatabase"), ("/recipe/jwt/data", "userDataInJWT")]
        )
        return Call("PUT", path, {"sessionHandle": self._handle(), name: self._data()}, "", self._cdi())

    def _roles_and_permissions(self) -> Call:
        role, user = self._rng.choice(self._roles), self._rng.choice(self._users)
        permissions = self._rng.sample(self._permissions, self._rng.randrange(3))
        grant: dict[str, Any] = {"userId": user, "role": role}
        tenant = self._tenant()
        choices: list[tuple[str, str, dict[str, Any], str]] = [
            ("PUT", "/recipe/role", {"role": role, "permissions": permissions}, ""),
            ("POST", "/recipe/role/remove", {"role": role}, ""),
            ("GET", "/recipe/roles", {}, ""),
            ("GET", "/recipe/role/permissions", {"role": role}, ""),
            ("POST", "/recipe/role/permissions/remove", {"role": role, "permissions": permissions}, ""),
            ("GET", "/recipe/permission/roles", {"permission": self._rng.choice(self._permissions)}, ""),
            ("PUT", "/recipe/user/role", grant, tenant),
            ("POST", "/recipe/user/role/remove", grant, tenant),
            ("GET", "/recipe/user/roles", {"userId": user}, tenant),
            ("GET", "/recipe/role/users", {"role": role}, tenant),
        ]
        method, path, fields, tenant = self._rng.choice(choices)
        return Call(method, path, fields, tenant, self._cdi())

    def _email_addresses(self) -> Call:
        owner: dict[str, Any] = {"userId": self._rng.choice(self._users[:2])}
        owner["email"] = self._rng.choice(self._emails)
        token: dict[str, Any] = {"method": "token", "token": self._one(self._email_tokens, "unknown")}
        tenant = self._rng.choice(["", "", "", "acme"])
        path = "/recipe/user/email/verify"
        method, path, fields, tenant = self._rng.choice(
            [
                ("POST", f"{path}/token", owner, tenant),
                ("POST", f"{path}/token", owner, tenant),
                ("POST", path, token, tenant),
                ("POST", path, token, tenant),
                ("GET", path, owner, ""),
                ("POST", f"{path}/remove", owner, ""),
                ("POST", f"{path}/token/remove", owner, tenant),
            ]
        )
        return Call(method, path, fields, tenant, self._cdi())

    def _metadata(self) -> Call:
        path = "/recipe/user/metadata"
        user: dict[str, Any] = {"userId": self._rng.choice(self._users)}
        method, path, fields = self._rng.choice(
            [
                ("GET", path, user),
                ("PUT", path, {**user, "metadataUpdate": self._data()}),
                ("POST", f"{path}/remove", user),
            ]
        )
        return Call(method, path, fields, "", self._cdi())

    def _manage_tenants(self) -> Call:
        path = "/recipe/multitenancy/tenant"
        tenant = self._rng.choice([name for name in self._tenants if name])
        settings: dict[str, Any] = {"tenantId": tenant}
        if self._flag():
            settings["firstFactors"] = self._rng.sample(["emailpassword", "thirdparty", "otp-email"], 2)
        if self._flag():
            settings["requiredSecondaryFactors"] = self._rng.choice([["totp"], None, []])
        method, path, fields, tenant = self._rng.choice(
            [
                ("PUT", f"{path}/v2", settings, ""),
                ("PUT", f"{path}/v2", settings, ""),
                ("PUT", f"{path}/v2", settings, ""),
                ("GET", f"{path}/v2", {}, tenant),
                ("GET", f"{path}/list/v2", {}, ""),
                ("POST", f"{path}/remove", {"tenantId": tenant}, ""),
            ]
        )
        return Call(method, path, fields, tenant, self._rng.choice(CDI_VERSIONS[1:]))

    def _make_jwt(self) -> Call:
        fields = {
            "payload": self._data(),
            "algorithm": self._rng.choice(["RS256", "RS256", "HS256"]),
            "jwksDomain": "https://api.example.com",
            "validity": self._rng.choice([60, 3600]),
            "useStaticSigningKey": self._flag(),
        }
        return Call("POST", "/recipe/jwt", fields, "", self._cdi())


def compare(calls: Calls, cores: tuple[Core, Core], count: int, known: Iterable[Difference]) -> list[str]:
    """Send so many calls to both cores, and return what differs.

    :param calls: makes the calls.
    :param cores: the two cores.
    :param count: how many calls.
    :param known: differences that are not returned.
    """
    known, problems = tuple(known), []
    for number in range(count):
        call = calls.next()
        first, second = call.send(cores[0]), call.send(cores[1])
        replies = (first, second)
        shapes = [(reply.status, shape(calls, place, reply.body)) for place, reply in enumerate(replies)]
        if shapes[0] != shapes[1] and not any(each.explains(call, first, second) for each in known):
            texts = [reply.body.strip() if isinstance(reply.body, Text) else "" for reply in replies]
            shown = "".join(f"\n    {each} {text}" for each, text in zip(shapes, texts, strict=True))
            problems.append(f"call {number}, {call}:{shown}")
        calls.learn(replies)
    return problems


def shape(calls: Calls, number: int, body: Any) -> Any:
    """Return a body with all that may differ replaced by its kind.

    :param calls: know the handles.
    :param number: of the core.
    """
    if isinstance(body, dict):
        return {key: _shape_of_field(calls, number, key, value) for key, value in body.items()}
    if isinstance(body, list):
        return sorted((shape(calls, number, item) for item in body), key=json.dumps)
    if isinstance(body, Text):
        return "<text>"
    if isinstance(body, str):
        return _shape_of_text(calls, number, body)
    if type(body) is int and _is_time(body):
        return "<time>"
    return body


def _shape_of_field(calls: Calls, number: int, key: str, value: Any) -> Any:
    if key == "message":
        return "<text>"
    if key == "coreConfig" and isinstance(value, dict):
        # A SuperTokens core lists a setting with null once it has been set and restored to its default.
        return {name: each for name, each in value.items() if each is not None}
    return shape(calls, number, value)


def _shape_of_text(calls: Calls, number: int, text: str) -> Any:
    named = calls.name_of(number, text)
    if named is not None:
        return named
    kind = next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(text)), None)
    if kind is not None:  # before JWTs: a refresh token, too, may begin like one
        return f"<{kind}>"
    if text.startswith("eyJ") and text.count(".") == 2:
        return {"<jwt>": shape(calls, number, decode_jwt(text))}
    return text


def _is_time(value: int) -> bool:
    now = time.time()
    return abs(value - now) < _NEAR_SECONDS or abs(value / 1000 - now) < _NEAR_SECONDS


def _of_core(value: Any, number: int) -> Any:
    if isinstance(value, Pair):
        return value.values[number]
    if isinstance(value, Mapping):
        return {key: _of_core(item, number) for key, item in value.items()}
    if isinstance(value, list):
        return [_of_core(item, number) for item in value]
    return value


def _at(body: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        body = body.get(key) if isinstance(body, dict) else None
    return body


def _cut(text: str) -> str:
    return text[: len(text) // 2]


def _swap_case(text: str) -> str:
    return text.swapcase()


def _with_blank(text: str) -> str:
    return f" {text}"
