"""Describe failed attempts to reach a core.

Messages name the host, the path and the setting to check. They never contain a token, the API key,
the query or the text of an exception, which may quote any of them.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

#: How much of a host's text is shown.
_EXCERPT_CHARACTERS = 200
_EXCERPT_BYTES = 65536
_TOKEN_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+/\\%=-"
#: Text that looks like a token, or part of one, escaped or not. UUIDs match too.
_TOKEN_LIKE = rf"[{re.escape(_TOKEN_CHARACTERS)}]{{32,}}"

CHECK_ADDRESS = "Check STSESSION_CONNECTION_URI, and that the core runs."
CHECK_TIMEOUT = "STSESSION_CORE_TIMEOUT_SECONDS sets how long (connect, read) we wait."
CHECK_TIME_LIMIT = "No more time was left: earlier calls took long, or the function's time limit is short."
CHECK_IS_CORE = "Is STSESSION_CONNECTION_URI the address of a SuperTokens core?"
CHECK_CORE_LOG = "The core's log should say why."
CHECK_PROXY = "Check STSESSION_CORE_PROXY, and that the proxy may reach the core."
CHECK_SIZE = "STSESSION_CORE_MAX_RESPONSE_BYTES limits the size of responses."
CHECK_ENCODING = "A proxy in between must not compress responses: we do not ask for it."


class Failure(NamedTuple):
    """One attempt without a usable response.

    :param host: the address of the host.
    :param text: what happened.
    :param remedy: a sentence that names the setting to check.
    :param not_sent: whether the host certainly did not receive the request.
    :param timed_out: whether the host took longer than the timeout.
    :param share: how much of the usual timeout it was given: less than 1 where little time was left.
    :param cause: the exception, if there was one.
    :param sent_at: for a time-out: when the request was sent, by the clock of the transport.
    """

    host: str
    text: str
    remedy: str
    not_sent: bool = False
    timed_out: bool = False
    share: float = 1.0
    cause: Exception | None = None
    sent_at: float = 0.0


def failure_of(
    error: requests.RequestException | HTTPError,
    host: str,
    timeout: tuple[float, float],
    usual: tuple[float, float],
    *,
    sent_at: float = 0.0,
) -> Failure:
    """Translate an exception of ``requests``, or of the urllib3 below it.

    :param host: the address of the host.
    :param timeout: the timeouts to connect and to read, in s.
    :param usual: the same where enough time is left.
    :param sent_at: when the request was sent, by the clock of the transport.
    """
    chain = list(_chain(error))
    if isinstance(error, requests.ConnectTimeout):
        text = f"no connection within {timeout[0]:.3g} s"
        share = timeout[0] / usual[0]
        return Failure(
            host,
            text,
            CHECK_TIMEOUT,
            not_sent=True,
            timed_out=True,
            share=share,
            cause=error,
            sent_at=sent_at,
        )
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = f"its certificate is not trusted ({cause.verify_message})"
            remedy = "Name a file with its authority in STSESSION_CORE_TLS."
            return Failure(host, text, remedy, not_sent=True, cause=error)
    if isinstance(error, requests.exceptions.ProxyError):
        text = "the proxy on the way to it does not connect us"
        return Failure(host, text, CHECK_PROXY, not_sent=True, cause=error)
    # urllib3 raises these two only while there is no connection yet.
    not_sent = any(isinstance(cause, (NewConnectionError, ConnectTimeoutError)) for cause in chain)
    if not not_sent and any(isinstance(cause, (TimeoutError, requests.ReadTimeout)) for cause in chain):
        text = f"no whole response within {timeout[1]:.3g} s"
        share = timeout[1] / usual[1]
        return Failure(host, text, CHECK_TIMEOUT, timed_out=True, share=share, cause=error, sent_at=sent_at)
    return Failure(host, _what(chain, not_sent), CHECK_ADDRESS, not_sent=not_sent, cause=error)


def _what(chain: list[BaseException], not_sent: bool) -> str:
    for cause in chain:
        if isinstance(cause, socket.gaierror):
            return "the name of the host is not known"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, ssl.SSLError):
            return "the TLS connection failed"
    return "no connection" if not_sent else "the connection was cut before there was a whole response"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it wraps; urllib3 wraps by argument, ``reason`` and cause."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]


def shown(host: str) -> str:
    """Return an address as messages show it: without user name, password and query."""
    try:
        parts = urlsplit(host)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else parts.path


def excerpt(content: bytes, secret: str | None = None) -> str:
    """Return the beginning of a host's text, quoted, without anything that could be a token.

    A page may echo our request, and JSON that was cut off may hold new tokens.

    :param secret: the API key.
    :returns: the empty string if there is nothing to show.
    """
    if content.lstrip()[:1] in (b"{", b"["):
        return f"{len(content)} bytes of unexpected JSON"
    text = content[:_EXCERPT_BYTES].decode("utf-8", "replace")
    if len(content) > _EXCERPT_BYTES:
        text = text.rstrip(_TOKEN_CHARACTERS)  # the first half of a secret is not recognised as one
    if secret:
        text = text.replace(secret, "…")
    text = re.sub(_TOKEN_LIKE, "…", text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    shortened = text if len(text) <= _EXCERPT_CHARACTERS else text[:_EXCERPT_CHARACTERS] + "…"
    return repr(shortened) if shortened else ""
