"""The how-to about hooks on calls to the core (core-calls.md)."""

from __future__ import annotations

import pytest
from requests import PreparedRequest
from support.documentation import Namespace, page_fixture

pytestmark = pytest.mark.embedded_core  # the page configures no core

namespace = page_fixture("howto/core-calls.md")


def test_calls_are_measured_and_carry_the_trace_of_their_request(namespace: Namespace) -> None:
    sent = []

    def keep(core_request: PreparedRequest) -> None:
        sent.append(dict(core_request.headers))

    namespace["stsession"].before_core_request(keep)
    client = namespace["app"].test_client()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.post("/login", headers={"st-auth-mode": "cookie", "traceparent": trace})
    assert client.get("/user").json == {"userId": "alice"}
    assert {headers["X-Client"] for headers in sent} == {"shop"}
    assert trace in [headers.get("traceparent") for headers in sent]
    assert len(namespace["durations"]["/recipe/session"]) == 1
