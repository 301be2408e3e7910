"""The base of all calls: negotiating a version with the core, and the tenant in the path."""

from __future__ import annotations

import threading

import pytest
from support.scripted_core import Link, ScriptedCore, close, refusing, reply

from flask_stsession.constants import CDI_VERSIONS
from flask_stsession.core import RoleCalls
from flask_stsession.core.calls import VersionNegotiator, parse_version
from flask_stsession.errors import CoreError, CoreUnavailableError, Reason

from .conftest import MakeClient, MakeTransport

CDI_ALL = ["2.7", "2.21", "3.0", "3.1", *CDI_VERSIONS]


@pytest.mark.parametrize(
    ("theirs", "agreed"),
    [
        (CDI_ALL, (5, 5)),
        (["4.0"], (4, 0)),
        (["5.3", "5.1", "5.2"], (5, 3)),
        (["5.4", "5.5", "5.7", "6.0", "5.10"], (5, 5)),
        (["5.4", "5.6"], (5, 4)),
        (["3.0", "4.0", "not a version", "", "5"], (4, 0)),
        (["5.0", "5.0"], (5, 0)),
    ],
)
def test_the_highest_version_up_to_5_5_that_both_sides_know_is_spoken(
    theirs: list[str], agreed: tuple[int, int], core: ScriptedCore, make_client: MakeClient
) -> None:
    core.answers["/apiversion"] = reply({"versions": theirs})
    client = make_client(cdi_version=None)
    assert client.cdi == agreed
    assert not client.rotates_at_refresh
    assert core.requests == ["GET /apiversion"]


def test_5_6_is_spoken_only_where_it_is_chosen(core: ScriptedCore, make_client: MakeClient) -> None:
    core.answers["/apiversion"] = reply({"versions": ["5.6"]})
    with pytest.raises(CoreError) as caught:
        RoleCalls(make_client(cdi_version=None)).list_roles()
    assert str(caught.value) == (
        f"GET /apiversion at {core.url}: the core speaks the CDI versions '5.6'. 5.6 is spoken only if it is "
        'chosen: set STSESSION_CDI_VERSION = "5.6", after reading what that means for lost responses and for '
        "several tabs."
    )
    assert make_client(cdi_version="5.6").rotates_at_refresh


