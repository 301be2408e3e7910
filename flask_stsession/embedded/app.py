"""The embedded core: the interface of a SuperTokens core as a WSGI application.

Paths, statuses and texts are those of a SuperTokens core 12, as recorded.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from flask_stsession.constants import CDI_VERSIONS

from .errors import DatabaseUnavailableError, EmbeddedCoreError, RequestRefusedError
from .keys import KeyRing
from .recipes.emails import EmailOperations
from .recipes.jwts import JWTOperations
from .recipes.metadata import MetadataOperations
from .recipes.roles import RoleOperations
from .recipes.session_admin import SessionAdministration
from .recipes.sessions import SessionOperations
from .recipes.tenants import TenantOperations
from .recipes.users import UserOperations
from .request import Answer, CoreRequest, Route, parse_body
from .settings import Settings, read_settings
from .storage.files import IN_MEMORY
from .storage.store import Store
from .tenancy import Address, Scope, Tenants, split_path
from .tokens import SessionTokens

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["EmbeddedCore", "EmbeddedCoreError"]

logger: logging.Logger = logging.getLogger("flask_stsession.embedded")

_MAX_BODY_BYTES: Final = 10 * 1024 * 1024
_HELLO: Final = frozenset({"/", "/hello"})
_HELLO_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})
_JWKS: Final = "/.well-known/jwks.json"
_API_VERSION: Final = "/apiversion"
_KEY_SCHEME: Final = "bearer "


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    answer: Answer = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=())

    def send(self, start_response: StartResponse) -> Iterable[bytes]:
        if isinstance(self.answer, str):
            body, content_type = self.answer.encode("utf-8"), "text/plain; charset=utf-8"
        else:
            body, content_type = json.dumps(self.answer).encode("ascii"), "application/json; charset=utf-8"
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), *self.headers]
        start_response(f"{self.status} {HTTPStatus(self.status).phrase}", headers)
        return [body]


class EmbeddedCore:
    """A core in this process, for development, tests and applications on a single host.

    The object is a WSGI application that speaks the Core Driver Interface; any thread may call it. Each
    process creates its own object; all objects for one file share its sessions.

    :param database: the file, created with its folder if missing, or ``:memory:`` for a database that
        ends with this object and cannot be shared with another process.
    :param settings: keys of a core's ``config.yaml``: the fields of
        :class:`~flask_stsession.embedded.settings.Settings`.
    :param clock: returns the time in s since the epoch; by default ``time.time``, looked up at each call, so
        that libraries that freeze the time in tests take effect.
    :param busy_timeout: how long a request waits for locks, in all, before it gets 503, s.
    :param private_key: an RSA key as PEM that signs in place of new ones, which take a tenth of a second to
        make. Other cores may have the same one.
    :raises DatabaseUnavailableError: the database stayed locked for longer than the busy timeout.
    :raises EmbeddedCoreError: a setting is wrong or the database cannot be used. Calling the object raises
        it too if it was closed, or if its database is in the memory of another process.
    """

    #: Whether this object created an empty database.
    created: bool

    def __init__(
        self,
        database: str | os.PathLike[str],
        settings: Mapping[str, Any] | None = None,
        *,
        clock: Callable[[], float] | None = None,
        busy_timeout: float = 5.0,
        private_key: str | None = None,
    ) -> None:
        self.settings: Settings = read_settings(settings)
        self._clock = clock
        self._private_key = private_key
        self._store = Store(database, self._insert_first_rows, busy_timeout=busy_timeout)
        self.created = self._store.created
        try:
            self._keys = KeyRing(self._store, self.settings, self._clock_ms, private_key)
        except (sqlite3.Error, LookupError) as error:
            self._store.close()
            raise EmbeddedCoreError(
                f"the embedded core's database {self._store.name} is damaged ({error}):"
                " put back a copy of it, or name another file"
            ) from error
        if self.created and self._store.name != IN_MEMORY:
            # Always a warning: a mistyped path or an unmounted volume leads here too.
            logger.warning(
                "Created an empty database for the embedded core: %s. Sessions and keys from any other file"
                " are not valid here. If a database should have been there, stop this process and restore"
                " it.",
                self._store.name,
            )
        self._tenants = Tenants(self._store)
        self._routes: dict[str, dict[str, Route]] = {}
        for route in self._all_routes():
            self._routes.setdefault(route.path, {})[route.method] = route

    def close(self) -> None:
        """Close the database; calling this object afterwards raises :exc:`EmbeddedCoreError`."""
        self._store.close()

    def expired(self, access_token: str) -> str:
        """Return an access token of this core with an expiry that has just passed, for tests.

        :raises InvalidTokenError: this core did not create it.
        """
        return SessionTokens(self._keys, self.settings).expired(access_token, self._clock_ms())

    def __enter__(self) -> EmbeddedCore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to a request (PEP 3333)."""
        return self._respond(environ).send(start_response)

    def _clock_ms(self) -> int:
        return int((self._clock or time.time)() * 1000)

    def _insert_first_rows(self, connection: sqlite3.Connection) -> None:
        TenantOperations.insert_first(connection)
        KeyRing.insert_first(connection, self.settings, self._clock_ms(), self._private_key)

    def _all_routes(self) -> list[Route]:
        tokens = SessionTokens(self._keys, self.settings)
        return [
            *SessionOperations(self._store, self._tenants, tokens, self.settings, self._clock_ms).routes(),
            *SessionAdministration(self._store, self._tenants, self._clock_ms).routes(),
            *JWTOperations(self._keys, self._clock_ms).routes(),
            *RoleOperations(self._store).routes(),
            *EmailOperations(self._store, self.settings, self._clock_ms).routes(),
            *MetadataOperations(self._store).routes(),
            *TenantOperations(self._store, self.settings).routes(),
            *UserOperations().routes(),
        ]

    # Responding

    def _respond(self, environ: WSGIEnvironment) -> _Response:
        try:
            with self._store.one_patience():
                return self._answer(environ)
        except RequestRefusedError as refusal:
            return _Response(refusal.status, refusal.text)
        except RecursionError:
            return _Response(400, "Invalid Json Input")
        except DatabaseUnavailableError as error:
            return _unavailable(error)
        except sqlite3.Error as error:
            return _unavailable(
                DatabaseUnavailableError(
                    f"the embedded core's database {self._store.name} cannot be used ({error}): see that its"
                    " disk has room and that the file is whole, readable and writable for this user"
                )
            )
        except EmbeddedCoreError:
            raise
        except Exception:
            logger.exception("the embedded core failed")
            return _Response(500, "Internal Error")

    def _answer(self, environ: WSGIEnvironment) -> _Response:
        method = environ["REQUEST_METHOD"]
        version = _cdi_version(environ)
        address = self._find(environ.get("PATH_INFO", ""))
        if address is not None and address.path in _HELLO:
            _refuse_other_methods(method, _HELLO_METHODS)
            self._tenants.check(address, Scope.ANY, version)
            return _Response(200, "Hello")
        if address is not None and address.path == _JWKS:
            _refuse_other_methods(method, {"GET"})
            self._tenants.check(address, Scope.ANY, version)
            return self._public_keys()
        self._check_api_key(environ)
        if address is None:
            raise RequestRefusedError(404, "Not found")
        if address.path == _API_VERSION:
            _refuse_other_methods(method, {"GET"})
            self._tenants.check(address, Scope.APP, version)
            return _Response(200, {"versions": list(CDI_VERSIONS)})
        methods = self._routes[address.path]
        _refuse_other_methods(method, methods)
        route = methods[method]
        self._tenants.check(address, route.scope, version)
        request = CoreRequest(
            method=method,
            tenant_id=address.tenant_id,
            cdi_version=version,
            query=_query(environ),
            body={} if method == "GET" else parse_body(_read_body(environ)),
        )
        return _Response(200, route.run(request))

    def _find(self, path: str) -> Address | None:
        """Return the application, tenant and operation that a path names, None if there is none."""
        for address in split_path(path):
            if address.path in self._routes or address.path in (*_HELLO, _JWKS, _API_VERSION):
                return address
        return None

    def _check_api_key(self, environ: WSGIEnvironment) -> None:
        if not self.settings.api_keys:
            return
        shown = _shown_api_key(environ).encode("utf-8", "replace")
        # Every key is compared, so that the time taken does not reveal which one was close.
        matches = [hmac.compare_digest(shown, key.encode("ascii")) for key in self.settings.api_keys]
        if not any(matches):
            raise RequestRefusedError(401, "Invalid API key")

    def _public_keys(self) -> _Response:
        # A new key is published this long before it signs, so a verifier that caches the keys no longer than
        # that always has it in time.
        age = self.settings.key_lead_ms // 1000
        caching = (("Cache-Control", f"max-age={age}, must-revalidate"),)
        return _Response(200, {"keys": self._keys.public_keys()}, caching)


