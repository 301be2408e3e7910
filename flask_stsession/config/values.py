"""Read the value of one setting, from Python or from the strings of an environment.

Flask's ``from_prefixed_env`` decodes values that are JSON and keeps others as text, so ``30`` may
arrive as a number or as text. An unambiguous value is accepted. Any other raises a
:class:`~flask_stsession.errors.ConfigError` that shows a good value in both spellings.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from ..callables import is_asynchronous, number_taken
from ..errors import ConfigError
from ..messages import closest, quoted_for_shell, show
from .domains import is_local_host, is_shell_origin, is_shell_url, origin_of, split_url

PREFIX: Final = "STSESSION_"
ENVIRONMENT_PREFIX: Final = "FLASK_"
EMBEDDED: Final = "embedded:"

#: Types of values, in words.
_KINDS: Final = {
    "bool": "True or False",
    "dict": "a dict",
    "float": "a number",
    "int": "a number",
    "list": "a list",
    "tuple": "a list",
}

_PATH = r"(/[A-Za-z0-9._~@:+=-]+)*"
_COOKIE_PREFIX = r"[A-Za-z0-9._-]{0,64}"
_ENDPOINT = r"[\w-]+(\.[\w-]+)*"


def spelled(key: str, value: object) -> str:
    """Return how to set a key to a value, in Python and in the environment."""
    as_json = quoted_for_shell(json.dumps(value))
    return f"{key} = {value!r} (in the environment: {ENVIRONMENT_PREFIX}{key}={as_json})"


class Given(NamedTuple):
    """The value that an app has set for a key.

    :param key: with its prefix.
    :param example: a good value, for messages.
    :param secret: never show the value.
    """

    key: str
    value: Any
    example: object
    secret: bool = False

    def refused(self, problem: str, example: object = None) -> ConfigError:
        """Return an error that names the key, the value, the problem and a good value."""
        parts = self.value if isinstance(self.value, (list, tuple)) else [self.value]
        # An @ may follow a password that slipped into a URL.
        hidden = self.secret or any(isinstance(part, str) and "@" in part for part in parts)
        shown = "(not shown)" if hidden else show(self.value)
        remedy = spelled(self.key, self.example if example is None else example)
        return ConfigError(f"{self.key} = {shown}: {problem}. Write for example {remedy}.")

    def decoded(self) -> Any:
        """Return the value, decoded if it is text that is JSON."""
        if not isinstance(self.value, str):
            return self.value
        try:
            return json.loads(self.value)
        except (ValueError, RecursionError):
            return self.value


Parser = Callable[[Given], Any]


class Setting:
    """One key: how its value is read, and what the documentation says of it.

    :param parse: returns the value to use instead of the one given.
    :param doc: its meaning.
    :param default: the value if the key is not set.
    :param secret: never show its value.
    :param example: a good value, for messages; the default if omitted.
    :param otherwise: the effect of leaving the key unset, in words; the default if omitted.
    """

    #: The attribute of :class:`~.config.Config`, and the key with its prefix.
    name: str
    key: str

    def __init__(
        self, parse: Parser, doc: str, *, default: Any, secret: bool, example: object, otherwise: str
    ) -> None:
        self._parse = parse
        self._example = default if example is None else example
        self.doc = doc
        self.default = default
        self.secret = secret
        self.otherwise: str = otherwise or repr(default)

    def __set_name__(self, _owner: type, name: str) -> None:
        self.name, self.key = name, key_of(name)

    def read(self, value: object) -> Any:
        """Return the value to use instead of the one given.

        :raises ConfigError: the value is of the wrong kind.
        """
        return self._parse(Given(self.key, value, self._example, self.secret))


def setting(
    parse: Parser,
    doc: str,
    *,
    default: Any = None,
    secret: bool = False,
    example: object = None,
    otherwise: str = "",
) -> Any:
    """Return a :class:`Setting` as the type of its values, for the annotation of the attribute."""
    return Setting(parse, doc, default=default, secret=secret, example=example, otherwise=otherwise)


def key_of(name: str) -> str:
    """Return the key of the attribute with this name."""
    return PREFIX + name.upper()


def is_meant_as_key(key: object, known: Collection[str]) -> bool:
    """Return whether this is one of our keys or a misspelt one: by its prefix, or by similarity."""
    if not isinstance(key, str):
        return False
    upper = key[:100].upper()
    if key.startswith(PREFIX) or upper.removeprefix(ENVIRONMENT_PREFIX) in known:
        return True
    if not key.isascii():
        return closest(upper, known, cutoff=0.85) is not None
    names = (each.removeprefix(PREFIX) for each in known)
    return any(upper.endswith(f"_{name}") and _is_misspelt_prefix(upper.removesuffix(name)) for name in names)


def _is_misspelt_prefix(prefix: str) -> bool:
    # Flask's SESSION_, with settings that end as ours do, is less similar than that. The length is cheaper to
    # compare, and rules out most of an environment.
    return 8 < len(prefix) < 13 and closest(prefix, [PREFIX], cutoff=0.89) is not None


def meant_name(name: str, known: Collection[str], *, cutoff: float = 0.6) -> str | None:
    """Return the name that was probably meant: the same words in another order, or the most similar one.

    :param name: without its prefix, like ``known``.
    :param cutoff: the least similarity, from 0 to 1.
    """
    words = sorted(name.split("_"))
    reordered = [each for each in known if sorted(each.split("_")) == words]
    return reordered[0] if reordered else closest(name, known, cutoff=cutoff)


def no_such_key(key: str, known: Sequence[str]) -> ConfigError:
    """Return the error for an unknown key, without its value, which may be an API key."""
    names = [each.removeprefix(PREFIX) for each in known]
    key = key[:100]
    meant = meant_name(key.upper().removeprefix(ENVIRONMENT_PREFIX).partition("_")[2], names)
    hint = f"Did you mean {PREFIX}{meant}?" if meant else f"The keys are {', '.join(known)}."
    return ConfigError(f"There is no setting {key!a}. {hint}")


def _not_text(given: Given) -> ConfigError:
    """Return the error for a value that is not text, such as a number that an environment variable gave."""
    kind = type(given.value).__name__
    return given.refused(f"it must be text, not {_KINDS.get(kind, kind)}")


def text(given: Given) -> str:
    """Return one line of text without the blanks around it; refuse blank text."""
    value = given.value
    if not isinstance(value, str):
        raise _not_text(given)
    if not value.strip() or not value.isprintable():
        raise given.refused("it must be printable text in one line, and not empty")
    return value.strip()


def api_key(given: Given) -> str:
    """Return an API key, which must fit into a header."""
    value = text(given)
    if not value.isascii() or " " in value:
        raise given.refused("it must be ASCII without spaces, as it goes into a header")
    return value


def boolean(given: Given) -> bool:
    """Return True or False."""
    value = given.decoded()
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise given.refused("it must be True or False")
    return value


def one_of(*choices: str, otherwise: str = "") -> Parser:
    """Return a parser for one of these words, in upper or lower case.

    :param otherwise: the end of the message, which names other good values.
    """
    spellings = {choice.lower(): choice for choice in choices}

    def parse(given: Given) -> str:
        value = given.value
        spelling = value.strip().lower() if isinstance(value, str) else None
        if spelling not in spellings:
            raise given.refused(f"it must be one of {', '.join(choices)}{otherwise}")
        return spellings[spelling]

    return parse


def version(*versions: str) -> Parser:
    """Return a parser for one of these versions; in an environment, ``5.4`` is read as a number."""

    def parse(given: Given) -> str:
        value = given.value
        named = str(value) if isinstance(value, float) else value
        named = named.strip() if isinstance(named, str) else named
        if not isinstance(named, str) or named not in versions:
            raise given.refused(f"it must be one of {', '.join(versions)}")
        return named

    return parse


def function_or_one_of(*choices: str, parameters: Sequence[str]) -> Parser:
    """Return a parser for one of these words, or a function that returns one.

    :param parameters: the parameters of the function.
    """
    parse_choice = one_of(*choices, otherwise=", or a function")

    def parse(given: Given) -> Any:
        value = given.value
        if not callable(value):
            return parse_choice(given)
        if is_asynchronous(value):
            raise given.refused("the function must not be async, as its result is not awaited")
        try:
            number_taken(value, "the function", parameters)
        except TypeError as error:
            raise given.refused(str(error).rstrip(".")) from error
        return value

    return parse


def number(minimum: float, maximum: float, *, whole: bool = False, above: bool = False) -> Parser:
    """Return a parser for a number within bounds.

    :param whole: accept integers only.
    :param above: the number must be greater than the minimum.
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
    """Return whether this is a finite number; ``True`` and ``False`` are not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, int) or (not whole and math.isfinite(value))


def timeouts(maximum: float) -> Parser:
    """Return a parser for two timeouts (s), to connect and to read; one number sets both."""

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
    """Return a parser for True (all of these names), False (none) or a list of some."""

    def parse(given: Given) -> tuple[str, ...]:
        value = given.decoded()
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), (value.strip(),))
        if isinstance(value, bool):
            return names if value else ()
        if not isinstance(value, (list, tuple, set, frozenset)) or not all(name in names for name in value):
            raise given.refused(f"it must be True, False or a list of some of {', '.join(names)}")
        return tuple(name for name in names if name in value)

    return parse


def mapping(given: Given) -> Mapping[str, Any]:
    """Return a read-only copy of a dict whose keys are text."""
    value = given.decoded()
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise given.refused("it must be a dict with text for keys")
    return MappingProxyType(dict(value))


def origin(given: Given) -> str:
    """Return the origin of an API: scheme and host, such as ``https://api.example.com``."""
    return _origin(given, given.value)


