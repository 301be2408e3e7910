"""Send requests to a core over HTTP: hosts, time-outs, retries, and requests that are never repeated.

Every failure becomes one of our own errors, with the cause attached:

- ``CoreUnavailableError``: no host returned a usable response; an outage, 503.
- ``CoreError``: the core refused the request.
- ``ConfigError``: a setting is wrong.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import BaseAdapter
from urllib3.exceptions import HTTPError

from ..concurrency import AgeClock, PerProcess
from ..constants import API_KEY_HEADER, CDI_VERSION_HEADER, RID_HEADER
from ..errors import ConfigError, CoreError, CoreUnavailableError, Reason
from .circuit import Circuit
from .connections import CoreAdapter, read_at_most
from .failures import (
    CHECK_CORE_LOG,
    CHECK_ENCODING,
    CHECK_IS_CORE,
    CHECK_SIZE,
    CHECK_TIME_LIMIT,
    CHECK_TIMEOUT,
    Failure,
    excerpt,
    failure_of,
    shown,
)
from .hooks import CoreHooks
from .parsing import CoreReply

logger: logging.Logger = logging.getLogger("flask_stsession.core")

#: For how long (s) a host that failed is tried only after the others.
_AVOID_SECONDS = 10.0
#: The time for all attempts at one request, in read timeouts: under two, with room to report the failure.
_BUDGET_READ_TIMEOUTS = 1.9
#: A host that was given a smaller part of the usual timeout has not shown that it hangs: the second of two
#: hosts is given 0.7 of it.
_SHARE_TO_RESPOND = 0.5
#: With less time left (s) than this no request is sent.
_SHORTEST_SECONDS = 0.05
#: The pause before a host that failed is tried again, in s.
_PAUSE_SECONDS = 0.05
#: 429: the first pause (s), doubled each time; the most retries; and the longest ``Retry-After`` obeyed (s).
_RATE_LIMIT_PAUSE_SECONDS = 0.1
_RATE_LIMIT_RETRIES = 5
_RETRY_AFTER_LIMIT_SECONDS = 5.0

_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)


@dataclass(slots=True, eq=False, repr=False)  # not frozen, for the sake of the import time
class CoreCall:
    """One request to a core.

    :param path: below the address of the core, with the tenant's prefix.
    :param content: the JSON to send.
    :param rid: the recipe that it belongs to.
    :param cdi_version: the version of the interface that it is written in; ``None`` where none matters.
    :param repeatable: whether the core may execute it twice without harm.
    """

    method: str
    path: str
    query: Mapping[str, str] | None = None
    content: bytes | None = None
    rid: str | None = None
    cdi_version: str | None = None
    repeatable: bool = False


class CoreTransport:
    """Sends requests to one core, which may have several hosts.

    Keeps one pool of connections per process, made at first need. Takes nothing from the
    environment: a proxy or a ``.netrc`` meant for others would see the API key, or replace it. Only
    ``REQUESTS_CA_BUNDLE`` counts, for a private certificate authority, unless ``tls`` names one.
    Follows no redirects, keeps no cookies, and requests no content encoding.

    A host that timed out gets no requests for a while (:class:`~.circuit.Circuit`): they go to the other
    hosts, or fail at once.

    :param hosts: addresses of the core, with the base path if it has one; the first is preferred.
    :param api_key: the core's API key.
    :param timeout: how long (s) to wait for a connection, and for a complete response.
    :param max_response_bytes: the largest response that is read.
    :param proxy: the URL of the HTTP proxy on the way to the core.
    :param tls: names of files: ``ca``, authorities to trust; ``cert`` and ``key``, our own certificate.
    :param adapter: replaces the network, for a core in this process.
    :param clock: a clock for ages, in s; an :class:`~flask_stsession.concurrency.AgeClock` by default.
    :param sleep: waits for the given number of seconds.
    :param time_left: returns how long (s) the caller may still wait, for all its calls together.
    :param hooks: run around each request that is sent.
    :raises ConfigError: the API key cannot be sent in a header.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[str],
        api_key: str | None = None,
        timeout: tuple[float, float] = (2.0, 10.0),
        max_response_bytes: int = 10 * 1024 * 1024,
        proxy: str | None = None,
        tls: Mapping[str, str] | None = None,
        adapter: BaseAdapter | None = None,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        time_left: Callable[[], float] | None = None,
        hooks: CoreHooks | None = None,
    ) -> None:
        self._clock = clock or AgeClock()
        #: How long (s) the caller may still wait, for all its calls together; ``None``: no caller is limited.
        self.time_left = time_left
        self._hooks = CoreHooks() if hooks is None else hooks
        self._budget = _BUDGET_READ_TIMEOUTS * timeout[1]
        self._hosts = [_Host(host.rstrip("/"), self._clock, sum(timeout)) for host in hosts]
        self._api_key = api_key
        # The usual timeouts, where time is not short; together they fit into the budget.
        self._timeout = (min(timeout[0], self._budget - timeout[1]), timeout[1])
        self.max_response_bytes = max_response_bytes
        self._proxies = {} if proxy is None else {"http": proxy, "https": proxy}
        self._tls = dict(tls or {})
        # No requests.Session for an in-process core: libraries that mock, record or cache the requests of an
        # app patch it, and none of them is meant for this core.
        self._send = self._send_over_network if adapter is None else partial(adapter.send, stream=True)
        self._sleep = sleep
        self._headers = {"Accept": "application/json", "User-Agent": "flask-stsession"}
        if api_key is not None:
            self._headers[API_KEY_HEADER] = _sendable(api_key)
        self._sessions = PerProcess(self._new_session)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(host.shown for host in self._hosts)})"

    def send(self, call: CoreCall) -> CoreReply:
        """Send a request; after a failure, repeat it if that is safe.

        :raises CoreUnavailableError: no host returned a usable response, or the core kept returning 429.
        :raises CoreError: the core refused; the message quotes it and names the setting to check.
        """
        now = self._clock()
        left = math.inf if self.time_left is None else self.time_left()
        if left < _SHORTEST_SECONDS:
            raise _too_late(call)
        deadline = now + min(left, self._budget)
        failures: list[Failure] = []
        hosts = self._hosts if len(self._hosts) == 1 else self._in_order(call, now)
        try:
            for each in (*hosts, None):
                host = each or self._pause_before_retry(failures)
                if host is None:
                    break
                if host.circuit.opened is not None and not host.circuit.admits():
                    failures.append(host.left_alone())
                    continue
                if failures:
                    now = self._clock()
                    if deadline - now < self._timeout[1] / 20:
                        break
                result = self._try(host, call, now, deadline)
                if isinstance(result, CoreReply):
                    host.avoid_until = 0.0
                    return result
                failures.append(result)
                del result
                self._note(host, failures[-1])
                if not (call.repeatable or failures[-1].not_sent):
                    break
            raise _unavailable(call, failures, is_hurried=left < self._budget) from failures[-1].cause
        finally:
            # The tracebacks of the causes refer to this frame. If it referred to them too, their sockets
            # would stay open until the next garbage collection.
            failures.clear()

    def close(self) -> None:
        """Close this process's connections; the next request opens new ones."""
        session = self._sessions.discard()
        if session is not None:
            session.close()

    def _in_order(self, call: CoreCall, now: float) -> list[_Host]:
        """Return the hosts in the order in which to try them, by the clock at ``now``."""
        return sorted(self._hosts, key=lambda host: host.comes_last(call, now))

    def _pause_before_retry(self, failures: list[Failure]) -> _Host | None:
        """Pause, and return the host to try again after all have failed; ``None`` if there is none.

        A host that was reached may only have closed an idle connection, or be starting. One that hangs would
        only take the same time again.
        """
        again = next((each for each in failures if not (each.not_sent or each.timed_out)), None)
        if again is None:
            return None
        self._sleep(_PAUSE_SECONDS)
        return next(host for host in self._hosts if host.url == again.host)

    def _try(self, host: _Host, call: CoreCall, now: float, deadline: float) -> CoreReply | Failure:
        """Send a request to one host, and repeat it while the host returns 429.

        :param now: the current time by the clock, like ``deadline``, which limits all attempts.
        :raises CoreError: the core refused.
        """
        pause = _RATE_LIMIT_PAUSE_SECONDS
        limited = 0
        while True:
            left = max(deadline - now, 0.001)
            to_connect = min(self._timeout[0], max(left - self._timeout[1], left / 5))
            timeout = (to_connect, min(self._timeout[1], left - to_connect))
            try:
                request = self._prepare(host.url, call)
                for hook in self._hooks.before:
                    hook(request)
            except BaseException:  # an error of a hook is no outage
                host.circuit.give_back()
                raise
            try:
                response = self._send(request, timeout=timeout)
                content = read_at_most(response, self.max_response_bytes)
            except _NO_ADDRESS as error:
                host.circuit.give_back()
                raise _no_address(host.url) from error
            except (requests.RequestException, HTTPError) as error:
                return failure_of(error, host.url, timeout, self._timeout, sent_at=now)
            if host.circuit.came_back():
                logger.info("The core at %s responds again.", host.shown)
            if self._hooks.after:
                self._hooks.run_after(request, response, content)
            if response.status_code != 429:
                # In no variable: a traceback of its cause refers to this frame.
                return self._judge(response, content, host, call)
            limited += 1
            wait = max(pause * random.uniform(0.5, 1.0), _retry_after(response))  # noqa: S311
            if limited > _RATE_LIMIT_RETRIES or self._clock() + wait >= deadline:
                raise CoreUnavailableError(
                    f"The core at {host.shown} limits the rate of requests: {call.method} {call.path} "
                    f"returned 429 ({limited} times). Send fewer requests, or raise the core's limit.",
                    reason=Reason.CORE_RATE_LIMITED,
                )
            self._sleep(wait)
            now = self._clock()
            pause *= 2

    def _note(self, host: _Host, failure: Failure) -> None:
        """Note for later requests that one to a host has failed."""
        if failure.timed_out and failure.share >= _SHARE_TO_RESPOND:
            pause = host.circuit.timed_out(failure.sent_at)
            what = "No requests are sent to it for %g s; then one probes whether it is back."
        else:
            if failure.timed_out:
                host.circuit.give_back()
            else:
                host.circuit.came_back()
            host.avoid_until = self._clock() + _AVOID_SECONDS
            pause = _AVOID_SECONDS if len(self._hosts) > 1 else None
            what = "For %g s it is tried only after the other hosts."
        if pause is not None:
            logger.warning("%s: %s. %s", host.shown, failure.text, what % pause)

    def _judge(
        self, response: requests.Response, content: bytes | None, host: _Host, call: CoreCall
    ) -> CoreReply | Failure:
        """Return the JSON of a 200, or the failure if the response is not usable.

        :param content: the body; ``None`` if it is too large.
        :raises CoreError: the core refused the request.
        """
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            what = f"a response with the content encoding {encoding[:50]!r}"
            return Failure(host.url, what, CHECK_ENCODING)
        if content is None:
            return Failure(host.url, f"a response of more than {self.max_response_bytes} bytes", CHECK_SIZE)
        source = f"{call.method} {call.path} at {host.shown}"
        if response.status_code != 200:
            return self._refused(response, excerpt(content, self._api_key), host.url, source)
        try:
            body = json.loads(content)
        except (ValueError, RecursionError) as error:
            what = f"not JSON, but {excerpt(content, self._api_key) or 'nothing'}"
            return Failure(host.url, what, CHECK_IS_CORE, cause=error)
        if not isinstance(body, dict):
            what = f"JSON that is not an object, but {type(body).__name__}"
            return Failure(host.url, what, CHECK_IS_CORE)
        return CoreReply(body, source, response.headers.get("Date"))

    def _refused(self, response: requests.Response, words: str, url: str, source: str) -> Failure:
        """Return the failure of a host that could not execute the request.

        :param words: an excerpt of the body.
        :param source: the request and the host, for the message.
        :raises CoreError: the core did not want to execute it.
        """
        status = response.status_code
        if status >= 500:
            return Failure(url, f"status {status}" + (f" ({words})" if words else ""), CHECK_CORE_LOG)
        explained = self._explain(response, words or "no reason given")
        raise CoreError(f"{source} was refused with {status}: {explained}", status=status)

    def _explain(self, response: requests.Response, words: str) -> str:
        """Return the core's message on a refusal, and the setting to check."""
        status = response.status_code
        if status == 401:
            what = "The core requires an API key" if self._api_key is None else "The core rejects our API key"
            return f"{words}. {what}: check STSESSION_API_KEY."
        if 300 <= status < 400:
            target = shown(response.headers.get("Location", ""))
            return (
                f"a redirect to {target!r}. Redirects are not followed, since they would carry the API key "
                "elsewhere: put the final address into STSESSION_CONNECTION_URI."
            )
        if status == 404:
            return f"{words}. Is the path in STSESSION_CONNECTION_URI right, and is the core new enough?"
        return words

    def _prepare(self, host: str, call: CoreCall) -> requests.PreparedRequest:
        headers = dict(self._headers)
        if call.rid is not None:
            headers[RID_HEADER] = call.rid
        if call.cdi_version is not None:
            headers[CDI_VERSION_HEADER] = call.cdi_version
        if call.content is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        prepared = requests.PreparedRequest()
        try:
            prepared.prepare(
                method=call.method,
                url=host + call.path,
                params=call.query,
                headers=headers,
                data=call.content,
            )
        except _NO_ADDRESS as error:
            raise _no_address(host) from error
        return prepared

    def _send_over_network(
        self, prepared: requests.PreparedRequest, *, timeout: tuple[float, float]
    ) -> requests.Response:
        return self._sessions.get().send(prepared, timeout=timeout, allow_redirects=False, stream=True)

    def _new_session(self) -> requests.Session:
        session = _Session()
        session.trust_env = False
        session.verify = self._tls.get("ca") or os.environ.get("REQUESTS_CA_BUNDLE") or True
        if "cert" in self._tls:
            session.cert = (self._tls["cert"], self._tls.get("key", self._tls["cert"]))
        session.proxies.update(self._proxies)
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = CoreAdapter(clock=self._clock)
        for host in self._hosts:
            session.mount(host.url, adapter)
        return session


