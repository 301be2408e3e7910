"""``flask stsession doctor``: each finding says what to write or do instead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import formatdate
from time import time
from typing import Any

import pytest
from flask import Flask
from flask_cors import CORS
from support.app_factory import NO_CORE, AppFactory
from support.commands import json_of, output_of, run_on
from support.running_cores import served
from support.scripted_core import ScriptedCore, refusing, reply
from support.signing import Signer

from flask_stsession import STSession, get_all_cors_headers, verify_session
from flask_stsession.constants import CDI_VERSIONS
from flask_stsession.embedded.app import EmbeddedCore

API, PAGE = "https://api.example.com", "https://www.example.com"
HEADERS = ["content-type", *get_all_cors_headers()]


def report_of(app: Flask, *, findings: int) -> dict[str, Any]:
    """Return the report on an app that has this number of findings."""
    report: dict[str, Any] = json_of(run_on(app, "doctor", "--json"), exit_code=int(findings > 0))
    found = [each["message"] for each in report["checks"] if each["status"] == "finding"]
    assert len(found) == report["findings"] == findings, found
    return report


def findings_of(app: Flask, check: str, *, others: int = 0) -> list[str]:
    """Return the findings of one check."""
    report = json_of(run_on(app, "doctor", "--json"), exit_code=1)
    found = [each for each in report["checks"] if each["status"] == "finding"]
    own = [each["message"] for each in found if each["check"] == check]
    assert len(found) == len(own) + others, found
    return own


def statuses_of(app: Flask) -> set[tuple[str, str]]:
    """Return the checks of an app without findings, and their status."""
    return {(each["check"], each["status"]) for each in report_of(app, findings=0)["checks"]}


def allow(app: Flask, **options: Any) -> None:
    defaults: dict[str, Any] = {"origins": [PAGE], "supports_credentials": True, "allow_headers": HEADERS}
    CORS(app, **(defaults | options))


@pytest.fixture
def core() -> Iterator[ScriptedCore]:
    """A core on 127.0.0.1 that says what a test wants."""
    scripted = ScriptedCore()
    scripted.answers["/apiversion"] = reply({"versions": list(CDI_VERSIONS)})
    scripted.answers["/recipe/roles"] = reply({"status": "OK", "roles": []})
    scripted.answers["/.well-known/jwks.json"] = reply({"keys": [Signer().jwk()]})
    yield scripted
    scripted.stop()


def test_the_defaults_for_development_are_no_finding(app: Flask) -> None:
    assert statuses_of(app) >= {
        ("settings", "note"),
        ("core", "ok"),
        ("versions", "ok"),
        ("keys", "ok"),
        ("clock", "ok"),
        ("cookies", "note"),
        ("cors", "ok"),
        ("routes", "ok"),
    }


@pytest.mark.embedded_core
def test_sessions_in_memory_are_worth_a_note(make_app: AppFactory) -> None:
    assert ("core", "note") in statuses_of(make_app(connection_uri="embedded::memory:"))


def test_an_app_as_in_the_documentation_is_healthy(make_app: AppFactory) -> None:
    app = make_app(api_domain=API, website_domain=PAGE)
    allow(app)
    report = report_of(app, findings=0)
    messages = {each["check"]: each["message"] for each in report["checks"]}
    assert messages["settings"] == f"They agree, for the API at {API}."
    assert messages["cookies"] == (
        f"For api.example.com and pages of {PAGE}: SameSite lax, Secure; anti-CSRF NONE."
    )
    assert messages["cors"] == f"Pages of {PAGE} may send requests with sessions."
    settings = {each["key"]: each for each in report["settings"]}
    assert settings["STSESSION_API_DOMAIN"] == {
        "key": "STSESSION_API_DOMAIN",
        "source": "set",
        "value": API,
    }


def test_people_get_tables_of_checks_and_settings(make_app: AppFactory) -> None:
    output = output_of(run_on(make_app(api_domain=API), "doctor"))
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert lines[0] == "STATUS CHECK MESSAGE"
    assert "OK settings They agree, for the API at https://api.example.com." in lines
    assert "SETTING SOURCE VALUE" in lines
    assert "STSESSION_API_DOMAIN set 'https://api.example.com'" in lines
    assert "STSESSION_API_KEY" not in output


def test_secrets_are_masked(make_app: AppFactory) -> None:
    app = make_app(connection_uri=NO_CORE["STSESSION_CONNECTION_URI"], api_key="a-secret-key-of-a-core")
    for options in ([], ["--json"]):
        result = run_on(app, "doctor", *options)
        assert result.exit_code == 1
        assert "***" in result.output
        assert "a-secret-key-of-a-core" not in result.output


# Settings and cookies


def test_suspicious_settings_are_findings(make_app: AppFactory) -> None:
    app = make_app(api_domain="http://api.example.com", cookie_secure=True)
    assert len(findings_of(app, "settings", others=1)) == 1
    [message] = findings_of(app, "cookies", others=1)
    assert message.startswith("STSESSION_COOKIE_SECURE = True, but ")


def test_cookies_that_no_browser_keeps_are_a_finding(make_app: AppFactory) -> None:
    app = make_app(api_domain="http://api.internal", website_domain="http://shop.test")
    allow(app, origins=["http://shop.test"])
    [message] = findings_of(app, "cookies")
    assert message.startswith("The session's cookies would be SameSite none without Secure")


def test_without_cookies_none_are_checked(make_app: AppFactory) -> None:
    report = report_of(make_app(api_domain=API, token_transfer_method="header"), findings=0)
    assert {each["message"] for each in report["checks"] if each["check"] == "cookies"} == {
        "None are used: tokens travel by header."
    }


# The core


def test_an_unreachable_core_is_a_finding_with_its_setting(make_app: AppFactory) -> None:
    with refusing() as url:
        [message] = findings_of(make_app(connection_uri=url), "core")
    assert url in message
    assert "STSESSION_CONNECTION_URI" in message


def test_one_host_of_several_that_is_down_is_a_finding(make_app: AppFactory, core: ScriptedCore) -> None:
    with refusing() as url:
        [message] = findings_of(make_app(connection_uri=f"{core.url};{url}"), "core")
    assert url in message


@pytest.mark.embedded_core
@pytest.mark.parametrize("api_key", [None, "another-key-0123456789"])
def test_a_wrong_api_key_is_a_finding_with_its_setting(make_app: AppFactory, api_key: str | None) -> None:
    core = EmbeddedCore(":memory:", {"api_keys": "the-key-of-the-core-0123"})
    with core, served(core) as url:
        [message] = findings_of(make_app(connection_uri=url, api_key=api_key), "core")
        make_app.apps[-1].extensions["stsession"].close()
    assert "STSESSION_API_KEY" in message


def test_a_host_that_is_not_a_core_is_a_finding(make_app: AppFactory, core: ScriptedCore) -> None:
    core.answers["/apiversion"] = reply({"hello": "world"})
    assert len(findings_of(make_app(connection_uri=core.url), "core")) == 1


@pytest.mark.parametrize(
    ("theirs", "pinned", "message"),
    [
        (
            ["5.4"],
            "5.6",
            "STSESSION_CDI_VERSION = '5.6', but the core speaks 5.4, this package 4.0, 5.0, 5.1, 5.2, 5.3, "
            "5.4, 5.5, 5.6. Write a version that both speak, or remove it.",
        ),
    ],
)
def test_a_version_that_the_core_does_not_speak_is_a_finding(
    make_app: AppFactory, core: ScriptedCore, theirs: list[str], pinned: str, message: str
) -> None:
    core.answers["/apiversion"] = reply({"versions": theirs})
    assert findings_of(make_app(connection_uri=core.url, cdi_version=pinned), "versions") == [message]


def test_a_core_without_a_common_version_is_a_finding(make_app: AppFactory, core: ScriptedCore) -> None:
    core.answers["/apiversion"] = reply({"versions": ["2.9"]})
    [message] = findings_of(make_app(connection_uri=core.url), "core")
    assert "Run a core whose versions overlap with these." in message


def test_a_missing_kind_of_key_is_a_finding(make_app: AppFactory, core: ScriptedCore) -> None:
    app = make_app(connection_uri=core.url, use_dynamic_access_token_signing_key=False)
    assert findings_of(app, "keys") == [
        "The core has no signing key whose id begins with 's-'; it has d-1700000000000. Write "
        "STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY = True, or create a session, so that the core "
        "makes one."
    ]


def test_keys_that_cannot_be_used_are_a_finding(make_app: AppFactory, core: ScriptedCore) -> None:
    core.answers["/.well-known/jwks.json"] = reply({"keys": []})
    assert len(findings_of(make_app(connection_uri=core.url), "keys")) == 1


@pytest.mark.parametrize(
    ("core_is_ahead", "message"),
    [
        (
            -100_000,
            r"The clock of this host is 100\d\d\d s ahead of the core's: access tokens expire that much too "
            r"early\. Set the clock of the host whose time is wrong\.",
        ),
        (
            +100_000,
            r"The clock of this host is (99\d\d\d|100000) s behind the core's: access tokens are accepted "
            r"for that much too long\. Set the clock of the host whose time is wrong\.",
        ),
    ],
)
def test_clocks_that_differ_are_a_finding(
    make_app: AppFactory, core: ScriptedCore, core_is_ahead: float, message: str
) -> None:
    versions = {"versions": list(CDI_VERSIONS)}
    date = formatdate(time() + core_is_ahead, usegmt=True)
    core.answers["/apiversion"] = reply(versions, headers={"Date": date})
    [found] = findings_of(make_app(connection_uri=core.url), "clock")
    assert re.fullmatch(message, found)


@pytest.mark.parametrize(("date", "status"), [(None, "ok"), ("yesterday", "note"), ("now", "ok")])
def test_a_clock_that_cannot_be_compared_is_no_finding(
    make_app: AppFactory, core: ScriptedCore, date: str | None, status: str
) -> None:
    headers = {} if date is None else {"Date": formatdate(usegmt=True) if date == "now" else date}
    core.answers["/apiversion"] = reply({"versions": list(CDI_VERSIONS)}, headers=headers)
    assert ("clock", status) in statuses_of(make_app(connection_uri=core.url))


# CORS


@pytest.mark.parametrize(
    ("options", "lacks"),
    [
        (None, "have no Access-Control-Allow-Origin"),
        ({"origins": "https://other.example.com"}, "have no Access-Control-Allow-Origin"),
        ({"supports_credentials": False}, "have no Access-Control-Allow-Credentials: true"),
        (
            {"allow_headers": ["content-type"]},
            "do not allow the request headers rid, fdi-version, st-auth-mode",
        ),
        (
            {"origins": "*", "supports_credentials": False, "send_wildcard": True},
            "have Access-Control-Allow-Origin: *, which browsers do not accept together with cookies",
        ),
    ],
)
def test_a_website_that_cors_keeps_out_is_a_finding(
    make_app: AppFactory, options: dict[str, Any] | None, lacks: str
) -> None:
    app = make_app(api_domain=API, website_domain=PAGE)
    if options is not None:
        allow(app, **options)
    messages = findings_of(app, "cors")
    assert [message.split(":")[0] for message in messages] == [
        "OPTIONS /auth/session/refresh",
        "OPTIONS /user",
    ]
    for message in messages:
        assert f"Responses to pages of '{PAGE}' {lacks}" in message
        assert f"write CORS(app, origins=['{PAGE}'], supports_credentials=True" in message


def test_routes_that_cors_leaves_out_are_named(make_app: AppFactory) -> None:
    app = make_app(api_domain=API, website_domain=PAGE)
    allow(app, resources=r"/user")
    [message] = findings_of(app, "cors")
    assert message.startswith("OPTIONS /auth/session/refresh: ")


def test_a_star_suffices_where_tokens_travel_by_header(make_app: AppFactory) -> None:
    app = make_app(api_domain=API, website_domain=PAGE, token_transfer_method="header")
    allow(app, origins="*", supports_credentials=False)
    assert ("cors", "ok") in statuses_of(app)


@pytest.mark.parametrize("testing", [True, False])
def test_an_app_that_fails_on_a_preflight_is_a_finding(make_app: AppFactory, testing: bool) -> None:
    app = make_app(api_domain=API, website_domain=PAGE)
    app.testing = testing

    @app.before_request
    def fail() -> None:
        raise LookupError("no tables")

    result = run_on(app, "doctor")
    assert result.exit_code == 1
    assert "The app fails when it gets a preflight: LookupError: no tables" in result.output
    assert "Traceback" not in result.output


# Routes


def test_guards_in_the_wrong_place_are_findings(app: Flask) -> None:
    verify_session()(app.get("/misordered", endpoint="misordered")(lambda **_: {}))
    [message] = findings_of(app, "routes")
    assert message.startswith("The view of the endpoint 'misordered' is not protected")


def test_reasons_to_serve_nothing_are_findings(app: Flask, stsession: STSession) -> None:
    app.config["STSESSION_CHECK_DATABASE"] = True
    stsession.protect(app, exempt=["typo"])
    app.add_url_rule("/recent", "recent", verify_session(max_auth_age=60)(lambda **_: {}))
    late, typo, auth_time = findings_of(app, "routes")
    assert "STSESSION_CHECK_DATABASE" in late
    assert "'typo'" in typo
    assert "AuthTimeClaim" in auth_time


@pytest.mark.parametrize("login_url", ["login", "/login", "/login?tab=1", "/sign-in", "admin.sign_in"])
def test_a_login_page_of_the_app_is_no_finding(make_app: AppFactory, login_url: str) -> None:
    app = make_app(login_url=login_url)
    app.add_url_rule("/sign-in/", "sign_in", lambda **_: {})
    app.add_url_rule("/admin/sign-in", "admin.sign_in", lambda **_: {})
    app.add_url_rule("/login", "form", lambda **_: {})
    assert ("routes", "ok") in statuses_of(app)


@pytest.mark.parametrize("login_url", ["/anmelden-%C3%BC", "/anmelden-ü", "/anmelden-ü#top"])
def test_a_login_page_with_an_encoded_path_is_no_finding(make_app: AppFactory, login_url: str) -> None:
    app = make_app(login_url=login_url)
    app.add_url_rule("/anmelden-ü", "sign_in", lambda **_: {})
    assert ("routes", "ok") in statuses_of(app)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"host_matching": True, "static_host": "static.example.com"}, {"host": "<tenant>.example.com"}),
        ({"subdomain_matching": True}, {"subdomain": "accounts"}),
    ],
)
@pytest.mark.parametrize("exists", [True, False])
def test_the_path_of_the_login_page_may_be_on_any_host(
    core_config: dict[str, Any], arguments: Any, place: Any, exists: bool
) -> None:
    app = Flask("app", **arguments)
    app.config.update(core_config, STSESSION_LOGIN_URL="/sign-in" if exists else "/typo")
    app.config.update(SERVER_NAME="example.com", STSESSION_API_DOMAIN="https://api.example.com")
    STSession(app)
    app.add_url_rule("/sign-in", "sign_in", lambda **_: {}, **place)
    if exists:
        assert ("routes", "ok") in statuses_of(app)
    else:
        [message] = findings_of(app, "routes")
        assert "'/typo' is neither an endpoint nor a path" in message


def test_a_login_page_whose_url_needs_an_argument_is_a_finding(make_app: AppFactory) -> None:
    app = make_app(login_url="sign_in")
    app.add_url_rule("/<lang>/sign-in", "sign_in", lambda **_: {})
    [message] = findings_of(app, "routes")
    assert "is an endpoint whose URL needs 'lang'" in message


@pytest.mark.parametrize("login_url", ["typo", "/typo", "blueprint.login"])
def test_a_login_page_that_does_not_exist_is_a_finding(make_app: AppFactory, login_url: str) -> None:
    assert findings_of(make_app(login_url=login_url), "routes") == [
        f"STSESSION_LOGIN_URL = {login_url!r} is neither an endpoint nor a path of this app, so browsers "
        "without a session cannot be sent there. Write the endpoint of the login view, or its path."
    ]


def test_versions_are_sorted_by_number(make_app: AppFactory, core: ScriptedCore) -> None:
    core.answers["/apiversion"] = reply({"versions": ["5.5", "2.10", "2.9"]})
    report = report_of(make_app(connection_uri=core.url), findings=0)
    [message] = [each["message"] for each in report["checks"] if each["check"] == "versions"]
    assert message.startswith("CDI 5.5 is used: the core speaks 2.9, 2.10, 5.5, this package 4.0, ")


def test_a_rule_of_the_app_that_collides_with_one_of_ours_is_a_finding(app: Flask) -> None:
    app.add_url_rule("/auth/signout", "leave", lambda **_: {}, methods=["POST"])
    [message] = findings_of(app, "routes")
    assert "STSESSION_ROUTES" in message
