"""The SuperTokens core that ``--core-uri`` names: an app of its own for each test.

Making an app takes a core the better part of a second, since it makes several keys for it. So an app is used
again once all that a test has left there is deleted: tenants, roles, and what belongs to the users and e-mail
addresses that were seen in the requests to the core.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

_TIMEOUT_SECONDS = 60
#: A core that keeps its data in memory refuses calls while its own cron jobs write.
_LOCKED = re.compile(rb"SQLITE_LOCKED")
#: For a moment, while another app is made, a core does not find the default tenant of an app.
_NOT_FOUND = re.compile(rb"AppId or tenantId not found .*, public\)")
_MORE_ATTEMPTS = 50
#: A header of responses to requests that the core has first refused so.
SENT_AGAIN = "x-sent-again"
_PAUSE_SECONDS = 0.02
_PUBLIC = "public"


@dataclass(frozen=True)
class GivenApp:
    """An app of the core.

    :param core: the core.
    :param app_id: the app's id.
    """

    core: GivenCore
    app_id: str
    _touched: list[bool] = field(default_factory=list)
    _configured: set[str] = field(default_factory=set)
    _users: set[str] = field(default_factory=set)
    _emails: set[tuple[str, str]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The address of the app."""
        return f"{self.core.uri}/appid-{self.app_id}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every request to the core needs."""
        return {} if self.core.api_key is None else {"api-key": self.core.api_key}

    @property
    def config(self) -> dict[str, Any]:
        """The settings that connect a Flask app to the core."""
        key = {} if self.core.api_key is None else {"STSESSION_API_KEY": self.core.api_key}
        # Examples have settings for the embedded core, which are an error beside the address of another one.
        return {"STSESSION_CONNECTION_URI": self.url, "STSESSION_EMBEDDED_CORE": {}, **key}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change settings of the core for this app; ``None`` restores a default."""
        self._configured.update(settings)
        self.core.ask(
            "PUT", "/recipe/multitenancy/app/v2", {"appId": self.app_id, "coreConfig": dict(settings)}
        )

    def saw(self, query: str, body: str | bytes | None) -> None:
        """Keep the users and the e-mail addresses of a request to this app."""
        self._touched.append(True)
        try:
            sent = json.loads(body) if body else {name: each[0] for name, each in parse_qs(query).items()}
            user_id, email = sent.get("userId"), sent.get("email")
        except (ValueError, AttributeError):
            return  # nothing that a core accepts
        if isinstance(user_id, str):
            self._users.add(user_id)
            if isinstance(email, str):
                self._emails.update({(user_id, email), (user_id, email.strip().lower())})

    def clean(self) -> None:
        """Delete all that a test may have left."""
        if self._configured:
            self.configure(dict.fromkeys(self._configured))
        if self._touched:
            tenants = self._ask("GET", "/recipe/multitenancy/tenant/list/v2")["tenants"]
            for tenant in {tenant["tenantId"] for tenant in tenants} - {_PUBLIC}:
                self._ask("POST", "/recipe/multitenancy/tenant/remove", {"tenantId": tenant})
            factors = {"firstFactors": None, "requiredSecondaryFactors": None}
            self._ask("PUT", "/recipe/multitenancy/tenant/v2", {"tenantId": _PUBLIC, **factors})
            for role in self._ask("GET", "/recipe/roles")["roles"]:
                self._ask("POST", "/recipe/role/remove", {"role": role})
        for user in self._users.copy():
            self._ask("POST", "/recipe/session/remove", {"userId": user})
            self._ask("POST", "/recipe/user/metadata/remove", {"userId": user})
        for user, email in self._emails.copy():
            self._ask("POST", "/recipe/user/email/verify/remove", {"userId": user, "email": email})
            self._ask("POST", "/recipe/user/email/verify/token/remove", {"userId": user, "email": email})
        for seen in (self._touched, self._configured, self._users, self._emails):
            seen.clear()

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self.core.ask(method, f"/appid-{self.app_id}{path}", body)


class GivenCore:
    """The core.

    :param uri: its address.
    :param api_key: its API key, if it has one.
    """

    def __init__(self, uri: str, api_key: str | None = None) -> None:
        self.uri = uri.rstrip("/")
        self.api_key = api_key
        self._apps: dict[str, GivenApp] = {}
        self._free: list[GivenApp] = []
        self._send = HTTPAdapter.send
        HTTPAdapter.send = self._watched_send()  # type: ignore[method-assign]

    @contextlib.contextmanager
    def app(self, settings: Mapping[str, Any] | None = None) -> Iterator[GivenApp]:
        """Give an app without any tenants, sessions, roles and addresses.

        :param settings: keys of a core's config.yaml.
        """
        app = self._free.pop() if self._free else self._make()
        if settings:
            app.configure(settings)
        yield app
        app.clean()
        self._free.append(app)

    def close(self) -> None:
        """Delete the apps."""
        HTTPAdapter.send = self._send  # type: ignore[method-assign]
        for app_id in self._apps:
            self.ask("POST", "/recipe/multitenancy/app/remove", {"appId": app_id})

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request that has to succeed."""
        headers = {"cdi-version": "5.4"} | ({} if self.api_key is None else {"api-key": self.api_key})
        url = self.uri + path
        response = requests.request(method, url, json=body, headers=headers, timeout=_TIMEOUT_SECONDS)
        assert response.status_code == 200, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    def _make(self) -> GivenApp:
        app = GivenApp(self, f"t{uuid.uuid4().hex[:12]}")
        app.configure({})
        self._apps[app.app_id] = app
        return app

    def _watched_send(self) -> Any:
        """Return a replacement for ``send`` that takes note of the requests to the apps."""
        prefix, send = f"{self.uri}/appid-", self._send

        def watched(
            adapter: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **options: Any
        ) -> Any:
            if request.url is not None and request.url.startswith(prefix):
                parts = urlsplit(request.url.removeprefix(prefix))
                app = self._apps.get(parts.path.partition("/")[0])
                if app is not None:
                    app.saw(parts.query, request.body)
            response = send(adapter, request, **options)
            for _ in range(_MORE_ATTEMPTS):
                if not was_not_ready(response):
                    break
                time.sleep(_PAUSE_SECONDS)
                response = send(adapter, request, **options)
                response.headers[SENT_AGAIN] = "true"
            return response

        return watched


def was_not_ready(response: requests.Response) -> bool:
    """Has the core refused a call that it will carry out a moment later?

    The body of the response may be read again afterwards.
    """
    reason = {500: _LOCKED, 400: _NOT_FOUND}.get(response.status_code)
    if reason is None:
        return False
    content: bytes = response.raw.read(decode_content=True)
    response.raw = HTTPResponse(
        io.BytesIO(content), response.headers, response.status_code, preload_content=False
    )
    return reason.search(content) is not None
