"""A request to the core, its fields, and the operations that it can reach.

The texts of the refusals are those of a SuperTokens core, as recorded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from flask_stsession.constants import PROTECTED_CLAIMS

from .errors import RequestRefusedError
from .tenancy import Scope

#: The result of an operation: a JSON object or plain text.
Answer: TypeAlias = "dict[str, Any] | str"

#: The characters that a core removes around names: those up to the space, no other white space.
_BLANKS: Final = "".join(map(chr, range(0x21)))
#: A core signs integers of 64 bits. It stores larger ones, and then cannot refresh that session.
_INTEGERS: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class CoreRequest:
    """A request whose API key, version, path and tenant have been checked.

    A field that is optional may be absent; ``null`` is a value of the wrong type.

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
        found = self.body.get(name)
        if not isinstance(found, str):
            raise invalid_field(name)
        return found

    def optional_text(self, name: str) -> str | None:
        """Return an optional string of the body."""
        return self.text(name) if name in self.body else None

    def name(self, name: str) -> str:
        """Return a required name of the body, without blanks around it."""
        return _trimmed(name, self.text(name))

    def flag(self, name: str) -> bool:
        """Return a required boolean of the body."""
        found = self.body.get(name)
        if not isinstance(found, bool):
            raise invalid_field(name)
        return found

    def optional_flag(self, name: str, *, default: bool) -> bool:
        """Return an optional boolean of the body."""
        return self.flag(name) if name in self.body else default

    def number(self, name: str) -> float:
        """Return a required number of the body."""
        found = self.body.get(name)
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise invalid_field(name)
        return found

    def optional_number(self, name: str) -> float | None:
        """Return an optional number of the body."""
        return self.number(name) if name in self.body else None

    def object(self, name: str) -> dict[str, Any]:
        """Return a required JSON object of the body."""
        found = self.body.get(name)
        if not isinstance(found, dict):
            raise invalid_field(name)
        return found

    def optional_object(self, name: str) -> dict[str, Any] | None:
        """Return an optional JSON object of the body."""
        return self.object(name) if name in self.body else None

    def claims(self, name: str) -> dict[str, Any]:
        """Return a required JSON object of the body that can be the payload of a JWT."""
        found = self.object(name)
        if not _is_signable(found):
            raise RequestRefusedError(400, f"Field name '{name}' has an integer of more than 64 bits")
        return found

    def user_payload(self, name: str) -> dict[str, Any]:
        """Return a required JSON object of the body that users may put into an access token."""
        found = self.claims(name)
        if not found.keys().isdisjoint(PROTECTED_CLAIMS):
            raise RequestRefusedError(400, "The user payload contains protected field")
        return found

    def optional_texts(self, name: str) -> list[str] | None:
        """Return an optional array of strings of the body."""
        if name not in self.body:
            return None
        found = self.body[name]
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise invalid_field(name)
        return found

    def parameter(self, name: str) -> str:
        """Return a required query parameter."""
        found = self.query.get(name)
        if found is None:
            raise RequestRefusedError(400, f"Field name '{name}' is missing in GET request")
        return found

    def flag_parameter(self, name: str, *, default: bool) -> bool:
        """Return an optional query parameter that is ``true`` or ``false``."""
        found = self.query.get(name, str(default)).lower()
        if found not in ("true", "false"):
            raise invalid_field(name)
        return found == "true"

    def count_parameter(self, name: str) -> int:
        """Return a required query parameter that is a number of up to nine digits."""
        found = self.parameter(name)
        if not (found.isascii() and found.isdigit() and len(found) < 10):
            raise invalid_field(name)
        return int(found)

    def name_parameter(self, name: str) -> str:
        """Return a required query parameter that is a name, without blanks around it."""
        return _trimmed(name, self.parameter(name))


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the interface.

    :param method: the HTTP method.
    :param path: the path without application and tenant.
    :param run: the function that executes the operation.
    :param scope: how the operation treats the tenant in the path.
    """

    method: str
    path: str
    run: Callable[[CoreRequest], Answer]
    scope: Scope = Scope.APP


def invalid_field(name: str) -> RequestRefusedError:
    """Return the refusal of a field that is missing or has the wrong type."""
    return RequestRefusedError(400, f"Field name '{name}' is invalid in JSON input")


def without_blanks(text: str) -> str:
    """Return a text without the blanks around it that a core removes."""
    return text.strip(_BLANKS)


def parse_body(raw: bytes) -> dict[str, Any]:
    """Parse the body of a request.

    :raises RequestRefusedError: it is not a JSON object.
    """
    try:
        found = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
        if b"\\ud" in raw.lower():
            # Half a surrogate pair is valid JSON and cannot be stored or signed as UTF-8.
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise RequestRefusedError(400, "Invalid Json Input") from None
    if not isinstance(found, dict):
        raise RequestRefusedError(400, "Invalid Json Input")
    return found


def _trimmed(name: str, value: str) -> str:
    found = without_blanks(value)
    if not found:
        raise RequestRefusedError(400, f"Field name '{name}' cannot be an empty String")
    return found


def _is_signable(value: object) -> bool:
    # A boolean is an integer in Python, and in range.
    if isinstance(value, int):
        return value in _INTEGERS
    if isinstance(value, dict):
        return all(map(_is_signable, value.values()))
    return not isinstance(value, list) or all(map(_is_signable, value))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"{text} cannot be written as JSON again")
    return found
