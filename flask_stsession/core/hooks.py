"""The functions that an app registers to run around each call to the core."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from requests import PreparedRequest, Response

from ..callables import F, number_taken, refuse_asynchronous


class CoreHooks:
    """The hooks of one extension object, in the order in which they were registered.

    They run in whatever thread makes the call: that of a request, or one that renews keys or reads sessions
    in parallel, where there is neither a request nor an app context. An exception of theirs goes to the
    caller as it is.
    """

    def __init__(self) -> None:
        #: To be called with each request that is about to be sent.
        self.before: list[Callable[[PreparedRequest], Any]] = []
        #: To be run by :meth:`run_after`, once a response has been read.
        self.after: list[Callable[[PreparedRequest, Response], Any]] = []

    def before_request(self, function: F) -> F:
        """Register ``f(request)`` and return it, as a decorator must.

        :raises TypeError: it takes other parameters, or is asynchronous.
        """
        refuse_asynchronous(function, "The before_core_request function")
        number_taken(function, "The before_core_request function", ("request",))
        self.before.append(function)
        return function

    def after_response(self, function: F) -> F:
        """Register ``f(response)`` or ``f(request, response)`` and return it, as a decorator must.

        :raises TypeError: it takes other parameters, or is asynchronous.
        """
        refuse_asynchronous(function, "The after_core_response function")
        taken = number_taken(
            function, "The after_core_response function", ("response",), ("request", "response")
        )
        takes_both = taken == 2
        self.after.append(function if takes_both else lambda _request, response: function(response))
        return function

    def run_after(self, request: PreparedRequest, response: Response, content: bytes | None) -> None:
        """Hand a response, which has been read, to the hooks.

        :param content: its body; ``None`` if that was too large to be read.
        """
        response.raw = BytesIO(content or b"")  # its ``content`` and ``json()`` work again
        for function in self.after:
            function(request, response)
