"""Serve a Flask app from a Lambda function: turn events into WSGI requests, and write the responses."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ..web.base import STATE
from .events import EventError, EventRequest, parse_event, wsgi_text
from .responses import GatewayResponse, gateway_response, malformed_event

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from flask import Flask

    from ..web.base import AppState

logger: logging.Logger = logging.getLogger("flask_stsession")

#: Keys of the WSGI environment: the event, and the context of the invocation.
EVENT_KEY: Final = "aws_lambda.event"
CONTEXT_KEY: Final = "aws_lambda.context"

#: Header names that WSGI can express. They have no underscore: ``X_Forwarded_For`` would pass for
#: ``X-Forwarded-For``.
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")
#: These no longer describe the body, which is complete and of another length.
_NOT_PASSED_ON: Final = frozenset({"content-length", "content-type", "transfer-encoding"})


def make_handler(app: Flask) -> Callable[..., GatewayResponse]:
    """Return a Lambda handler that serves an app.

    ::

        handler = make_handler(app)

    It takes the events of REST APIs, HTTP APIs (payload 1.0 and 2.0), function URLs and Application Load
    Balancers (with or without multi-value headers). ``request.environ`` has the event under
    ``"aws_lambda.event"`` and the context of the invocation under ``"aws_lambda.context"``.

    The app sees its own paths: the stage and the base path of a custom domain are in ``request.script_root``.
    Set ``STSESSION_API_GATEWAY_PATH`` where clients see another path before the app's own, for example behind
    a CDN.

    :param app: the app, with or without ``STSession``.
    :returns: ``handler(event, context=None)``. It returns a response in the shape that the gateway reads,
        and a 400 for any other event.
    """

    def handler(event: object, context: object = None) -> GatewayResponse:
        state: AppState | None = app.extensions.get(STATE)
        try:
            request = parse_event(event)
            environ = environ_of(request, None if state is None else state.config.api_gateway_path)
        except EventError as error:
            logger.warning("400 for an event: %s", error)
            return malformed_event(error)
        environ[EVENT_KEY] = event
        environ[CONTEXT_KEY] = context
        return gateway_response(request.format, *_run(app, environ))

    return handler


def environ_of(request: EventRequest, gateway_path: str | None = None) -> WSGIEnvironment:
    """Return the WSGI environment of a request (PEP 3333).

    :param gateway_path: ``STSESSION_API_GATEWAY_PATH``.
    :raises EventError: a part of the event has the wrong type.
    """
    script_name, path_info = request.mount(gateway_path)
    headers, body, scheme = request.headers, request.body, request.scheme
    host = request.host
    name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "QUERY_STRING": request.query_string,
        "SERVER_NAME": wsgi_text(name) or "lambda",
        "SERVER_PORT": port or ("443" if scheme == "https" else "80"),
        "SERVER_PROTOCOL": request.protocol,
        "REMOTE_ADDR": request.source_ip,
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
        if header not in _NOT_PASSED_ON and _NAME.fullmatch(header):
            environ[f"HTTP_{header.upper().replace('-', '_')}"] = wsgi_text(value)
    if host:
        environ.setdefault("HTTP_HOST", wsgi_text(host))
    return environ


def _run(app: WSGIApplication, environ: WSGIEnvironment) -> tuple[int, list[tuple[str, str]], bytes]:
    """Call an app, and return the status, the headers and the body of its response."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _exc_info: OptExcInfo | None = None
    ) -> Callable[[bytes], object]:
        started[:] = [(status, headers)]
        return written.append

    chunks: Iterable[bytes] = app(environ, start_response)
    try:
        written.extend(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    status, headers = started[0]
    return int(status.partition(" ")[0]), headers, b"".join(written)