def origins(given: Given) -> tuple[str, ...]:
    """Return one origin or several as a tuple; those of app shells (``capacitor://localhost``) as written."""
    value = given.decoded()
    if isinstance(value, str) and "," in value:
        meant = [origin_of(part.strip()) for part in value.split(",")]
        example = list(map(str, meant)) if all(meant) else None  # never a URL with a password
        raise given.refused("several websites must be a list", example)
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
    """Return the URL that a host without scheme probably means, or ``None`` if it is not a host."""
    scheme = "http" if is_local_host(host) else "https"
    origin_meant = None if "://" in host else origin_of(f"{scheme}://{host}")
    return None if origin_meant is None else str(origin_meant)


def core_address(given: Given) -> str:
    """Return the address of the core: ``embedded:…``, or http(s) URLs separated by ``;``."""
    value = text(given)
    if value.lower().startswith(EMBEDDED):
        return EMBEDDED + _database(given, value[len(EMBEDDED) :])
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


def _database(given: Given, written: str) -> str:
    """Return the database of the embedded core, unless a file would get a name that nobody means."""
    if written.startswith("//"):
        raise given.refused(
            f"{EMBEDDED} is followed by a path, without the slashes of a URL",
            f"{EMBEDDED}/{written.lstrip('/')}",
        )
    if "://" in written:
        raise given.refused("it must be the embedded core or URLs, not both")
    if written.startswith("~"):
        name = written.rpartition("/")[2]
        raise given.refused("~ is not expanded, so write the whole path", f"{EMBEDDED}/path/to/{name}")
    if ":" in written and written != ":memory:" and written.strip(":").lower() == "memory":
        raise given.refused("memory has a colon before it and one behind it", f"{EMBEDDED}:memory:")
    return written


