"""Reading a response for no longer than its timeout, however it arrives."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest
from support.scripted_core import FakeClock

from flask_stsession.core.connections import BoundedSocket


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_the_timeout_counts_from_the_first_byte_to_the_last(
    pair: tuple[socket.socket, socket.socket], clock: FakeClock
) -> None:
    ours, theirs = pair
    ours.settimeout(10)
    with BoundedSocket(ours, clock).makefile("rb") as reader:
        for _ in range(4):
            theirs.send(b"x")
            assert reader.read1(1) == b"x"
            clock.now += 2.4
        assert ours.gettimeout() == pytest.approx(10 - 3 * 2.4)
        clock.now += 1
        theirs.send(b"x")
        with pytest.raises(TimeoutError, match="timed out"):
            reader.read1(1)


def test_headers_that_trickle_in_time_out_as_well(
    pair: tuple[socket.socket, socket.socket], clock: FakeClock
) -> None:
    ours, theirs = pair
    ours.settimeout(1)
    with BoundedSocket(ours, clock).makefile("rb") as reader:
        theirs.send(b"HTTP/1.1 200 OK\r\nX-")
        assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
        clock.now += 1
        with pytest.raises(TimeoutError):
            reader.readline()


def test_without_a_timeout_there_is_no_deadline(
    pair: tuple[socket.socket, socket.socket], clock: FakeClock
) -> None:
    ours, theirs = pair
    with BoundedSocket(ours, clock).makefile("rb") as reader:
        clock.now += 1e9
        theirs.send(b"x")
        assert reader.read1(1) == b"x"


def test_the_socket_lives_until_the_response_is_read(
    pair: tuple[socket.socket, socket.socket], clock: FakeClock
) -> None:
    # http.client closes a connection that will not be kept, and still reads the response from it.
    ours, theirs = pair
    theirs.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody")
    response = http.client.HTTPResponse(BoundedSocket(ours, clock))  # type: ignore[arg-type]
    response.begin()
    ours.close()
    assert response.read() == b"body"
    assert ours.fileno() == -1
