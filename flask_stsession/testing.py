"""Sign test clients in, with real tokens of a real core, which are written and verified as usual.

::

    def test_only_admins_see_reports(app):
        client = app.test_client()
        login(client, "alice")
        assert client.get("/reports").status_code == 403
        login(client, "alice", roles=["admin"])
        assert client.get("/reports").status_code == 200

With ``TESTING``, an app whose core is not configured has one in memory: no network, no files, and a login
takes a few milliseconds. No check is skipped. pytest finds the fixtures ``stsession_client`` and
``stsession_core`` without an import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, update_wrapper
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from flask import Flask, g
from flask.testing import FlaskClient

from . import multitenancy, userroles
from .callables import shown_as
from .claims.builtin import PermissionClaim, UserRoleClaim
from .config.domains import host_of, is_host_or_parent
from .constants import ACCESS_TOKEN_HEADER, ANTI_CSRF_HEADER, AUTH_MODE_HEADER, DEFAULT_TENANT, TransferMethod
from .tokens import access_token as tokens
from .web.context import app_state_of, origin_of_api, request_state, this_request
from .web.transport import ResponseWriter, Turns

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers
    from werkzeug.test import TestResponse

    from .claims.base import SessionClaim
    from .config.config import Config
    from .core.in_process import AppCore
    from .extension import STSession
    from .sessions.session import Session

__all__ = ["STSessionClient", "STSessionClientMixin", "TestCore", "end", "expire", "login", "logout"]

_BEARER: Final = "HTTP_AUTHORIZATION"
_ANTI_CSRF: Final = "HTTP_ANTI_CSRF"
_RID: Final = "HTTP_RID"


def login(
    client: FlaskClient,
    user_id: str,
    *,
    roles: Iterable[str] = (),
    permissions: Iterable[str] = (),
    claims: Mapping[SessionClaim[Any], Any] | None = None,
    payload: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    transfer: TransferMethod | None = None,
    tenant_id: str | None = None,
    base_url: str | None = None,
) -> Session:
    """Sign a test client in, as a view that calls ``create_new_session`` does.

    The client then sends what a frontend SDK sends: the cookies or the header ``Authorization``, and the
    header that ``STSESSION_ANTI_CSRF`` asks for. If it already has a session, the new one replaces it.

    :param client: ``app.test_client()``.
    :param roles: the roles that the user has from now on, instead of any others; created where missing.
    :param permissions: those of a role of the user's own, which is named after the user.
    :param claims: set in the session after its own claims were fetched, ``{PlanClaim: "pro"}``.
    :param payload: ``access_token_payload``; JSON.
    :param data: ``session_data_in_database``; JSON.
    :param transfer: ``"cookie"`` or ``"header"``; if omitted, a cookie where the app allows one and
        the client keeps cookies.
    :param tenant_id: created where missing; ``"public"`` by default.
    :param base_url: the base URL of the client's requests, if they go to another host than the client's own.
    :returns: the session.
    :raises ValueError: the app does not allow that transfer method, or a browser would not keep its cookies
        for the host of the client.
    """
    if claims is not None and not isinstance(claims, Mapping):
        raise TypeError(f"login() takes {{claim: value}} as claims=, not {claims!r}.")
    if transfer not in (None, "cookie", "header"):
        raise ValueError(f"login() takes 'cookie' or 'header' as transfer=, not {transfer!r}.")
    role_names, permission_names = _names("roles", roles), _names("permissions", permissions)
    mode = transfer or ("cookie" if _keeps_cookies(client) else "header")
    with _request(client, base_url, headers={AUTH_MODE_HEADER: mode}) as extension:
        tenant = tenant_id or DEFAULT_TENANT
        if tenant != DEFAULT_TENANT and multitenancy.get_tenant(tenant) is None:
            multitenancy.create_or_update_tenant(tenant)
        named = _give_roles(user_id, tenant, role_names, permission_names)
        session = extension.create_new_session(
            user_id, tenant_id=tenant, access_token_payload=payload, session_data_in_database=data
        )
        if transfer is not None and session.transfer_method != transfer:
            raise ValueError(
                f"login(transfer={transfer!r}) is not possible: STSESSION_TOKEN_TRANSFER_METHOD of this app "
                f"chose {session.transfer_method!r}."
            )
        if session.transfer_method == "cookie":
            _refuse_lost_cookies(app_state_of(client.application).config)
        # The app's own tables do not have the values of the test, so set them in the session.
        by_app: dict[SessionClaim[Any], list[str]] = {}
        if named and extension.has_loader("roles_loader"):
            by_app[UserRoleClaim] = role_names
        if named and extension.has_loader("permissions_loader"):
            by_app[PermissionClaim] = permission_names
        for claim, value in {**by_app, **(claims or {})}.items():
            session.set_claim_value(claim, value)
    return session


def logout(client: FlaskClient, *, base_url: str | None = None) -> bool:
    """End the session of a test client and clear its tokens, as ``sign_out`` does; no error without one.

    :returns: ``False`` if the session may still exist in the core.
    """
    with _request(client, base_url) as extension:
        return extension.sign_out()


def expire(client: FlaskClient, *, base_url: str | None = None) -> None:
    """Replace the access token of a test client with one that has just expired; it can be refreshed.

    :raises RuntimeError: the client is not signed in, or the core is not the embedded one.
    """
    client_tokens = _Tokens(client, base_url)
    client_tokens.store(_embedded_core_of(client.application).expired(client_tokens.access_token()))


def end(client: FlaskClient, *, base_url: str | None = None) -> None:
    """End the session of a test client in the core, as another process would; the client is not told.

    Its access token is valid until it expires, except where ``check_database`` is set; a refresh is refused.

    :raises RuntimeError: the client is not signed in.
    """
    token = tokens.parse(_Tokens(client, base_url).access_token())
    assert token is not None  # this app made it
    app_state_of(client.application).manager.client.revoke_sessions([token.session_handle])


class STSessionClientMixin:
    """Adds the functions of this module to a test client, as methods.

    The client follows its session as a frontend SDK does: it sends the new access token, if it sends one by
    header, and the new anti-CSRF token of a response from then on.

    ::

        class Client(STSessionClientMixin, FlaskClient): ...

        app.test_client_class = Client
        app.test_client().login("alice", roles=["admin"])
    """

    def open(self, *args: Any, **options: Any) -> TestResponse:
        """Send a request, as other test clients do, and keep the new tokens of the response."""
        response: TestResponse = super().open(*args, **options)  # type: ignore[misc]
        _follow(self._client, response.headers)
        return response

    @shown_as(login)
    def login(self, user_id: str, **options: Any) -> Session:
        """Sign this client in; the arguments are those of :func:`login`."""
        return login(self._client, user_id, **options)

    def logout(self, *, base_url: str | None = None) -> bool:
        """End the session of this client and clear its tokens; see :func:`logout`."""
        return logout(self._client, base_url=base_url)

    def expire(self, *, base_url: str | None = None) -> None:
        """Make the access token of this client expire; see :func:`expire`."""
        expire(self._client, base_url=base_url)

    def end(self, *, base_url: str | None = None) -> None:
        """End the session of this client in the core; see :func:`end`."""
        end(self._client, base_url=base_url)

    @property
    def _client(self) -> FlaskClient:
        if not isinstance(self, FlaskClient):
            raise TypeError(
                f"{type(self).__name__} is not a test client: write "
                f"class {type(self).__name__}(STSessionClientMixin, FlaskClient)."
            )
        return self


# It takes what Flask's takes, and help() says so.
update_wrapper(STSessionClientMixin.open, FlaskClient.open, assigned=("__module__",))


class STSessionClient(STSessionClientMixin, FlaskClient):
    """A Flask test client that can sign in: ``app.test_client_class = STSessionClient``."""


class TestCore:
    """The embedded core of an app under test: the fixture ``stsession_core``.

    :param app: returns the app; called when it is first needed.
    """

    __test__ = False  # pytest would collect it, for its name

    #: The settings that keep an app's core in memory, whatever else is configured.
    settings: Mapping[str, Any] = MappingProxyType(
        {
            "TESTING": True,
            "STSESSION_CONNECTION_URI": "embedded::memory:",
            # These lead to another core: they do not fit this one, and name files of another machine.
            "STSESSION_API_KEY": None,
            "STSESSION_CORE_PROXY": None,
            "STSESSION_CORE_TLS": {},
        }
    )

    def __init__(self, app: Callable[[], Flask]) -> None:
        self._app = app

    @contextmanager
    def down(self) -> Iterator[None]:
        """Simulate an outage: no call reaches the core inside the block; the first one after it does.

        :raises RuntimeError: the core is not the embedded one.
        """
        app = self._app()
        core = _embedded_core_of(app)
        was_down, core.is_down = core.is_down, True
        try:
            yield
        finally:
            core.is_down = was_down
            app_state_of(app).manager.keys.forget_outage()


class _Tokens:
    """The tokens that a test client holds."""

    def __init__(self, client: FlaskClient, base_url: str | None) -> None:
        if not isinstance(client, FlaskClient):
            raise TypeError(f"This needs a test client, such as app.test_client(), not {client!r}.")
        self._client = client
        self._state = app_state_of(client.application)
        with client.application.test_request_context(base_url=base_url):
            request = this_request()
            self._origin = origin_of_api(request)
            # As the test client takes the host of a request, for its cookies.
            self._host = urlsplit(self._origin).hostname or "localhost"
            self._refresh_path = self._state.config.refresh_path(request.script_root)

    @property
    def _domain(self) -> str:
        return (self._state.config.cookie_domain or self._host).lstrip(".")

    def cookies(self) -> dict[str, str]:
        """Return the session's cookies, by name."""
        if not _keeps_cookies(self._client):
            return {}
        names = self._state.config.cookie_names
        places = ((names.access, "/"), (names.refresh, self._refresh_path))
        found = {name: self._client.get_cookie(name, domain=self._domain, path=path) for name, path in places}
        return {name: cookie.value for name, cookie in found.items() if cookie is not None}

    def access_token(self) -> str:
        """Return the access token.

        :raises RuntimeError: there is none.
        """
        token = _bearer_of(self._client) or self.cookies().get(self._state.config.cookie_names.access)
        if token is None:
            raise RuntimeError(
                f"This client has no session for {self._host}. Sign it in: login(client, user_id)."
            )
        return token

    def store(self, access_token: str) -> None:
        """Replace the access token."""
        if _bearer_of(self._client) is not None:
            self._client.environ_base[_BEARER] = f"Bearer {access_token}"
            return
        self._client.set_cookie(
            self._state.config.cookie_names.access,
            access_token,
            domain=self._domain,
            origin_only=self._state.config.cookie_domain is None,
            path="/",
        )

    def apply(self, headers: Headers, session: Session | None) -> None:
        """Do what a browser and a frontend SDK do with a response of ours."""
        for line in headers.getlist("Set-Cookie"):
            pair, *attributes = line.split("; ")
            name, _, value = pair.partition("=")
            options = {key.lower(): text for key, _, text in (each.partition("=") for each in attributes)}
            domain = options.get("domain", "").lstrip(".")
            if value:
                self._client.set_cookie(
                    name,
                    value,
                    domain=domain or self._host,
                    origin_only=not domain,
                    path=options.get("path", "/"),
                )
            else:
                self._client.delete_cookie(name, domain=domain or self._host, path=options.get("path", "/"))
        environ = self._client.environ_base
        if _bearer_of(self._client) is not None:
            del environ[_BEARER]
        for key in (_ANTI_CSRF, _RID):
            environ.pop(key, None)
        if session is None:
            return
        if session.transfer_method == "header":
            environ[_BEARER] = f"Bearer {headers[ACCESS_TOKEN_HEADER]}"
        elif ANTI_CSRF_HEADER in headers:
            environ[_ANTI_CSRF] = headers[ANTI_CSRF_HEADER]
        elif self._state.config.anti_csrf_for(self._origin) == "VIA_CUSTOM_HEADER":
            environ[_RID] = "session"


