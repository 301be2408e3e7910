"""Whatever bytes a host sends, only our own errors are raised, and promptly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from support.scripted_core import FakeClock, ScriptedCore, say

from flask_stsession.core.http import CoreCall, CoreTransport
from flask_stsession.errors import STSessionError

PIECES = (
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 204 No\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n",
    b"HTTP/1.1 301 Moved\r\nLocation: http://[::\r\n",
    b"HTTP/1.1 429 Slowly\r\nRetry-After: 99999999999999999999\r\n",
    b"HTTP/1.1 99999 x\r\n",
    b"HTTP/9.9 abc\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 1,2\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Type: text/html; charset=nope\r\n",
    b"Set-Cookie: \xff=\xfe; Domain=x\r\n",
    b"X: " + b"y" * 70_000 + b"\r\n",
    b"A: b\r\n" * 101,
    b" folded\r\n",
    b": v\r\n",
    b"\r\n",
    b"{}",
    b"5\r\nhello\r\n",
    b"zz\r\n",
    b"0\r\n\r\n",
    b"\x00\xff",
)


@pytest.fixture(scope="module")
def talker() -> Iterator[tuple[ScriptedCore, CoreTransport]]:
    """Provide a server and a transport for all examples."""
    core, clock = ScriptedCore(), FakeClock()
    transport = CoreTransport(hosts=[core.url], timeout=(1, 0.5), sleep=clock.sleep)
    yield core, transport
    transport.close()
    core.stop()


@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from(PIECES), max_size=7).map(b"".join),
        st.lists(st.sampled_from(PIECES), max_size=7).map(lambda rest: PIECES[0] + b"".join(rest)),
    ),
    repeatable=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_from_a_host_lead_to_a_result_or_to_one_of_our_errors(
    talker: tuple[ScriptedCore, CoreTransport], data: bytes, repeatable: bool
) -> None:
    core, transport = talker
    core.answers[""] = say(data)
    try:
        transport.send(CoreCall("POST", "/x", content=b"{}", repeatable=repeatable))
    except STSessionError as error:
        told = str(error)
    else:
        return
    assert core.url in told
    assert len(told) < 1000
