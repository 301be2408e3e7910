"""How the value of one setting is read: typed values, and the strings of an environment.

Flask's ``from_prefixed_env`` decodes what is JSON and leaves the rest as text, so ``30`` may come
as a number or as text. What can mean one thing only is understood, anything else is refused by a
:class:`~flask_stsession.errors.ConfigError` that shows both spellings of a value that would do.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import reprlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from ..errors import ConfigError
from .domains import is_local_host, is_shell_origin, is_shell_url, origin_of, split_url

PREFIX: Final = "STSESSION_"
ENVIRONMENT_PREFIX: Final = "FLASK_"
EMBEDDED: Final = "embedded:"

_PATH = re.compile(r"(/[A-Za-z0-9._~@:+=-]+)*")
_COOKIE_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,64}")
_ENDPOINT = re.compile(r"[\w-]+(\.[\w-]+)*")


def show(value: object) -> str:
    """The value as a message may quote it: one line, not too long."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 120
    try:
        return short.repr(value)
    except ValueError:  # an int of more digits than Python agrees to print
        return f"<{type(value).__name__}>"


def spelled(key: str, value: object) -> str:
    """How to set a key to a value, in Python and in the environment."""
    as_json = shlex.quote(json.dumps(value))
    return f"{key} = {value!r} (in the environment: {ENVIRONMENT_PREFIX}{key}={as_json})"


@dataclass(frozen=True)
class Given:
    """A value that was given for a key.

    :param key: with its prefix.
    :param example: a value that would do.
    :param secret: never show the value.
    """

    key: str
    value: Any
    example: object
    secret: bool = False

    def refused(self, problem: str, example: object = None) -> ConfigError:
        """The error that names key, value, problem and what to write instead."""
        parts = self.value if isinstance(self.value, (list, tuple)) else [self.value]
        # An @ may follow a password that slipped into a URL.
        hidden = self.secret or any(isinstance(part, str) and "@" in part for part in parts)
        shown = "(not shown)" if hidden else show(self.value)
        remedy = spelled(self.key, self.example if example is None else example)
        return ConfigError(f"{self.key} = {shown}: {problem}. Write for example {remedy}.")

    def decoded(self) -> Any:
        """The value, or what it says as JSON if it is text that is JSON."""
        if not isinstance(self.value, str):
            return self.value
        try:
            return json.loads(self.value)
        except (ValueError, RecursionError):
            return self.value


Parser = Callable[[Given], Any]


def key(parse: Parser, doc: str, *, example: object = None, otherwise: str = "") -> dict[str, Any]:
    """What makes a field a key of the configuration; one that is not in ``repr`` is never shown.

    :param example: a value that would do, for messages; the default, if not given.
    :param otherwise: what its absence means, in words.
    """
    return {"parse": parse, "doc": doc, "example": example, "otherwise": otherwise}


class Setting(NamedTuple):
    """One key, for documentation."""

    key: str
    default: str
    doc: str


def key_of(name: str) -> str:
    """The key of the field with this name."""
    return PREFIX + name.upper()


def no_such_key(key: str, known: Sequence[str]) -> ConfigError:
    """The error of a key that does not exist; its value stays out of it, it may be a misspelt API key."""
    names = [each.removeprefix(PREFIX) for each in known]
    close = difflib.get_close_matches(key[:100].removeprefix(PREFIX).upper(), names, n=1)
    hint = f"Did you mean {PREFIX}{close[0]}?" if close else f"The keys are {', '.join(known)}."
    return ConfigError(f"There is no setting {key[:100]!r}. {hint}")


def text(given: Given) -> str:
    """Text that says something, in one line."""
    value = given.value
    if not isinstance(value, str):
        raise given.refused("it must be text")
    if not value.strip() or not value.isprintable():
        raise given.refused("it must be printable text in one line, and not empty")
    return value.strip()


def api_key(given: Given) -> str:
    """An API key: what fits into a header."""
    value = text(given)
    if not value.isascii() or " " in value:
        raise given.refused("it must be ASCII without spaces, as it goes into a header")
    return value


def boolean(given: Given) -> bool:
    """True or False."""
    value = given.decoded()
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise given.refused("it must be True or False")
    return value


