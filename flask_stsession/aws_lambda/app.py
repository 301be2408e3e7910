"""Serve a Flask app from a Lambda function: turn events into WSGI requests, and write the responses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ..web.context import find_app_state
from .events import EventError, parse_event
from .invocations import time_for_core
from .responses import GatewayResponse, gateway_response, malformed_event

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from flask import Flask


logger: logging.Logger = logging.getLogger("flask_stsession")

#: Keys of the WSGI environment: the event, and the context of the invocation.
EVENT_KEY: Final = "aws_lambda.event"
CONTEXT_KEY: Final = "aws_lambda.context"


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

    Calls to the core by the thread of an invocation end half a second before the invocation times out.

    :param app: the app, with or without ``STSession``.
    :raises TypeError: it is not an app.
    :returns: ``handler(event, context=None)``. It returns a response in the shape that the gateway reads,
        and a 400 for any other event.
    """
    if not callable(getattr(app, "wsgi_app", None)):
        raise TypeError(
            f"make_handler() takes a Flask app, not {app!r:.100}: write make_handler(app), or "
            "make_handler(create_app()) with a factory."
        )

    def handler(event: object, context: object = None) -> GatewayResponse:
        state = find_app_state(app)
        try:
            request = parse_event(event)
            environ = request.environ(None if state is None else state.config.api_gateway_path)
        except EventError as error:
            logger.warning("400 for an event: %s", error)
            return malformed_event(error, event)
        environ[EVENT_KEY] = event
        environ[CONTEXT_KEY] = context
        if state is None:
            return gateway_response(request.format, *_run(app, environ))
        with state.time_limit.within(time_for_core(context)):
            return gateway_response(request.format, *_run(app, environ))

    return handler


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
