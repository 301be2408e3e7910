"""Parse the events of API Gateway, function URLs and Application Load Balancers.

Events are parsed only here. What every caller needs is read at once: the format, the method and the headers.
The rest (path, query, body) is read when it is asked for; whether the path can be read is checked at once.

Sources: the payload formats 1.0 and 2.0 in the API Gateway developer guide, the Lambda guide on function
URLs, and the Elastic Load Balancing guide on Lambda targets.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn
from urllib.parse import unquote_to_bytes, urlencode

from ..errors import Reason, STSessionError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: How a gateway writes its events and reads responses. REST and WebSocket APIs use ``1.0``, function URLs
#: ``2.0``, HTTP APIs either, depending on the integration. Load balancers use ``alb``, or ``alb multi-value``
#: where multi-value headers are switched on for the target group.
Format = Literal["1.0", "2.0", "alb", "alb multi-value"]

_DEFAULT_STAGE: Final = "$default"
#: ``{name}`` or ``{name+}`` in the path of a route.
_PARAMETER = r"\{([^{}]+?)\+?\}"

#: How a load balancer writes addresses where it preserves the client's port: ``203.0.113.9:51234`` or
#: ``[2001:db8::1]:51234``.
_ADDRESS_WITH_PORT = r"\[([^\]]+)\](?::\d+)?|([^:]+):\d+"

#: Header names that WSGI can express. They have no underscore: ``X_Forwarded_For`` would pass for
#: ``X-Forwarded-For``.
_NAME = r"[A-Za-z0-9!#$%&'*+.^`|~-]+"
#: The length and the encoding no longer fit the body, which is complete; WSGI passes its type separately.
_NOT_PASSED_ON: Final = frozenset({"content-length", "content-type", "transfer-encoding"})


class EventError(STSessionError, ValueError):
    """An event has an unknown shape, or a value of the wrong type; the message names the key."""

    reason = Reason.MALFORMED


class EventRequest:
    """The HTTP request in an event.

    :param event: the whole event.
    :param context: its ``requestContext``.
    :param format_: how the gateway writes events and reads responses.
    :param method: the HTTP method, in upper case.
    :param headers: by lower-case name; repeated ones are joined by commas (RFC 9110, 5.3), cookies by
        ``; ``.
    """

    __slots__ = ("context", "event", "format", "headers", "method")

    def __init__(
        self,
        event: Mapping[str, Any],
        context: Mapping[str, Any],
        format_: Format,
        method: str,
        headers: Mapping[str, str],
    ) -> None:
        self.event: Mapping[str, Any] = event
        self.context: Mapping[str, Any] = context
        self.format: Format = format_
        self.method: str = method
        self.headers: Mapping[str, str] = headers

    @property
    def is_of_socket(self) -> bool:
        """Whether the event is the handshake of a WebSocket API, or belongs to an open connection."""
        context = self.context
        if context.get("eventType") == "CONNECT" or context.get("routeKey") == "$connect":
            return True
        # Of a connection's events, only the handshake carries headers of the client, and so a token.
        return self._is_of_connection

    @property
    def _is_of_connection(self) -> bool:
        """Whether the event is one of a WebSocket API, none of which has a method or a path."""
        return self.event.get("httpMethod") is None and "connectionId" in self.context

    @property
    def asked(self) -> str:
        """Method and path, for the log."""
        path = self.event.get("rawPath" if self.format == "2.0" else "path")
        return f"{self.method:.20} {path!r:.200}"

    @property
    def scheme(self) -> str:
        """The scheme that the client used; ``http`` behind a load balancer that does not say ``https``."""
        if not self.format.startswith("alb"):
            return "https"
        return "https" if self.headers.get("x-forwarded-proto", "").lower() == "https" else "http"

    @property
    def host(self) -> str:
        """The host that the client addressed, with its port if it has one; empty if the event has none."""
        host = self.headers.get("host") or self.context.get("domainName")
        return host if isinstance(host, str) else ""

    @property
    def origin(self) -> str:
        """Scheme and host, such as ``https://api.example.com``."""
        return f"{self.scheme}://{self.host}"

    @property
    def source_ip(self) -> str:
        """The address of the client, as the gateway saw it; empty if the event has none."""
        if self.format.startswith("alb"):
            # The load balancer adds the last one; the client may have sent the others.
            last = self.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            with_port = re.fullmatch(_ADDRESS_WITH_PORT, last)
            return last if with_port is None else with_port[1] or with_port[2]
        key = "http" if self.format == "2.0" else "identity"
        source = _mapping(self.context.get(key), f"requestContext.{key}").get("sourceIp")
        return source if isinstance(source, str) else ""

    @property
    def protocol(self) -> str:
        """The version of HTTP between client and gateway."""
        if self.format == "2.0":
            protocol = _mapping(self.context.get("http"), "requestContext.http").get("protocol")
        else:
            protocol = self.context.get("protocol")
        return protocol if isinstance(protocol, str) and protocol else "HTTP/1.1"

    @property
    def query_string(self) -> str:
        """The query, encoded, as WSGI wants it.

        :raises EventError: it is not text.
        """
        if self.format == "2.0":
            return wsgi_text(_text(self.event.get("rawQueryString", ""), "rawQueryString"))
        if self.format == "1.0":
            return urlencode(list(self._query_pairs()), errors="replace")
        # A load balancer passes names and values on as they came, still encoded.
        return wsgi_text("&".join(f"{name}={value}" for name, value in self._query_pairs()))

    def _query_pairs(self) -> Iterator[tuple[str, str]]:
        key = "multiValueQueryStringParameters"
        several = _mapping(self.event.get(key), key)
        for name, values in several.items():
            for value in _list(values, key):
                yield _text(name, key), _text(value, key)
        if not several:
            key = "queryStringParameters"
            for name, value in _mapping(self.event.get(key), key).items():
                yield _text(name, key), _text(value, key)

    @property
    def body(self) -> bytes:
        """The body.

        :raises EventError: it is not text, or not the base64 that the event says it is.
        """
        body, is_encoded = self.event.get("body"), self.event.get("isBase64Encoded")
        if is_encoded not in (True, False, None):
            _refuse("isBase64Encoded", "true or false", is_encoded)
        if body is None:
            return b""
        text = _text(body, "body")
        if not is_encoded:
            return text.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise EventError("The event's body is not base64, though isBase64Encoded is true.") from error

    def mount(self, gateway_path: str | None = None) -> tuple[str, str]:
        """Return where the app is mounted and the path below, decoded: ``SCRIPT_NAME`` and ``PATH_INFO``.

        The stage and the base path of a custom domain may come before the app's own path, depending on the
        gateway, the payload format and the domain. The matched route shows which part belongs to the app.

        :param gateway_path: ``STSESSION_API_GATEWAY_PATH``: the path that clients see before the app's own.
            ``None``: the one in the event.
        :raises EventError: a path is not text.
        """
        path = _decoded(self._raw_path())
        before = self._before_route(path)
        if before is None:
            before = self._stage if _begins_with(path, self._stage) and self._path_has_stage else ""
        # Payload 1.0 also has the path that the client requested, with the stage.
        asked = self.context.get("path") if self.format == "1.0" else None
        root = before
        if isinstance(asked, str):
            # The root of a stage comes as "/dev" with the path "/".
            whole, own = _decoded(asked).rstrip("/"), path.rstrip("/")
            if whole.endswith(own):
                root = whole[: len(whole) - len(own)] + before
        below = path[len(before) :]
        if gateway_path and not root.endswith(gateway_path) and _begins_with(below, gateway_path):
            # Something in front of the gateway added it, for example a CDN.
            below = below[len(gateway_path) :]
        return root if gateway_path is None else gateway_path, below or "/"

    def environ(self, gateway_path: str | None = None) -> WSGIEnvironment:
        """Return the request as a WSGI environment (PEP 3333).

        :param gateway_path: ``STSESSION_API_GATEWAY_PATH``.
        :raises EventError: a part of the event is of a wrong type.
        """
        script_name, path_info = self.mount(gateway_path)
        headers, body, scheme = self.headers, self.body, self.scheme
        host = self.host
        name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "")
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": script_name,
            "PATH_INFO": path_info,
            "QUERY_STRING": self.query_string,
            "SERVER_NAME": wsgi_text(name) or "lambda",
            "SERVER_PORT": port or ("443" if scheme == "https" else "80"),
            "SERVER_PROTOCOL": self.protocol,
            "REMOTE_ADDR": self.source_ip,
            "CONTENT_TYPE": wsgi_text(headers.get("content-type", "")),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scheme,
            "wsgi.input": io.BytesIO(body),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for header, value in headers.items():
            if header not in _NOT_PASSED_ON and re.fullmatch(_NAME, header):
                environ[f"HTTP_{header.upper().replace('-', '_')}"] = wsgi_text(value)
        if host:
            environ.setdefault("HTTP_HOST", wsgi_text(host))
        return environ

    def _raw_path(self) -> str:
        key = "rawPath" if self.format == "2.0" else "path"
        path = self.event.get(key)
        if path is None and self._is_of_connection:
            path = "/"
        path = _text(path, key)
        return path if path.startswith("/") else f"/{path}"

    @property
    def _stage(self) -> str:
        """The stage as a path prefix; empty for the default stage, which is in no path."""
        stage = self.context.get("stage")
        return f"/{stage}" if isinstance(stage, str) and stage not in ("", _DEFAULT_STAGE) else ""

    @property
    def _path_has_stage(self) -> bool:
        """Whether the path begins with the stage, as in an HTTP API but not in a REST API."""
        return self.format == "2.0" or self.event.get("version") == "1.0"

    def _route(self) -> str:
        """Return the path of the route that has matched; empty if the event does not name it."""
        if self.format == "2.0":
            return _text(self.event.get("routeKey", ""), "routeKey").rpartition(" ")[2]
        return _text(self.event.get("resource") or "", "resource") if self.format == "1.0" else ""

    def _path_parameters(self) -> Mapping[Any, Any]:
        return _mapping(self.event.get("pathParameters"), "pathParameters")

    def check_path(self) -> None:
        """Refuse a path of a wrong type before a handler runs: cookies are set on the path of a request.

        :raises EventError: a part of the event that holds the path is of a wrong type.
        """
        self._raw_path()
        self._route()
        self._path_parameters()

    def _before_route(self, path: str) -> str | None:
        """Return the part of a path before the part that the route matched.

        :returns: ``None`` if the route does not show it; ``$default`` does not.
        """
        route = self._route()
        if not route.startswith("/"):
            return None
        values = self._path_parameters()
        if not all(isinstance(values.get(name), str) for name in re.findall(_PARAMETER, route)):
            return None
        matched = _decoded(re.sub(_PARAMETER, lambda name: values[name[1]], route)).rstrip("/")
        trimmed = path.rstrip("/")
        return trimmed[: len(trimmed) - len(matched)] if trimmed.endswith(matched) else None


