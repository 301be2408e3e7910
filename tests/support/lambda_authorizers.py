"""Golden events of authorizers, and what a gateway makes of their answers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[1] / "data" / "lambda" / "authorizers"


@dataclass(frozen=True)
class AuthorizerCase:
    """A golden event of an authorizer.

    :param stage: the ARN of all routes of its stage.
    :param routes: ARNs of some of them, the one that the event asks for first.
    :param other: the ARN of a route of another stage.
    :param has_body: whether the gateway can send a body of ours with a 403.
    :param ways: how a token can travel in it.
    :param simple: whether the gateway may expect simple responses.
    """

    name: str
    text: str
    stage: str
    routes: list[str]
    other: str
    has_body: bool
    ways: list[str]
    simple: bool

    def event(
        self,
        token: str | None,
        by: str = "header",
        headers: dict[str, str] | None = None,
        method: str = "GET",
    ) -> dict[str, Any]:
        """Return the event with a token in it.

        :param token: ``None``: without one.
        :param by: how it travels, ``"header"`` or ``"cookie"``.
        :param headers: further ones.
        """
        event: dict[str, Any] = json.loads(
            self.text.replace('TOKEN"', f'{token}"').replace(f'"type": "{token}"', '"type": "TOKEN"')
        )
        if "authorizationToken" in event and (token is None or by == "cookie"):
            event["authorizationToken"] = ""
        given = dict(headers or {})
        for key in ("headers", "multiValueHeaders"):
            held = event.get(key, {})
            if token is None or by == "cookie":
                held.pop("Authorization", None)
                held.pop("authorization", None)
            if by == "cookie" and token is not None and event.get("version") != "2.0" and key in event:
                given["Cookie"] = f"sAccessToken={token}"
            for name, value in given.items():
                if key in event:
                    held[name] = [value] if key == "multiValueHeaders" else value
        if by == "cookie" and token is not None and event.get("version") == "2.0":
            event["cookies"] = [f"sAccessToken={token}"]
        if event.get("version") == "2.0":
            event["requestContext"]["http"]["method"] = method
        elif "httpMethod" in event:
            event["httpMethod"] = method
        return event


def authorizer_cases() -> list[AuthorizerCase]:
    """Return all golden events of authorizers."""
    found = []
    for path in sorted(GOLDEN.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content.pop("source"), f"{path} does not say where its shape comes from"
        content.setdefault("simple", False)
        found.append(AuthorizerCase(name=path.stem, text=json.dumps(content.pop("event")), **content))
    return found


def is_allowed(answer: dict[str, Any], arn: str) -> bool:
    """Return whether a gateway lets a request to a resource pass, as IAM evaluates the policy."""
    effects = set()
    for statement in answer["policyDocument"]["Statement"]:
        assert statement["Action"] == "execute-api:Invoke"
        pattern = re.escape(statement["Resource"]).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(pattern, arn, re.DOTALL):
            effects.add(statement["Effect"])
    return effects == {"Allow"}