def _bearer_of(client: FlaskClient) -> str | None:
    """Return the access token that the client sends by header."""
    sent: str = client.environ_base.get(_BEARER, "")
    scheme, _, value = sent.partition(" ")
    return value if scheme == "Bearer" and tokens.parse(value) is not None else None


def _follow(client: FlaskClient, headers: Headers) -> None:
    """Keep what a response changes in the tokens that a client sends by header.

    :param headers: the headers of the response; an empty access token clears the client's.
    """
    token = headers.get(ACCESS_TOKEN_HEADER)
    if token is not None and _bearer_of(client) is not None:
        if token:
            client.environ_base[_BEARER] = f"Bearer {token}"
        else:
            del client.environ_base[_BEARER]
    if ANTI_CSRF_HEADER in headers:
        client.environ_base[_ANTI_CSRF] = headers[ANTI_CSRF_HEADER]


def _refuse_lost_cookies(config: Config) -> None:
    """Refuse cookies that a browser would drop because of their domain.

    :raises ValueError: ``STSESSION_COOKIE_DOMAIN`` is neither the current request's host nor a parent of it.
    """
    domain, host = config.cookie_domain, host_of(this_request().host)
    if domain is None or host is None or is_host_or_parent(domain.lstrip("."), host):
        return
    there = config.api_domain or f"http://{domain.lstrip('.')}"
    raise ValueError(
        f"A browser would drop the cookies of this login: STSESSION_COOKIE_DOMAIN = {domain!r} is neither "
        f"{host!r}, the host of the client, nor a parent of it. Pass base_url={there!r} to login() and to "
        "the client's requests."
    )