@pytest.mark.parametrize(
    ("theirs", "told"), [([], "(none)"), (["2.7", "3.1"], "'2.7', '3.1'"), (["6.0\n"], "'6.0\\n'")]
)
def test_no_version_in_common_names_both_lists(
    theirs: list[str], told: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.answers["/apiversion"] = reply({"versions": theirs})
    with pytest.raises(CoreError) as caught:
        RoleCalls(make_client(cdi_version=None)).list_roles()
    assert str(caught.value) == (
        f"GET /apiversion at {core.url}: the core speaks the CDI versions {told}, this package 4.0, 5.0, "
        "5.1, 5.2, 5.3, 5.4, 5.5, 5.6. Run a core whose versions overlap with these."
    )


def test_the_versions_are_asked_for_once_and_with_the_domains(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.answers["/apiversion"] = reply({"versions": ["5.2"]})
    core.answers["/recipe/roles"] = reply({"status": "OK", "roles": []})
    client = make_client(
        cdi_version=None, api_domain="https://api.example.com", website_domain="https://example.com"
    )
    RoleCalls(client).list_roles()
    RoleCalls(client).list_roles()
    assert core.requests == ["GET /apiversion", "GET /recipe/roles", "GET /recipe/roles"]
    assert core.received[0].query == {
        "apiDomain": "https://api.example.com",
        "websiteDomain": "https://example.com",
    }
    assert "cdi-version" not in core.received[0].headers
    assert core.received[1].headers["cdi-version"] == "5.2"


def test_keys_need_no_version(core: ScriptedCore, make_client: MakeClient) -> None:
    core.always({"keys": []})
    assert make_client(cdi_version=None).get_jwks() == []
    assert core.requests == ["GET /.well-known/jwks.json"]


def test_a_pinned_version_is_not_asked_for(core: ScriptedCore, make_client: MakeClient) -> None:
    client = make_client(cdi_version="5.0")
    assert client.cdi == (5, 0)
    assert core.requests == []


def test_a_pinned_version_that_the_core_refuses_is_an_error(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.will(reply(raw=b"cdi-version 5.5 not supported", status=400))
    with pytest.raises(CoreError) as caught:
        RoleCalls(make_client(cdi_version="5.5")).list_roles()
    assert str(caught.value) == (
        f"GET /recipe/roles at {core.url} was refused with 400: 'cdi-version 5.5 not supported'"
    )
    assert len(core.received) == 1


def test_a_core_that_was_replaced_by_an_older_one_is_asked_for_its_versions_anew(
    core: ScriptedCore, make_client: MakeClient
) -> None:
    core.will(
        reply({"versions": ["5.5", "5.6"]}),
        reply(raw=b"cdi-version 5.5 not supported", status=400),
        reply({"versions": ["5.3"]}),
        reply({"status": "OK", "jwt": "signed"}),
    )
    client = make_client(cdi_version=None)
    assert client.create_jwt({}, issuer="x", validity_seconds=1) == "signed"
    assert client.cdi == (5, 3)
    versions = [request.headers.get("cdi-version") for request in core.received]
    assert versions == [None, "5.5", None, "5.3"]


def test_a_thread_refused_after_another_has_renegotiated_uses_the_new_version(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    core.answers["/apiversion"] = reply({"versions": ["5.3"]})
    negotiator = VersionNegotiator(make_transport())
    assert negotiator.current() == "5.3"
    assert negotiator.renegotiate("5.6") == "5.3"
    assert len(core.received) == 1
    assert negotiator.renegotiate("5.3") == "5.3"
    assert len(core.received) == 2


def test_renegotiation_is_tried_once(core: ScriptedCore, make_client: MakeClient) -> None:
    core.answers["/apiversion"] = reply({"versions": ["5.5"]})
    core.answers["/recipe/roles"] = reply(raw=b"cdi-version 5.5 not supported", status=400)
    with pytest.raises(CoreError, match=r"was refused with 400: 'cdi-version 5\.5 not supported'$"):
        RoleCalls(make_client(cdi_version=None)).list_roles()
    assert core.requests == ["GET /apiversion", "GET /recipe/roles"] * 2


@pytest.mark.parametrize(
    ("status", "text"), [(400, b"algorithm not supported"), (404, b"cdi-version 5.5 not supported")]
)
def test_any_other_refusal_sends_nothing_again(
    core: ScriptedCore, make_client: MakeClient, status: int, text: bytes
) -> None:
    core.answers = {"/apiversion": reply({"versions": ["5.5"]}), "": reply(raw=text, status=status)}
    with pytest.raises(CoreError, match=f"was refused with {status}"):
        make_client(cdi_version=None).create_jwt({}, issuer="x", validity_seconds=1)
    assert core.requests == ["GET /apiversion", "POST /recipe/jwt"]


def test_a_failed_negotiation_is_not_remembered(core: ScriptedCore, make_client: MakeClient) -> None:
    core.answers["/apiversion"] = reply({"versions": ["5.5"]})
    core.will(close, close)
    client = make_client(cdi_version=None)
    with pytest.raises(CoreUnavailableError):
        RoleCalls(client).list_roles()
    assert client.cdi == (5, 5)


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (200, {"versions": ["5.5"]}, None),
        (200, {"versions": ["1.0"]}, CoreError),
        (401, "Invalid API key", CoreError),
        (503, {}, CoreUnavailableError),
    ],
)
def test_threads_that_need_the_version_at_once_share_one_request(
    status: int,
    answer: object,
    error: type[Exception] | None,
    core: ScriptedCore,
    make_client: MakeClient,
) -> None:
    waiting = threading.Event()

    def answer_when_all_wait(link: Link) -> None:
        assert waiting.wait(10)
        reply(answer, status=status)(link)

    core.answers["/apiversion"] = answer_when_all_wait
    client = make_client(cdi_version=None)
    results: list[object] = []

    def ask() -> None:
        try:
            results.append(client.cdi)
        except (CoreError, CoreUnavailableError) as raised:
            results.append((type(raised), str(raised), raised.reason))

    first = threading.Thread(target=ask)
    first.start()
    while not core.received:
        waiting.wait(0.001)
    others = [threading.Thread(target=ask) for _ in range(9)]
    for thread in others:
        thread.start()
    waiting.wait(0.2)  # the nine have nothing left to do but to wait
    waiting.set()
    for thread in [first, *others]:
        thread.join(10)

    assert len(results) == 10
    assert len(set(map(str, results))) == 1
    assert core.requests == ["GET /apiversion"] * (2 if status == 503 else 1)
    if error is None:
        assert results[0] == (5, 5)
    else:
        assert isinstance(results[0], tuple)
        assert results[0][0] is error


def test_an_unreachable_core_is_an_outage_also_when_negotiating(
    make_client: MakeClient, make_transport: MakeTransport
) -> None:
    with refusing() as dead, pytest.raises(CoreUnavailableError) as caught:
        _ = make_client(cdi_version=None, transport=make_transport(hosts=[dead])).cdi
    assert str(caught.value) == (
        f"The core did not answer GET /apiversion. {dead}: connection refused. Check "
        "STSESSION_CONNECTION_URI, and "
        "that the core runs."
    )
    assert caught.value.reason is Reason.CORE_UNREACHABLE


def test_versions_compare_as_numbers() -> None:
    assert parse_version("5.10") > parse_version("5.9") > parse_version("4.0")
    with pytest.raises(ValueError, match="unpack"):
        parse_version("5")


# The tenant in the path


@pytest.mark.parametrize(
    "tenant_id",
    [
        *("", ".", "..", "appid-other", "Appid-other", "a b", "a_b", "a/b", "a b/../c?d#e", "a%2fb"),
        *("é", "\u212a", "x\ud800", "acme ", "recipe", "users", "config", "Hello"),
    ],
)
def test_an_id_that_no_tenant_of_a_core_can_have_is_refused_unsent(
    tenant_id: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    with pytest.raises(CoreError) as caught:
        make_client().create_session("u", tenant_id=tenant_id)
    assert str(caught.value) == (
        f"{tenant_id!r} cannot be the id of a tenant; use letters, digits and hyphens."
    )
    assert core.requests == []


@pytest.mark.parametrize(
    ("tenant_id", "path"),
    [
        ("public", "/recipe/user/roles"),
        ("customer-1", "/customer-1/recipe/user/roles"),
        ("-", "/-/recipe/user/roles"),
        ("ACME", "/ACME/recipe/user/roles"),
    ],
)
def test_the_id_of_a_tenant_is_in_the_path_and_the_default_one_left_out(
    tenant_id: str, path: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "roles": []})
    RoleCalls(make_client()).get_roles_for_user("u", tenant_id=tenant_id)
    assert core.requests == [f"GET {path}"]
