"""The functions that an app registers to run around each call to the core."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from flask import Flask
from support.app_factory import AppFactory
from support.scripted_core import ScriptedCore, close, refusing, reply

from flask_stsession import CoreError, CoreUnavailableError, STSession, usermetadata

METADATA = {"status": "OK", "metadata": {}}


@pytest.fixture
def core() -> Any:
    """Return a core that says what it is told to, and remembers what it was sent."""
    core = ScriptedCore()
    core.answers["/apiversion"] = reply({"versions": ["5.4"]})
    core.answers["/recipe/user/metadata"] = reply(METADATA)
    yield core
    core.stop()


def app_of(make_app: AppFactory, core: ScriptedCore) -> tuple[Flask, STSession]:
    """Return an app on that core, and its extension object."""
    app = make_app(connection_uri=core.url)
    return app, app.extensions["stsession"]


def test_headers_are_added_and_responses_seen(make_app: AppFactory, core: ScriptedCore) -> None:
    app, ext = app_of(make_app, core)
    seen: list[Any] = []

    @ext.before_core_request
    def trace(request: requests.PreparedRequest) -> None:
        request.headers["traceparent"] = "00-1"

    @ext.before_core_request
    def add(request: requests.PreparedRequest) -> None:
        request.headers["X-Seen"] = request.headers["traceparent"]

    @ext.after_core_response
    def note(response: requests.Response) -> None:
        seen.append((response.request.path_url.partition("?")[0], response.status_code, response.json()))

    with app.app_context():
        assert usermetadata.get_user_metadata("alice") == {}
    assert seen == [
        ("/apiversion", 200, {"versions": ["5.4"]}),
        ("/recipe/user/metadata", 200, METADATA),
    ]
    assert [(each.headers["traceparent"], each.headers["x-seen"]) for each in core.received] == [
        ("00-1", "00-1")
    ] * 2


def test_a_hook_may_take_the_request_beside_the_response(make_app: AppFactory, core: ScriptedCore) -> None:
    app, ext = app_of(make_app, core)
    begun: list[requests.PreparedRequest] = []
    ended: list[requests.PreparedRequest] = []
    ext.before_core_request(begun.append)

    @ext.after_core_response
    def end(request: requests.PreparedRequest, response: requests.Response) -> None:
        assert response.request is request
        ended.append(request)

    with app.app_context():
        usermetadata.get_user_metadata("alice")
    assert begun == ended
    assert len(begun) == 2


def test_every_attempt_counts_and_a_refusal_has_a_response(make_app: AppFactory, core: ScriptedCore) -> None:
    app, ext = app_of(make_app, core)
    sent: list[str | None] = []
    statuses: list[int] = []
    ext.before_core_request(lambda request: sent.append(request.method))
    ext.after_core_response(lambda response: statuses.append(response.status_code))
    versions = reply({"versions": ["5.4"]})
    core.will(versions, close, reply(METADATA), reply(raw=b"no such tenant", status=400))
    with app.app_context():
        usermetadata.get_user_metadata("alice")
        with pytest.raises(CoreError, match="no such tenant"):
            usermetadata.get_user_metadata("alice")
    assert (sent, statuses) == (["GET"] * 4, [200, 200, 400])


def test_an_error_of_a_hook_is_not_taken_for_an_outage(make_app: AppFactory, core: ScriptedCore) -> None:
    app, ext = app_of(make_app, core)
    error = requests.ConnectionError("the tracer is down")

    @ext.before_core_request
    def fail(request: requests.PreparedRequest) -> None:
        raise error

    with app.app_context(), pytest.raises(requests.ConnectionError) as caught:
        usermetadata.get_user_metadata("alice")
    assert caught.value is error
    assert core.received == []


def test_without_a_response_there_is_nothing_to_see(make_app: AppFactory) -> None:
    seen: list[Any] = []
    with refusing() as url:
        app = make_app(connection_uri=url)
        app.extensions["stsession"].after_core_response(seen.append)
        with app.app_context(), pytest.raises(CoreUnavailableError):
            usermetadata.get_user_metadata("alice")
    assert seen == []


def test_a_response_that_is_too_large_is_seen_without_its_body(
    make_app: AppFactory, core: ScriptedCore
) -> None:
    app = make_app(connection_uri=core.url, core_max_response_bytes=1024)
    bodies: list[bytes] = []
    app.extensions["stsession"].after_core_response(lambda response: bodies.append(response.content))
    core.answers["/recipe/user/metadata"] = reply({**METADATA, "metadata": {"a": "x" * 2000}})
    with app.app_context(), pytest.raises(CoreUnavailableError):
        usermetadata.get_user_metadata("alice")
    assert bodies[-1] == b""


@pytest.mark.embedded_core
def test_calls_to_the_embedded_core_are_seen_as_well(app: Flask, stsession: STSession) -> None:
    seen: list[Any] = []
    stsession.before_core_request(lambda request: seen.append(request.path_url))
    stsession.after_core_response(lambda request, response: seen.append(response.json().get("status")))
    with app.app_context():
        usermetadata.get_user_metadata("alice")
    assert seen[-2:] == ["/recipe/user/metadata?userId=alice", "OK"]


def test_hooks_that_are_registered_before_init_app_count(make_app: AppFactory) -> None:
    seen: list[Any] = []
    ext = STSession()
    ext.before_core_request(seen.append)
    app = make_app(init=False)
    ext.init_app(app)
    with app.app_context():
        usermetadata.get_user_metadata("alice")
        ext.close()
    assert seen


@pytest.mark.parametrize("name", ["before_core_request", "after_core_response"])
def test_a_hook_that_nothing_would_await_is_refused(stsession: STSession, name: str) -> None:
    async def hook(each: Any) -> None:
        raise AssertionError

    with pytest.raises(TypeError) as caught:
        getattr(stsession, name)(hook)
    assert str(caught.value) == (
        f"The {name} function must not be async, as its result is not awaited: write def, not async def."
    )


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("before_core_request", "(request)"),
        ("after_core_response", "(response) or (request, response)"),
    ],
)
def test_a_hook_of_other_parameters_is_refused(stsession: STSession, name: str, forms: str) -> None:
    with pytest.raises(TypeError) as caught:
        getattr(stsession, name)(lambda: None)
    assert str(caught.value) == f"The {name} function takes (). Give it the parameters {forms}."