def one_of(*choices: str, otherwise: str = "") -> Parser:
    """One of these words, in capitals or not.

    :param otherwise: what else will do, to say it when refusing.
    """
    spellings = {choice.lower(): choice for choice in choices}

    def parse(given: Given) -> str:
        value = given.value
        if not isinstance(value, str) or value.lower() not in spellings:
            raise given.refused(f"it must be one of {', '.join(choices)}{otherwise}")
        return spellings[value.lower()]

    return parse


def version(*versions: str) -> Parser:
    """One of these versions; an environment makes a number of ``5.4``."""

    def parse(given: Given) -> str:
        value = given.value
        named = str(value) if isinstance(value, float) else value
        if not isinstance(named, str) or named not in versions:
            raise given.refused(f"it must be one of {', '.join(versions)}")
        return named

    return parse


def function_or_one_of(*choices: str) -> Parser:
    """A function that chooses, or one of these words."""
    parse_choice = one_of(*choices, otherwise=", or a function")
    return lambda given: given.value if callable(given.value) else parse_choice(given)


def number(minimum: float, maximum: float, *, whole: bool = False, above: bool = False) -> Parser:
    """A number within bounds.

    :param whole: integers only.
    :param above: the minimum itself is too little.
    """
    kind = "a whole number" if whole else "a number"
    bounds = f"above {minimum}" if above else f"of at least {minimum}"
    problem = f"it must be {kind} {bounds} and at most {maximum}"

    def parse(given: Given) -> float:
        value = given.decoded()
        if (
            not is_number(value, whole=whole)
            or not minimum <= value <= maximum
            or (above and value == minimum)
        ):
            raise given.refused(problem)
        return value  # type: ignore[no-any-return]

    return parse


def is_number(value: object, *, whole: bool = False) -> bool:
    """Is this a finite number, and no boolean in disguise?"""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, int) or (not whole and math.isfinite(value))


def timeouts(maximum: float) -> Parser:
    """Two timeouts in seconds, to connect and to read; one number counts for both."""

    def parse(given: Given) -> tuple[float, float]:
        value = given.decoded()
        pair = (value, value) if is_number(value) else value
        if (
            not isinstance(pair, (list, tuple))
            or len(pair) != 2
            or not all(is_number(part) and 0 < part <= maximum for part in pair)
        ):
            raise given.refused(
                f"it must be two numbers of seconds, to connect and to read, above 0 and at most {maximum}"
            )
        return pair[0], pair[1]

    return parse


def names_of(*names: str) -> Parser:
    """True for all of these names, False for none, or a list of some."""

    def parse(given: Given) -> tuple[str, ...]:
        value = given.decoded()
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.lower(), (value,))
        if isinstance(value, bool):
            return names if value else ()
        if not isinstance(value, (list, tuple, set, frozenset)) or not all(name in names for name in value):
            raise given.refused(f"it must be True, False or a list of some of {', '.join(names)}")
        return tuple(name for name in names if name in value)

    return parse


def mapping(given: Given) -> Mapping[str, Any]:
    """A dict with text for keys; a read-only copy of it."""
    value = given.decoded()
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise given.refused("it must be a dict with text for keys")
    return MappingProxyType(dict(value))


def origin(given: Given) -> str:
    """Scheme and host of a website or API: ``https://api.example.com``."""
    return _origin(given, given.value)


def origins(given: Given) -> tuple[str, ...]:
    """Return one origin or several as a tuple; those of app shells (``capacitor://localhost``) as written."""
    value = given.decoded()
    several = value if isinstance(value, (list, tuple)) else (value,)
    if not several:
        raise given.refused("it must name at least one website")
    return tuple(dict.fromkeys(_website(given, each) for each in several))


def _website(given: Given, value: object) -> str:
    """Return the origin of a website, or of an app shell exactly as written."""
    if not isinstance(value, str) or not is_shell_url(value.strip()):
        return _origin(given, value)
    origin = value.strip().removesuffix("/")
    if not is_shell_origin(origin):
        raise given.refused(
            "the origin of an app shell must be written as the shell sends it: scheme in lower case and "
            "host, without a path",
            "capacitor://localhost",
        )
    return origin