def tls_files(given: Given) -> Mapping[str, str]:
    """Return the names of files with authorities (``ca``), a certificate (``cert``) and its key (``key``)."""
    files = mapping(given)
    for name, file in files.items():
        if name not in ("ca", "cert", "key"):
            raise given.refused(f"it has the key {name!r}, but may have only 'ca', 'cert' and 'key'")
        if not isinstance(file, str):
            raise given.refused(f"{name!r} must be the name of a file")
    if "key" in files and "cert" not in files:
        raise given.refused("'key' is the key of a certificate, but there is no 'cert'")
    return files


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


def issuer(given: Given) -> str:
    """Return the name of an issuer exactly as written: text, or a URL where it has a colon (RFC 7519, 2)."""
    value = text(given)
    if " " in value:
        raise given.refused("it must be text without blanks")
    if "://" in value:
        try:
            split_url(value)
        except ValueError as problem:
            raise given.refused(f"it must be the URL of an issuer, but {problem}") from problem
    elif ":" in value and not value.lower().startswith("urn:"):
        raise given.refused("it must be a URL, as there is a colon in it", _with_scheme(value))
    return value


def audience(given: Given) -> tuple[str, ...]:
    """Return the names of one audience or several (RFC 7519, 4.1.3), exactly as written."""
    value = given.decoded()
    several = value if isinstance(value, (list, tuple)) else (given.value,)
    if not several:
        raise given.refused("it must name at least one audience")
    for each in several:
        if not isinstance(each, str):
            raise _not_text(given._replace(value=each))
        if not each.isprintable() or not each or " " in each:
            raise given.refused("each must be printable text without blanks")
    return tuple(dict.fromkeys(several))


