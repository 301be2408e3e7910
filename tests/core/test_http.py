"""The transport: what it sends, how it reads responses, and how it treats connections and secrets."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from support.scripted_core import FakeClock, ScriptedCore, refusing, reply, reply_and_close

from flask_stsession.core.http import CoreCall, CoreTransport
from flask_stsession.errors import ConfigError, CoreError, STSessionError

from .conftest import ACT, API_KEY, ASK, TOKEN, MakeCore, MakeTransport, refusal

# What is sent


def test_a_request_carries_the_key_the_version_the_recipe_and_json(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    request = CoreCall("PUT", "/x", content=b"{}", rid="userroles", cdi_version="5.4")
    make_transport(api_key=API_KEY).send(request)
    headers = core.received[0].headers
    assert {name: headers.get(name) for name in ("api-key", "cdi-version", "rid", "content-type")} == {
        "api-key": API_KEY,
        "cdi-version": "5.4",
        "rid": "userroles",
        "content-type": "application/json; charset=utf-8",
    }


def test_no_key_and_no_version_means_no_such_header(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    make_transport().send(ASK)
    assert {"api-key", "cdi-version", "rid", "content-type"}.isdisjoint(core.received[0].headers)


@pytest.mark.parametrize("base", ["/appid-x", "/appid-x/", "/some/path//"])
def test_the_base_path_goes_before_every_path(
    base: str, core: ScriptedCore, make_transport: MakeTransport
) -> None:
    make_transport(hosts=[core.url + base]).send(ASK)
    assert core.requests == [f"GET {base.rstrip('/')}/recipe/roles"]


def test_neither_proxies_nor_netrc_of_the_environment_see_or_replace_the_key(
    core: ScriptedCore,
    make_core: MakeCore,
    make_transport: MakeTransport,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    proxy = make_core()
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    make_transport(api_key=API_KEY).send(ASK)
    assert proxy.connections == 0
    assert "authorization" not in core.received[0].headers


def test_a_proxy_is_used_where_it_is_set(make_core: MakeCore, make_transport: MakeTransport) -> None:
    proxy = make_core()
    transport = make_transport(
        hosts=["http://core.invalid:3567"], proxy=proxy.url.replace("//", "//me:hidden@"), api_key=API_KEY
    )
    for _ in range(2):
        transport.send(ASK)
    assert proxy.requests == ["GET /recipe/roles"] * 2
    assert proxy.received[0].headers["host"] == "core.invalid:3567"
    assert proxy.received[0].headers["proxy-authorization"] == "Basic bWU6aGlkZGVu"
    assert proxy.connections == 1


def test_a_proxy_that_does_not_answer_is_named_without_its_password(make_transport: MakeTransport) -> None:
    with refusing() as dead:
        transport = make_transport(hosts=["http://core.invalid"], proxy=dead.replace("//", "//me:hidden@"))
        assert refusal(transport) == (
            "The core did not answer GET /recipe/roles. http://core.invalid: the proxy on the way to it does "
            "not connect us. Check STSESSION_CORE_PROXY, and that the proxy may reach the core."
        )


def test_redirects_are_not_followed_with_the_key(
    core: ScriptedCore, make_core: MakeCore, make_transport: MakeTransport
) -> None:
    elsewhere = make_core()
    core.will(reply({}, status=302, headers={"Location": f"http://me:pw@{elsewhere.url[7:]}/x?token=abc"}))
    assert refusal(make_transport(api_key=API_KEY)) == (
        f"GET /recipe/roles at {core.url} was refused with 302: a redirect to '{elsewhere.url}/x'. Redirects "
        "are not "
        "followed, since they would carry the API key elsewhere: put the final address into "
        "STSESSION_CONNECTION_URI."
    )
    assert elsewhere.connections == 0


def test_a_redirect_without_a_target_is_refused_like_any_other(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.will(reply({}, status=307, headers={"Location": "http://[::"}))
    assert "was refused with 307: a redirect to 'an address that cannot be read'." in refusal(
        make_transport()
    )


def test_cookies_of_a_load_balancer_are_not_kept(core: ScriptedCore, make_transport: MakeTransport) -> None:
    core.will(reply({}, headers={"Set-Cookie": "sticky=1; Path=/"}))
    transport = make_transport()
    transport.send(ASK)
    transport.send(ASK)
    assert "cookie" not in core.received[1].headers


@pytest.mark.parametrize("key", ["with space", "line\nend", "ümlaut", "key\r"])
def test_a_key_that_does_not_fit_into_a_header_is_refused_without_showing_it(key: str) -> None:
    position = next(index for index, c in enumerate(key, 1) if not "!" <= c <= "~")
    with pytest.raises(ConfigError) as caught:
        CoreTransport(hosts=["http://localhost"], api_key=key)
    assert str(caught.value) == (
        f"STSESSION_API_KEY: character {position} of {len(key)} is not printable ASCII, so the key "
        "cannot be sent in a header; look for a stray space or line end."
    )


@pytest.mark.parametrize("host", ["http://", "ftp://core", "core:3567", "http://[::1"])
def test_an_invalid_address_is_a_config_error(host: str, make_transport: MakeTransport) -> None:
    with pytest.raises(
        ConfigError, match=r"^STSESSION_CONNECTION_URI: .* is not the address of a core; write for"
    ):
        make_transport(hosts=[host]).send(ASK)


# Responses


def test_a_refusal_has_method_path_status_and_message_of_the_core(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.will(reply(raw=b"Field name 'userId' is invalid in JSON input", status=400))
    with pytest.raises(CoreError) as caught:
        make_transport().send(ACT)
    assert str(caught.value) == (
        f"POST /recipe/session at {core.url} was refused with 400: "
        "\"Field name 'userId' is invalid in JSON input\""
    )
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("status", "key", "raw", "words"),
    [
        (
            401,
            None,
            b"Invalid API key",
            "'Invalid API key'. The core requires an API key: check STSESSION_API_KEY.",
        ),
        (
            401,
            API_KEY,
            b"Invalid API key",
            "'Invalid API key'. The core rejects our API key: check STSESSION_API_KEY.",
        ),
        (
            404,
            None,
            b"Not found",
            "'Not found'. Is the path in STSESSION_CONNECTION_URI right, and is the core new enough?",
        ),
        (402, None, b"", "no reason given"),
        (405, None, b"Method\r\nnot   supported\x00", "'Method not supported'"),
    ],
)
def test_a_refusal_names_the_setting_to_check(
    status: int, key: str | None, raw: bytes, words: str, core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.always({})
    core.will(reply(raw=raw, status=status))
    assert refusal(make_transport(api_key=key)) == (
        f"GET /recipe/roles at {core.url} was refused with {status}: {words}"
    )
    assert len(core.received) == 1


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "not JSON, but nothing"),
        (b"<html>\n <body>Welcome</body>", "not JSON, but '<html> <body>Welcome</body>'"),
        (b'{"status": "OK", "token": "abc', "not JSON, but 30 bytes of unexpected JSON"),
        (b"\xff\xfe\x00", "not JSON, but '��'"),
        (b"[1]", "JSON that is not an object, but list"),
        (b"null", "JSON that is not an object, but NoneType"),
        (b"[" * 100_000, "not JSON, but 100000 bytes of unexpected JSON"),
    ],
)
def test_a_response_without_the_expected_json_is_an_outage_that_shows_what_it_was(
    raw: bytes, told: str, core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.will(reply(raw=raw), reply(raw=raw))
    assert refusal(make_transport()) == (
        f"The core did not answer GET /recipe/roles. {core.url}: {told.strip()}. Is STSESSION_CONNECTION_URI "
        "the "
        "address of a SuperTokens core?"
    )


@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize(
    "echo",
    [
        f"you sent {TOKEN} with {API_KEY}!",
        f'{{"accessToken": "{TOKEN}", "key": "{API_KEY}"',
        "padding " * 9000 + TOKEN + API_KEY,
        "x" * 65520 + " " + API_KEY * 3,
        TOKEN.replace(".", "/").replace("/", "\\/"),
    ],
    ids=["echo", "cut", "long", "at the end", "escaped"],
)
def test_a_host_that_echoes_what_we_send_gets_no_secret_into_a_message_or_log(
    status: int,
    echo: str,
    core: ScriptedCore,
    make_transport: MakeTransport,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    core.always({})
    core.answers[""] = reply(raw=echo.encode(), status=status)
    transport = make_transport(api_key=API_KEY)
    with pytest.raises(STSessionError) as caught:
        transport.send(CoreCall("POST", "/x", content=TOKEN.encode(), repeatable=True))
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(transport)
    assert API_KEY not in told
    assert API_KEY[:12] not in told
    assert not re.search("x{32}|y{32}|eyJh", told)
    assert len(str(caught.value)) < 500


def test_name_and_password_in_an_address_are_not_shown(make_transport: MakeTransport) -> None:
    with refusing() as dead:
        transport = make_transport(hosts=[dead.replace("//", "//me:hidden@")])
        message = refusal(transport)
        assert message == (
            f"The core did not answer GET /recipe/roles. {dead}: connection refused. Check "
            "STSESSION_CONNECTION_URI, and that the core runs."
        )
        assert repr(transport) == f"CoreTransport({dead})"


# Connections


def test_threads_have_their_own_connections_and_keep_them(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    transport = make_transport()
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait(10)
        for _ in range(10):
            transport.send(ASK)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(core.received) == 80
    assert core.connections <= 8


def test_a_connection_that_the_server_closed_is_replaced_before_anything_is_sent(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    transport = make_transport()
    core.will(reply_and_close({}))
    transport.send(ACT)
    core.wait_until_closed()
    transport.send(ACT)
    assert (len(core.received), core.connections) == (2, 2)


def test_a_connection_that_was_idle_for_long_is_replaced_before_a_call_that_must_not_be_repeated(
    core: ScriptedCore, make_transport: MakeTransport, clock: FakeClock
) -> None:
    transport = make_transport()
    transport.send(ACT)
    clock.now += 3.9
    transport.send(ACT)
    assert core.connections == 1
    clock.now += 4.1
    transport.send(ACT)
    assert (len(core.received), core.connections) == (3, 2)


def test_a_closed_transport_opens_again_when_needed(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    transport = make_transport()
    transport.close()
    transport.send(ASK)
    transport.close()
    transport.close()
    transport.send(ASK)
    assert core.connections == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_opens_its_own_connections_and_leaves_its_parents_alone(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    transport = make_transport()
    transport.send(ASK)
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                transport.send(ASK)
                transport.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    transport.send(ASK)
    assert [request.connection for request in core.received] == [1, 2, 3, 1]


def test_a_core_in_this_process_needs_no_network(
    make_transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Inside(BaseAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            response = requests.Response()
            response.status_code = 200
            response._content = f'{{"asked": "{request.url}"}}'.encode()
            return response

        def close(self) -> None:
            pass

    monkeypatch.setattr(socket, "socket", None)
    transport = make_transport(hosts=["http+embedded://core"], adapter=Inside())
    request = CoreCall("GET", "/recipe/roles", query={"a": "b c"})
    assert transport.send(request).body == {"asked": "http+embedded://core/recipe/roles?a=b+c"}
