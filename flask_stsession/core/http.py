"""Requests to a core over HTTP: hosts, failover, retries and deadlines.

Which requests are sent again, after what:

=========================  ======================  ======================
what happened              repeatable              not repeatable
=========================  ======================  ======================
no connection              the next host           the next host
429                        after a pause           after a pause
reset, timeout, 5xx,       the next host, or once  never: it may have been
not the JSON that is due   more the same one       executed
any other answer           never                   never
=========================  ======================  ======================

Repeatable are GET and PUT, and the POSTs that say so. This is the one place where the exceptions of
``requests`` and ``urllib3`` become ours.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import BaseAdapter

from ..concurrency import PerProcess
from ..constants import API_KEY_HEADER, CDI_VERSION_HEADER, RID_HEADER
from ..errors import ConfigError, CoreError, CoreUnavailableError, Reason
from .connections import CoreAdapter
from .failures import CHECK_CORE_LOG, CHECK_IS_CORE, Failure, excerpt, failure_of, shown

logger = logging.getLogger("flask_stsession.core")

#: For how long (s) a host that failed is tried after the others.
_AVOID_SECONDS = 10.0
#: All attempts at one request together, in read timeouts: under two, with room for telling of it.
_BUDGET_READ_TIMEOUTS = 1.9
#: Before the same host is asked again after a failure, in s.
_PAUSE_SECONDS = 0.05
#: 429: the first pause (s), doubled each time; how often; and the longest ``Retry-After`` obeyed (s).
_RATE_LIMIT_PAUSE_SECONDS = 0.1
_RATE_LIMIT_RETRIES = 5
_RETRY_AFTER_LIMIT_SECONDS = 5.0

_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)


@dataclass(frozen=True, slots=True)
class CoreRequest:
    """One request to a core.

    :param path: below the address of the core, with the tenant's prefix.
    :param content: the JSON to send; not in the ``repr``.
    :param rid: the recipe that it belongs to.
    :param cdi_version: the version of the interface that it is written in; ``None`` where none matters.
    :param repeatable: does it do no harm if the core executes it twice?
    """

    method: str
    path: str
    query: Mapping[str, str] | None = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    rid: str | None = None
    cdi_version: str | None = None
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class CoreReply:
    """What a core answered: a verdict or a refusal, never a failure.

    :param source: which host answered which request, for messages.
    :param body: the JSON object of a 200; ``None`` with any other status.
    :param text: of a refusal, cleared of secrets.
    """

    status: int
    source: str
    body: dict[str, Any] | None = field(default=None, repr=False)
    text: str = ""

    @property
    def refuses_version(self) -> bool:
        """Does the core not speak the version that the request was written in?"""
        return self.status == 400 and "cdi-version" in self.text and "not supported" in self.text

    def json_object(self) -> dict[str, Any]:
        """The JSON object that a 200 carries.

        :raises CoreError: the core refused; the message has its words and what to look at.
        """
        if self.body is not None:
            return self.body
        raise CoreError(f"{self.source} was refused with {self.status}: {self.text}", status=self.status)


class CoreTransport:
    """Sends requests to one core, which may have several hosts.

    Keeps one pool of connections per process, made at first need. Takes nothing from the
    environment: a proxy or a ``.netrc`` meant for others would see the API key, or replace it. Only
    ``REQUESTS_CA_BUNDLE`` counts, for hosts with certificates of one's own. Redirects are not
    followed, cookies not kept.

    :param hosts: addresses of the core, with the base path if it has one; the first is preferred.
    :param api_key: of the core.
    :param timeout: how long (s) to wait for a connection, and for a whole answer.
    :param adapter: takes the place of the network, for a core in this process.
    :param clock: seconds from a clock that only goes forward.
    :param sleep: waits for so many seconds.
    :raises ConfigError: the API key cannot be sent in a header.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[str],
        api_key: str | None = None,
        timeout: tuple[float, float] = (2.0, 10.0),
        adapter: BaseAdapter | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hosts = tuple(host.rstrip("/") for host in hosts)
        self._api_key = api_key
        self._timeout = timeout
        self._adapter = adapter
        self._clock = clock
        self._sleep = sleep
        self._budget = _BUDGET_READ_TIMEOUTS * timeout[1]
        self._headers = {"Accept": "application/json", "User-Agent": "flask-stsession"}
        if api_key is not None:
            self._headers[API_KEY_HEADER] = _sendable(api_key)
        self._sessions = PerProcess(self._new_session)
        #: Until when (by the clock) a host is tried last. Written and read whole, so without a lock.
        self._avoid_until: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(shown, self._hosts))})"

    def send(self, request: CoreRequest) -> CoreReply:
        """Send a request until a host answers, as far as sending it again is safe.

        :raises CoreUnavailableError: none did, or all the core says is 429.
        """
        deadline = self._clock() + self._budget
        failures: list[Failure] = []
        try:
            for host in self._attempts(request, failures):
                if failures and deadline - self._clock() < self._timeout[1] / 20:
                    break
                result = self._try(host, request, deadline)
                if isinstance(result, CoreReply):
                    self._avoid_until.pop(host, None)
                    return result
                failures.append(result)
                self._avoid(host, result)
                del result
            raise _unavailable(request, failures) from failures[-1].cause
        finally:
            # The causes know this frame, by their tracebacks. If it knew them too, the sockets that
            # they left behind would stay open until the next garbage collection.
            failures.clear()

    def close(self) -> None:
        """Close this process's connections; the next request opens new ones."""
        session = self._sessions.discard()
        if session is not None:
            session.close()

    def _attempts(self, request: CoreRequest, failures: Sequence[Failure]) -> Iterator[str]:
        """Where to send a request next, as long as that is safe; reads what has failed so far."""
        now = self._clock()
        for host in sorted(self._hosts, key=lambda host: self._avoid_until.get(host, now) > now):
            yield host
            if not (request.repeatable or failures[-1].not_sent):
                return
        # A host that was reached may only have closed an idle connection, or be starting.
        again = next((failure for failure in failures if not failure.not_sent), None)
        if again is not None:
            self._sleep(_PAUSE_SECONDS)
            yield again.host

    def _avoid(self, host: str, failure: Failure) -> None:
        self._avoid_until[host] = self._clock() + _AVOID_SECONDS
        if len(self._hosts) > 1:
            logger.warning(
                "%s: %s. Other hosts are tried before it for %g s.",
                shown(host),
                failure.text,
                _AVOID_SECONDS,
            )

    def _try(self, host: str, request: CoreRequest, deadline: float) -> CoreReply | Failure:
        """Send a request to one host, again while it answers 429."""
        pause = _RATE_LIMIT_PAUSE_SECONDS
        answered = 0
        while True:
            timeout = self._share_of(max(deadline - self._clock(), 0.001))
            try:
                response = self._sessions.get().send(
                    self._prepare(host, request), timeout=timeout, allow_redirects=False
                )
            except _NO_ADDRESS as error:
                raise ConfigError(
                    f"STSESSION_CONNECTION_URI: {shown(host)!r} is no address of a core; write for instance "
                    "'http://localhost:3567'."
                ) from error
            except requests.RequestException as error:
                return failure_of(error, host, timeout)
            if response.status_code != 429:
                return self._judge(response, host, request)
            answered += 1
            wait = max(pause * random.uniform(0.5, 1.0), _retry_after(response))  # noqa: S311
            if answered > _RATE_LIMIT_RETRIES or self._clock() + wait >= deadline:
                raise CoreUnavailableError(
                    f"The core at {shown(host)} limits how often it is asked: {request.method} "
                    f"{request.path} was answered with 429 ({answered} times). Ask it less often, "
                    "or raise its limit.",
                    reason=Reason.CORE_RATE_LIMITED,
                )
            self._sleep(wait)
            pause *= 2

    def _share_of(self, left: float) -> tuple[float, float]:
        """What one attempt may take of the time (s) that is left: for a connection, and for the answer."""
        connect = min(self._timeout[0], max(left - self._timeout[1], left / 5))
        return connect, min(self._timeout[1], left - connect)

    def _judge(self, response: requests.Response, host: str, request: CoreRequest) -> CoreReply | Failure:
        status = response.status_code
        if status >= 500:
            words = excerpt(response.content, self._api_key)
            return Failure(host, f"status {status}" + (f" ({words})" if words else ""), CHECK_CORE_LOG)
        source = f"{request.method} {request.path} at {shown(host)}"
        if status != 200:
            return CoreReply(status, source, text=self._explain(response))
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            text = f"not JSON, but {excerpt(response.content, self._api_key) or 'nothing'}"
            return Failure(host, text, CHECK_IS_CORE, cause=error)
        if not isinstance(body, dict):
            text = f"JSON that is no object, but {type(body).__name__}"
            return Failure(host, text, CHECK_IS_CORE)
        return CoreReply(status, source, body=body)

    def _explain(self, response: requests.Response) -> str:
        """The core's words on a refusal, and what to look at."""
        words = excerpt(response.content, self._api_key) or "no reason given"
        status = response.status_code
        if status == 401:
            what = (
                "The core wants an API key" if self._api_key is None else "The core does not know our API key"
            )
            return f"{words}. {what}: check STSESSION_API_KEY."
        if 300 <= status < 400:
            target = shown(response.headers.get("Location", ""))
            return (
                f"a redirect to {target}. Redirects are not followed, since they would carry the API key "
                "elsewhere: put the final address into STSESSION_CONNECTION_URI."
            )
        if status == 404:
            return f"{words}. Has STSESSION_CONNECTION_URI the right path, and is the core new enough?"
        return words

    def _prepare(self, host: str, request: CoreRequest) -> requests.PreparedRequest:
        headers = dict(self._headers)
        if request.rid is not None:
            headers[RID_HEADER] = request.rid
        if request.cdi_version is not None:
            headers[CDI_VERSION_HEADER] = request.cdi_version
        if request.content is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        prepared = requests.PreparedRequest()
        prepared.prepare(
            method=request.method,
            url=host + request.path,
            params=request.query,
            headers=headers,
            data=request.content,
        )
        return prepared

    def _new_session(self) -> requests.Session:
        session = _Session()
        session.trust_env = False
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = self._adapter or CoreAdapter(clock=self._clock)
        for host in self._hosts:
            session.mount(host, adapter)
        return session


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Nowhere: ``requests`` would otherwise prepare the next request even when told not to follow."""
        return None


def _unavailable(request: CoreRequest, failures: Sequence[Failure]) -> CoreUnavailableError:
    told = "; ".join(dict.fromkeys(f"{shown(failure.host)}: {failure.text}" for failure in failures))
    remedies = dict.fromkeys(failure.remedy for failure in failures)
    message = f"The core did not answer {request.method} {request.path}. {told}. {' '.join(remedies)}"
    if not request.repeatable and not failures[-1].not_sent:
        message += " The request may have been executed, so it was not sent again."
    return CoreUnavailableError(message, reason=Reason.CORE_UNREACHABLE)


def _sendable(api_key: str) -> str:
    for position, character in enumerate(api_key, 1):
        if not "!" <= character <= "~":
            raise ConfigError(
                f"STSESSION_API_KEY: character {position} of {len(api_key)} is not printable ASCII, so that "
                "the key cannot be sent in a header; look for a stray space or line end."
            )
    return api_key


def _retry_after(response: requests.Response) -> float:
    """For how long the core asks us to wait, in s; 0 where it gives no number (RFC 9110, 10.2.3)."""
    told = response.headers.get("Retry-After", "")
    return min(float(told), _RETRY_AFTER_LIMIT_SECONDS) if told.isascii() and told.isdigit() else 0.0