def parse_event(event: object) -> EventRequest:
    """Return the HTTP request in an event.

    :param event: what the Lambda runtime passes to a handler; also that of a REQUEST authorizer.
    :raises EventError: it is not an event of API Gateway, a function URL or a load balancer.
    """
    if not isinstance(event, Mapping):
        _refuse("", "an object", event)
    context = _mapping(event.get("requestContext"), "requestContext")
    version = event.get("version")
    if version not in (None, "1.0", "2.0"):
        raise EventError(f"The event has the unknown version {str(version)[:20]!r}; 1.0 and 2.0 are known.")
    format_ = format_of(event)
    if format_ == "2.0":
        method = _mapping(context.get("http"), "requestContext.http").get("method")
    else:
        method = event.get("httpMethod")
        if method is None and format_ == "1.0" and "connectionId" in context:
            method = "GET"  # of a handshake
    if not isinstance(method, str) or not method:
        key = "requestContext.http.method" if format_ == "2.0" else "httpMethod"
        _refuse(key, "the method of an HTTP request", method)
    request = EventRequest(event, context, format_, method.upper(), _headers(event, format_))
    request.check_path()
    return request


def format_of(event: object) -> Format:
    """Return the format of an event, as far as the event shows it; ``1.0`` if it does not."""
    if not isinstance(event, Mapping):
        return "1.0"
    if event.get("version") == "2.0":
        return "2.0"
    context = event.get("requestContext")
    if not isinstance(context, Mapping) or "elb" not in context:
        return "1.0"
    return "alb multi-value" if isinstance(event.get("multiValueHeaders"), Mapping) else "alb"


