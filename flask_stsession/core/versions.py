"""Agreeing with a core on a version of its interface."""

from __future__ import annotations

import threading

from ..constants import CDI_VERSIONS
from ..errors import CoreError, CoreUnavailableError, STSessionError
from .answers import Answer
from .http import CoreRequest, CoreTransport
from .per_process import PerProcess


def parse_version(version: str) -> tuple[int, int]:
    """``"5.4"`` as numbers, so that versions compare as they should.

    :raises ValueError: it is no version.
    """
    major, minor = version.split(".")
    return int(major), int(minor)


class _Flight:
    """One negotiation, and those who wait for what comes of it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.version: str | None = None
        self.error: STSessionError | None = None


class _Flights:
    """At most one negotiation at a time in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.current: _Flight | None = None


def _landed(flight: _Flight) -> str:
    """What another thread's negotiation came to, told as if we had asked."""
    error = flight.error
    if flight.version is not None:
        return flight.version
    if isinstance(error, CoreError):
        raise CoreError(error.message, status=error.status) from error
    message = "Asking the core for its versions was cut short." if error is None else error.message
    raise CoreUnavailableError(message, reason=None if error is None else error.reason) from error


class VersionNegotiator:
    """Knows the version to speak, and finds it out at first need.

    Whoever needs the version while another thread is asking waits for that answer and shares it,
    failure included; once it is known, nobody takes a lock.

    :param transport: carries the question.
    :param pinned: the version to speak without asking.
    :param api_domain: told to the core with the question.
    :param website_domain: likewise.
    """

    def __init__(
        self,
        transport: CoreTransport,
        *,
        pinned: str | None = None,
        api_domain: str | None = None,
        website_domain: str | None = None,
    ) -> None:
        self._transport = transport
        self._known = pinned
        self._query = {
            key: value
            for key, value in (("apiDomain", api_domain), ("websiteDomain", website_domain))
            if value
        }
        self._flights = PerProcess(_Flights)
        self.pinned = pinned is not None

    def current(self) -> str:
        """The version to speak.

        :raises CoreUnavailableError: the core cannot be asked.
        :raises CoreError: there is no version that both sides know.
        """
        known = self._known
        return self._share_a_flight() if known is None else known

    def renegotiate(self, refused: str) -> str:
        """The version to speak now that the core has refused one.

        :param refused: that one; if it is not the current one any more, somebody has asked already.
        """
        if self._known == refused:
            self._known = None
        return self.current()

    def _share_a_flight(self) -> str:
        flights = self._flights.get()
        with flights.lock:
            others = flights.current
            flight = flights.current = others or _Flight()
        if others is not None:
            others.done.wait()
            return _landed(others)
        try:
            flight.version = self._known = self._ask()
        except STSessionError as error:
            flight.error = error
            raise
        finally:
            with flights.lock:
                flights.current = None
            flight.done.set()
        return flight.version

    def _ask(self) -> str:
        request = CoreRequest("GET", "/apiversion", query=self._query, repeatable=True)
        reply = self._transport.send(request)
        answer = Answer(reply.json_object(), reply.source)
        theirs = answer.texts("versions")
        common = [version for version in CDI_VERSIONS if version in theirs]
        if not common:
            raise CoreError(
                f"{reply.source} was answered with the CDI versions {', '.join(theirs) or '(none)'}; this "
                f"package speaks {', '.join(CDI_VERSIONS)}. Run a core whose versions overlap with these."
            )
        return max(common, key=parse_version)