def _no_address(host: str) -> ConfigError:
    return ConfigError(
        f"STSESSION_CONNECTION_URI: {shown(host)!r} is not the address of a core; write for example "
        "'http://localhost:3567'."
    )


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return ``None``: ``requests`` would prepare the next request even when told not to follow."""
        return None


class _Host:
    """One host of the core, and its state.

    :param url: its address, without a slash at the end.
    :param clock: a clock for ages, in s.
    :param probe_seconds: how long a request to it takes at most.
    """

    def __init__(self, url: str, clock: Callable[[], float], probe_seconds: float) -> None:
        self.url = url
        #: The address as messages show it.
        self.shown = shown(url)
        self.circuit = Circuit(clock=clock, probe_seconds=probe_seconds)
        #: Until when (by the clock) it is tried only after the other hosts. Written and read whole.
        self.avoid_until = 0.0

    def comes_last(self, call: CoreCall, now: float) -> bool:
        """Return whether the other hosts are better for this request.

        A request that must not be repeated would be lost as a probe of a host that still hangs.
        """
        return now < self.avoid_until or (self.circuit.opened is not None and not call.repeatable)

    def left_alone(self) -> Failure:
        """Return the failure of a request that is not sent to this host."""
        text = f"skipped, since it timed out before (next try in {self.circuit.pause_left:.1f} s)"
        return Failure(self.url, text, CHECK_TIMEOUT, not_sent=True)


def _too_late(call: CoreCall) -> CoreUnavailableError:
    return CoreUnavailableError(
        f"{call.method} {call.path} was not sent to the core, because the time in which it had to respond is "
        "over. Earlier calls took long, or the time limit is short.",
        reason=Reason.CORE_UNREACHABLE,
    )


def _unavailable(call: CoreCall, failures: Sequence[Failure], *, is_hurried: bool) -> CoreUnavailableError:
    """Return the error of a request that no host has responded to.

    :param is_hurried: whether the caller had less time than a request usually has.
    """
    what = "; ".join(dict.fromkeys(f"{shown(failure.host)}: {failure.text}" for failure in failures))
    remedies = dict.fromkeys(
        CHECK_TIME_LIMIT if is_hurried and failure.share < 1 else failure.remedy for failure in failures
    )
    message = f"The core did not answer {call.method} {call.path}. {what}. {' '.join(remedies)}"
    if not call.repeatable and not failures[-1].not_sent:
        message += " The request may have been executed, so it was not sent again."
    return CoreUnavailableError(message, reason=Reason.CORE_UNREACHABLE)


def _sendable(api_key: str) -> str:
    for position, character in enumerate(api_key, 1):
        if not "!" <= character <= "~":
            raise ConfigError(
                f"STSESSION_API_KEY: character {position} of {len(api_key)} is not printable ASCII, so the "
                "key cannot be sent in a header; look for a stray space or line end."
            )
    return api_key


def _retry_after(response: requests.Response) -> float:
    """Return how long the core asks us to wait, in s; 0 if it gives no number (RFC 9110, 10.2.3)."""
    seconds = response.headers.get("Retry-After", "")
    if not (seconds.isascii() and seconds.isdigit()):
        return 0.0
    return min(float(seconds), _RETRY_AFTER_LIMIT_SECONDS)