def url_path(given: Given) -> str:
    """Return a path without trailing slash; the root is empty."""
    value = given.value
    if not isinstance(value, str):
        raise _not_text(given)
    path = value.strip().strip("/")
    path = f"/{path}" if path else ""
    if not re.fullmatch(_PATH, path) or {".", ".."} & set(path.split("/")):
        raise given.refused("it must be a path of ASCII letters, digits and -._~@:+= between single slashes")
    return path


def host(given: Given) -> str:
    """Return a host as Flask matches it: with its port, unless that is the scheme's own."""
    value = text(given).lower()
    if origin_of(f"http://{value}") is None or "/" in value:
        raise given.refused("it must be a host, with its port if that is not the scheme's own")
    return value


def subdomain(given: Given) -> str:
    """Return a subdomain of ``SERVER_NAME``; empty for that host itself."""
    value = "" if given.value == "" else text(given).lower()
    if "/" in value or (value and origin_of(f"http://{value}.example") is None):
        raise given.refused("it must be one or several labels of a host name")
    return value


def cookie_domain(given: Given) -> str:
    """Return a domain for cookies, with its leading dot if it has one; for a URL, return its host."""
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
    """Return as :func:`cookie_domain` does; empty text means cookies without a domain."""
    return "" if given.value == "" else cookie_domain(given)


def cookie_prefix(given: Given) -> str:
    """Return text that may begin the name of a cookie."""
    value = given.value
    if not isinstance(value, str):
        raise _not_text(given)
    value = value.strip()
    if not re.fullmatch(_COOKIE_PREFIX, value):
        raise given.refused("it must be at most 64 ASCII letters, digits and -._")
    # RFC 6265bis, 4.1.3: cookies so named need Path=/, and the refresh cookie is sent to its route only.
    if value.lower().startswith("__host-"):
        raise given.refused("browsers keep no refresh cookie of this prefix, since the cookie has a path")
    return value


def optional_number(parse: Parser) -> Parser:
    """Return a parser that also accepts ``None``, as a value with a meaning of its own."""
    return lambda given: None if given.decoded() is None else parse(given)


def endpoint_or_path(given: Given) -> str:
    """Return an endpoint (``auth.login``) or a path of this app (``/login``)."""
    value = text(given)
    is_path = value.startswith("/") and not value.startswith("//") and "\\" not in value
    if not is_path and not re.fullmatch(_ENDPOINT, value):
        raise given.refused("it must be an endpoint or a path that begins with a single /")
    return value