def _keeps_cookies(client: FlaskClient) -> bool:
    """Return whether the client was made without ``use_cookies=False``."""
    try:
        client.get_cookie("any")
    except (AttributeError, TypeError):
        return False
    return True


@contextmanager
def _request(
    client: FlaskClient, base_url: str | None, headers: Mapping[str, str] | None = None
) -> Iterator[STSession]:
    """Push a request of the client, and apply the response to its tokens; yield the extension object."""
    client_tokens = _Tokens(client, base_url)
    app = client.application
    app_state = app_state_of(app)
    sent = {**(headers or {}), "Cookie": "; ".join(f"{k}={v}" for k, v in client_tokens.cookies().items())}
    with app.test_request_context(
        method="POST", base_url=base_url, headers=sent, environ_base=client.environ_base
    ):
        before = g.get("session")
        extension: STSession = app.extensions["stsession"]
        try:
            yield extension
        finally:
            g.session = before  # the test may keep its app context open
        request = this_request()
        state = request_state(request)
        response = app.response_class()
        writer = ResponseWriter(
            app_state.config,
            origin=partial(origin_of_api, request),
            script_root=request.script_root,
            turns=Turns(),
        )
        writer.write(state.changes, response)
        state.is_written = True
    client_tokens.apply(response.headers, state.session)


