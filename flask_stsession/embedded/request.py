"""One request to the core, and the checks on its fields that every operation shares.

The texts of the refusals are those of a SuperTokens core, as recorded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flask_stsession.constants import PROTECTED_CLAIMS

from .errors import RequestRefusedError

#: What an operation answers: a JSON object, or a plain text.
Answer: TypeAlias = "dict[str, Any] | str"


@dataclass(frozen=True, slots=True)
class CoreRequest:
    """A request whose API key, version, path and tenant were found good.

    :param method: the HTTP method.
    :param tenant_id: the tenant in the path; ``public`` if there is none.
    :param cdi_version: the version of the interface that the caller speaks.
    :param query: the query parameters.
    :param body: the JSON object sent, empty for GET.
    """

    method: str
    tenant_id: str
    cdi_version: tuple[int, int]
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def text(self, name: str) -> str:
        """Return a required string of the body."""
        found = self.optional_text(name)
        if found is None:
            raise invalid_field(name)
        return found

    def optional_text(self, name: str) -> str | None:
        """Return an optional string of the body; ``null`` is as good as absent."""
        found = self.body.get(name)
        if found is not None and not isinstance(found, str):
            raise invalid_field(name)
        return found

    def name(self, name: str) -> str:
        """Return a required string that has more in it than spaces, without those around it."""
        return _not_blank(name, self.text(name))

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        """Return a boolean of the body; required unless there is a default."""
        found = self.body.get(name)
        if found is None and default is not None:
            return default
        if not isinstance(found, bool):
            raise invalid_field(name)
        return found

    def number(self, name: str) -> float | None:
        """Return an optional number of the body."""
        found = self.body.get(name)
        if found is not None and (isinstance(found, bool) or not isinstance(found, (int, float))):
            raise invalid_field(name)
        return found

    def object(self, name: str) -> dict[str, Any]:
        """Return a required JSON object of the body."""
        found = self.optional_object(name)
        if found is None:
            raise invalid_field(name)
        return found

    def optional_object(self, name: str) -> dict[str, Any] | None:
        """Return an optional JSON object of the body."""
        found = self.body.get(name)
        if found is not None and not isinstance(found, dict):
            raise invalid_field(name)
        return found

    def user_payload(self, name: str) -> dict[str, Any]:
        """Return a required JSON object that users may put into an access token."""
        found = self.object(name)
        if not found.keys().isdisjoint(PROTECTED_CLAIMS):
            raise RequestRefusedError(400, "The user payload contains protected field")
        return found

    def texts(self, name: str) -> list[str] | None:
        """Return an optional array of strings of the body."""
        found = self.body.get(name)
        if found is None:
            return None
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise invalid_field(name)
        return found

    def parameter(self, name: str) -> str:
        """Return a required query parameter."""
        found = self.query.get(name)
        if found is None:
            raise RequestRefusedError(400, f"Field name '{name}' is missing in GET request")
        return found

    def name_parameter(self, name: str) -> str:
        """Return a required query parameter that has more in it than spaces, without those around it."""
        return _not_blank(name, self.parameter(name))


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the interface.

    :param method: the HTTP method.
    :param path: the path without application and tenant.
    :param answer: what carries it out.
    :param of_tenant: whether the path may name a tenant other than ``public``.
    """

    method: str
    path: str
    answer: Callable[[CoreRequest], Answer]
    of_tenant: bool = False


def invalid_field(name: str) -> RequestRefusedError:
    """Return the refusal of a field that is missing or of the wrong type."""
    return RequestRefusedError(400, f"Field name '{name}' is invalid in JSON input")


def _not_blank(name: str, value: str) -> str:
    found = value.strip()
    if not found:
        raise RequestRefusedError(400, f"Field name '{name}' cannot be an empty String")
    return found


def parse_body(raw: bytes) -> dict[str, Any]:
    """Read the JSON object that a request carries.

    :raises RequestRefusedError: it is not one.
    """
    try:
        found = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
        if b"\\ud" in raw.lower():
            # Half a surrogate pair is fine JSON and cannot be stored or signed as UTF-8.
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise RequestRefusedError(400, "Invalid Json Input") from None
    if not isinstance(found, dict):
        raise RequestRefusedError(400, "Invalid Json Input")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"{text} cannot be written as JSON again")
    return found
