"""The SuperTokens core that ``--core-uri`` names: an app of its own for each test."""

from __future__ import annotations

import contextlib
import queue
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

#: Making an app takes a core the better part of a second, for its keys: some are made ahead.
_APPS_AHEAD = 8
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class GivenApp:
    """An app of the core.

    :param core: the core.
    :param app_id: the app's id.
    """

    core: GivenCore
    app_id: str

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
        return {"STSESSION_CONNECTION_URI": self.url, **key}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change settings of the core for this app; ``None`` restores a default."""
        self.core.put_app(self.app_id, settings)


class GivenCore:
    """The core.

    :param uri: its address.
    :param api_key: its API key, if it has one.
    """

    def __init__(self, uri: str, api_key: str | None = None) -> None:
        self.uri = uri.rstrip("/")
        self.api_key = api_key
        self._ready: queue.Queue[str | Exception] = queue.Queue(_APPS_AHEAD)
        self._stopping = threading.Event()
        self._maker: threading.Thread | None = None

    def put_app(self, app_id: str, settings: Mapping[str, Any]) -> None:
        """Make an app, or change its settings."""
        self._ask("PUT", "/recipe/multitenancy/app/v2", {"appId": app_id, "coreConfig": dict(settings)})

    @contextlib.contextmanager
    def app(self, settings: Mapping[str, Any] | None = None) -> Iterator[GivenApp]:
        """Give an app without any users or sessions, and delete it afterwards.

        :param settings: keys of a core's config.yaml.
        """
        app = GivenApp(self, self._next())
        if settings:
            app.configure(settings)
        yield app
        self._delete(app)

    def close(self) -> None:
        """Stop making apps, and delete those that were made ahead."""
        self._stopping.set()
        if self._maker is None:
            return
        while self._maker.is_alive() or not self._ready.empty():
            with contextlib.suppress(queue.Empty):
                left = self._ready.get(timeout=0.1)
                if isinstance(left, str):
                    self._delete(GivenApp(self, left))

    def _next(self) -> str:
        if self._maker is None:
            self._maker = threading.Thread(target=self._make_ahead)
            self._maker.start()
        made = self._ready.get(timeout=_TIMEOUT_SECONDS)
        if isinstance(made, Exception):
            self._ready.put(made)  # for the tests that follow
            raise made
        return made

    def _make_ahead(self) -> None:
        while not self._stopping.is_set():
            app_id = f"t{uuid.uuid4().hex[:12]}"
            try:
                self.put_app(app_id, {})
            except Exception as error:  # noqa: BLE001 - raised again in the test that needs the app
                self._ready.put(error)
                return
            self._ready.put(app_id)

    def _delete(self, app: GivenApp) -> None:
        # An app can be deleted once it has no tenants but "public".
        path = f"/appid-{app.app_id}/recipe/multitenancy/tenant"
        for tenant in self._ask("GET", f"{path}/list/v2")["tenants"]:
            if tenant["tenantId"] != "public":
                self._ask("POST", f"{path}/remove", {"tenantId": tenant["tenantId"]})
        self._ask("POST", "/recipe/multitenancy/app/remove", {"appId": app.app_id})

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"cdi-version": "5.4"} | ({} if self.api_key is None else {"api-key": self.api_key})
        response = requests.request(
            method, self.uri + path, json=body, headers=headers, timeout=_TIMEOUT_SECONDS
        )
        assert response.status_code == 200, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()