def _names(argument: str, given: Iterable[str]) -> list[str]:
    """Return the names given to ``login()``, from a generator too.

    :raises TypeError: it is not a list of names.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"login() takes a list of names as {argument}=, not {given!r}.")
    return list(given)


def _give_roles(user_id: str, tenant_id: str, roles: list[str], permissions: list[str]) -> bool:
    """If roles or permissions are named, give a user exactly these in the core; return whether any are."""
    if not roles and not permissions:
        return False
    of_the_user = f"permissions-of-{user_id}"
    wanted = [*roles, *([of_the_user] if permissions else [])]
    for role in roles:
        userroles.create_new_role_or_add_permissions(role)
    if permissions:
        userroles.delete_role(of_the_user)
        userroles.create_new_role_or_add_permissions(of_the_user, permissions)
    for role in set(userroles.get_roles_for_user(user_id, tenant_id=tenant_id)) - set(wanted):
        userroles.remove_user_role(user_id, role, tenant_id=tenant_id)
    for role in wanted:
        userroles.add_role_to_user(user_id, role, tenant_id=tenant_id)
    return True


def _embedded_core_of(app: Flask) -> AppCore:
    core = app_state_of(app).core
    if core is None:
        raise RuntimeError(
            f"The core of the app {app.name!r} is not in this process. In tests, write "
            'STSESSION_CONNECTION_URI = "embedded::memory:".'
        )
    return core