def _headers(event: Mapping[str, Any], format_: Format) -> dict[str, str]:
    found: dict[str, str] = {}
    if format_ != "2.0":
        for name, values in _mapping(event.get("multiValueHeaders"), "multiValueHeaders").items():
            for value in _list(values, "multiValueHeaders"):
                _add(found, name, value, "multiValueHeaders")
    before = frozenset(found)
    for name, value in _mapping(event.get("headers"), "headers").items():
        if not before or not isinstance(name, str) or name.lower() not in before:
            _add(found, name, value, "headers")
    if format_ == "2.0":
        cookies = _list(event.get("cookies"), "cookies")
        if cookies:
            # Function URLs send them in ``headers`` as well.
            found["cookie"] = "; ".join([_text(cookie, "cookies") for cookie in cookies])
    return found


def _add(found: dict[str, str], name: object, value: object, key: str) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        _refuse(key, "text for names and values", value if isinstance(name, str) else name)
    name = name.lower()
    present = found.get(name)
    if present is not None:
        value = f"{present}{'; ' if name == 'cookie' else ','}{value}"
    found[name] = value


def _mapping(value: object, key: str) -> Mapping[Any, Any]:
    """Return an object of the event; ``null`` counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _refuse(key, "an object", value)
    return value


def _list(value: object, key: str) -> list[Any] | tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        _refuse(key, "a list", value)
    return value


def _text(value: object, key: str) -> str:
    if not isinstance(value, str):
        _refuse(key, "text", value)
    return value


def _refuse(key: str, expected: str, value: object) -> NoReturn:
    # The type only: the value may be a token.
    where = f"{key!r} of the event" if key else "the event"
    raise EventError(f"{where} must be {expected}, not {type(value).__name__}.")


def _begins_with(path: str, prefix: str) -> bool:
    return bool(prefix) and (path == prefix or path.startswith(f"{prefix}/"))


def _decoded(path: str) -> str:
    return unquote_to_bytes(path.encode("utf-8", "surrogatepass")).decode("latin-1")


def wsgi_text(text: str) -> str:
    """Return text as WSGI wants it, one character for each octet (PEP 3333).

    A lone surrogate becomes ``?``: Werkzeug decodes a query strictly.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("latin-1")