def send_unavailable(error: DatabaseUnavailableError, start_response: StartResponse) -> Iterable[bytes]:
    """Log why the database cannot be used, and send a 503 response."""
    return _unavailable(error).send(start_response)


def _unavailable(error: DatabaseUnavailableError) -> _Response:
    logger.log(error.log_level, "%s", error)
    return _Response(503, error.text, (("Retry-After", str(error.retry_after)),))


def _refuse_other_methods(method: str, allowed: Iterable[str]) -> None:
    if method not in allowed:
        raise RequestRefusedError(405, "Method not supported")


def _shown_api_key(environ: WSGIEnvironment) -> str:
    """Return the API key of a request: ``api-key: KEY`` or ``Authorization: [Bearer] KEY``."""
    shown = str(environ.get("HTTP_API_KEY", "")).strip()
    if shown:
        return shown
    shown = str(environ.get("HTTP_AUTHORIZATION", "")).strip()
    return shown[len(_KEY_SCHEME) :].strip() if shown.lower().startswith(_KEY_SCHEME) else shown


def _cdi_version(environ: WSGIEnvironment) -> tuple[int, int]:
    version = environ.get("HTTP_CDI_VERSION", CDI_VERSIONS[-1])
    if version not in CDI_VERSIONS:
        raise RequestRefusedError(400, f"cdi-version {version} not supported")
    major, minor = version.split(".")
    return int(major), int(minor)


def _query(environ: WSGIEnvironment) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True):
        found.setdefault(name, value)
    return found


def _read_body(environ: WSGIEnvironment) -> bytes:
    try:
        return get_input_stream(environ, max_content_length=_MAX_BODY_BYTES).read()
    except RequestEntityTooLarge as error:
        raise RequestRefusedError(413, f"The body is larger than {_MAX_BODY_BYTES} bytes") from error
    except ClientDisconnected as error:
        raise RequestRefusedError(400, "The body is shorter than its Content-Length") from error
