"""Replays recorded conversations with a SuperTokens core against any core.

Every file in ``data/cdi`` is one conversation, recorded from a SuperTokens core 12: its steps are a request
and the pattern that the response must match, as ``support.patterns`` describes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import requests

from support.patterns import Run

CASES: Final = Path(__file__).parents[1] / "data" / "cdi"

_TIMEOUT_SECONDS: Final = 20


class Replay:
    """One run of one conversation.

    :param session: sends the requests; a transport for the core's address may be mounted on it.
    :param core: the core's address.
    :param api_key: shown with every request that brings none of its own.
    :param app_id: the app of the core that its address names.
    :param sleep: lets so many seconds pass for the core.
    """

    def __init__(
        self,
        session: requests.Session,
        core: str,
        api_key: str | None = None,
        *,
        app_id: str = "public",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._core = core.rstrip("/")
        self._api_key = api_key
        self._app_id = app_id
        self._sleep = sleep
        self._run = Run()
        self._problems: list[str] = []

    def run(self, case: Mapping[str, Any]) -> list[str]:
        """Go through the steps and return what did not match; nothing, if all did."""
        for step in case["steps"]:
            if "sleep" in step:
                self._sleep(step["sleep"])
                continue
            name, expected = step["id"], step["response"]
            try:
                status, body = self._send(step["request"])
            except (KeyError, IndexError, TypeError, ValueError) as error:
                self._problems.append(f"{name}: an earlier response lacks {error!r}")
                break
            self._run.received[name] = body
            if status != expected["status"]:
                self._problems.append(f"{name}: HTTP {status} instead of {expected['status']}: {body!r:.200}")
                continue
            self._problems += self._run.match(expected["body"], body, name)
            for rule in step.get("checks", []):
                self._problems += self._check(rule, name)
        return self._problems

    def _send(self, request: Mapping[str, Any]) -> tuple[int, Any]:
        headers = dict(request.get("headers") or {})
        if request.get("cdi"):
            headers["cdi-version"] = request["cdi"]
        if self._api_key is not None:
            headers.setdefault("api-key", self._api_key)
        body: bytes | None = None
        if "json" in request:
            body = json.dumps(self._run.fill(request["json"])).encode()
        elif "raw" in request:
            body = request["raw"].encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
        response = self._session.request(
            request["method"],
            self._core + self._run.fill(request["path"]),
            params=self._run.fill(request.get("query") or {}),
            data=body,
            headers=headers,
            timeout=_TIMEOUT_SECONDS,
        )
        try:
            return response.status_code, response.json()
        except ValueError:
            # Recorded in the app "public".
            text = response.text.strip().replace(f", {self._app_id},", ", public,")
            return response.status_code, text

    def _check(self, rule: Mapping[str, Any], where: str) -> list[str]:
        try:
            return self._run.check_range(rule, where)
        except (KeyError, IndexError, TypeError) as error:
            return [f"{where}: cannot check {rule}: {error!r}"]


def load_case(name: str) -> dict[str, Any]:
    """Read a conversation."""
    case: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
    return case
