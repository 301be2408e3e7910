"""Sockets: the handshakes of WebSockets, and the connections and events of Flask-SocketIO.

Flask-SocketIO runs its handlers outside of Flask's dispatch, in a request context that it creates from the
handshake: no error handler responds to a verdict there, and no response carries a change to the client.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from flask import has_request_context

from ..errors import SessionHTTPError
from . import csrf
from .context import is_handshake, origin_of_api, this_request

if TYPE_CHECKING:
    from flask import Request

    from ..config.config import Config

logger: logging.Logger = logging.getLogger("flask_stsession")

#: Flask-SocketIO sets these attributes on the request of a handler.
_MARKS: Final = frozenset({"sid", "namespace", "event"})
_SOCKETIO: Final = "flask_socketio"


def is_event(request: Request) -> bool:
    """Return whether a handler of Flask-SocketIO is running, for a connection or an event of one."""
    # Flask-SocketIO can only call a handler once it has been imported.
    return request.__dict__.keys() >= _MARKS and _SOCKETIO in sys.modules


def is_connecting(request: Request) -> bool:
    """Return whether the ``connect`` handler of Flask-SocketIO is running."""
    return is_event(request) and request.__dict__["event"]["message"] == "connect"


def check_origin_of_socket(config: Config, request: Request) -> None:
    """Refuse a socket by cookie unless one of our pages has opened it.

    :raises UnauthorisedError: 401, because a refresh does not help; it clears nothing.
    """
    csrf.check_socket(
        request.headers,
        # JSONP (Engine.IO's parameter "j") lets a page of any site read the response.
        needs_origin=is_handshake(request) or "j" in request.args,
        allowed_origins=config.accepted_origins(origin_of_api(request)),
    )


def details_of(error: SessionHTTPError) -> dict[str, Any]:
    """Return the verdict as Flask-SocketIO sends it: the body of the HTTP response, and ``statusCode``."""
    return {**error.data, "statusCode": error.code}


def let_refuse(error: SessionHTTPError) -> None:
    """Make a verdict raised in a ``connect`` handler of Flask-SocketIO refuse the connection.

    For python-socketio, only ``ConnectionRefusedError`` is a refusal. After any other exception the client
    stays in the room of all clients and receives every broadcast. So the verdict gets a class derived from
    both.
    """
    if has_request_context() and is_connecting(this_request()):
        refusal = _refusal()
        if not isinstance(error, refusal):
            kind = type(error)
            error.__class__ = type(kind.__name__, (kind, refusal), {"__module__": kind.__module__})
        vars(error)["error_args"] = {"message": error.wire_message, "data": details_of(error)}


@contextmanager
def verdicts_refuse_connections() -> Iterator[None]:
    """Make every verdict raised in the block refuse the connection, if a ``connect`` handler is running."""
    # Not a decorator: error reporters would read the arguments, and so the tokens, from its frame.
    try:
        yield
    except SessionHTTPError as error:
        let_refuse(error)
        raise


def refused_for_fault(error: Exception) -> Exception:
    """Log why a session cannot be verified, and return the exception that refuses the connection."""
    logger.error("A connection of Flask-SocketIO is refused: its session cannot be verified.", exc_info=error)
    made: Exception = _refusal()("Internal Server Error", {"statusCode": 500})
    return made


def _refusal() -> Any:
    return sys.modules[_SOCKETIO].ConnectionRefusedError