def _origin(given: Given, value: object) -> str:
    if not isinstance(value, str):
        raise given.refused("it must be text, scheme and host")
    value = value.strip()
    try:
        parsed, path = split_url(value)
    except ValueError as problem:
        raise given.refused(f"it must be scheme and host, but {problem}", _with_scheme(value)) from problem
    if path.strip("/"):
        raise given.refused("it must be scheme and host only, without a path", str(parsed))
    return str(parsed)


def _with_scheme(host: str) -> str | None:
    """The URL that was probably meant by a host without scheme; ``None``: no idea."""
    scheme = "http" if is_local_host(host) else "https"
    origin_meant = None if "://" in host else origin_of(f"{scheme}://{host}")
    return None if origin_meant is None else str(origin_meant)


def core_address(given: Given) -> str:
    """Where the core is: ``embedded:…``, or http(s) URLs with ``;`` between them."""
    value = text(given)
    if value.lower().startswith(EMBEDDED):
        if "://" in value:
            raise given.refused("it must be the embedded core or URLs, not both")
        return EMBEDDED + value[len(EMBEDDED) :]
    hosts: list[str] = []
    for url in filter(str.strip, value.split(";")):
        try:
            parsed, path = split_url(url.strip())
        except ValueError as problem:
            raise given.refused(
                f"it must be {EMBEDDED}… or the URL of a core, but {problem}", _with_scheme(url.strip())
            ) from problem
        hosts.append(f"{parsed}{path.rstrip('/')}")
    if not hosts:
        raise given.refused("it names no host")
    return ";".join(dict.fromkeys(hosts))


def proxy(given: Given) -> str:
    """Return the URL of an http(s) proxy, whose user name and password are kept."""
    value = text(given)
    scheme, _, rest = value.partition("://")
    credentials, at, host = rest.rpartition("@")
    try:
        parsed, path = split_url(f"{scheme}://{host}")
    except ValueError as problem:
        raise given.refused(f"it must be the URL of a proxy, but {problem}") from problem
    if path.strip("/"):
        raise given.refused("it must be scheme, host and port only, without a path")
    if any(character in credentials for character in "/@?# "):
        raise given.refused("user name and password must be percent-encoded")
    return str(parsed).replace("://", f"://{credentials}{at}")


def url_path(given: Given) -> str:
    """A path without trailing slash; nothing for the root."""
    value = given.value
    if not isinstance(value, str):
        raise given.refused("it must be text")
    path = value.strip().strip("/")
    path = f"/{path}" if path else ""
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise given.refused("it must be a path of ASCII letters, digits and -._~@:+= between single slashes")
    return path


def cookie_domain(given: Given) -> str:
    """A domain for cookies, perhaps with a leading dot; of a URL its host counts."""
    value = text(given)
    dot = "." if value.startswith(".") else ""
    try:
        parsed, _ = split_url(value if "://" in value else f"http://{value.removeprefix('.')}")
    except ValueError as problem:
        raise given.refused(f"it must be a domain, but {problem}") from problem
    if ":" in parsed.host:
        raise given.refused("it must be a domain, which an IPv6 address is not")
    return dot + parsed.host


def optional_cookie_domain(given: Given) -> str:
    """As :func:`cookie_domain`; empty text means: without a domain."""
    return "" if given.value == "" else cookie_domain(given)


def cookie_prefix(given: Given) -> str:
    """Return text that may begin the name of a cookie."""
    value = given.value
    if not isinstance(value, str):
        raise given.refused("it must be text")
    value = value.strip()
    if not _COOKIE_PREFIX.fullmatch(value):
        raise given.refused("it must be at most 64 ASCII letters, digits and -._")
    # RFC 6265bis, 4.1.3: cookies so named need Path=/, and the refresh cookie is sent to its route only.
    if value.lower().startswith("__host-"):
        raise given.refused("browsers keep no refresh cookie of this prefix, since the cookie has a path")
    return value


def optional_number(parse: Parser) -> Parser:
    """A number, or ``None``, which is a value of its own here."""
    return lambda given: None if given.decoded() is None else parse(given)


def endpoint_or_path(given: Given) -> str:
    """An endpoint (``auth.login``) or a path of this app (``/login``)."""
    value = text(given)
    is_path = value.startswith("/") and not value.startswith("//") and "\\" not in value
    if not is_path and not _ENDPOINT.fullmatch(value):
        raise given.refused("it must be an endpoint or a path that begins with a single /")
    return value
