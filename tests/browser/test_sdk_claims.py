"""Claims in the frontend SDKs, as in the documents about claim validators; React has tests of its own."""

from __future__ import annotations

from typing import Any

import pytest
from support.sdk_site import SdkSite, Tab, Visitor

from flask_stsession import userroles
from flask_stsession.claims import BooleanClaim

from .conftest import VisitorFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SDKS = ["website", "web-js"]
NOT_PASSED = {
    "id": "2fa-completed",
    "reason": {"message": "wrong value", "expectedValue": True, "actualValue": False},
}
NO_ADMIN = {
    "id": "st-role",
    "reason": {"message": "wrong value", "expectedToInclude": "admin", "actualValue": []},
}


@pytest.fixture(params=SDKS)
def tab(request: pytest.FixtureRequest, site: SdkSite, make_visitor: VisitorFactory) -> Tab:
    """Return a tab of alice's, with each of the SDKs."""
    tab = make_visitor(site, sdk=request.param).tab
    tab.sign_in()
    return tab


@pytest.fixture(params=["cookie", "header"])
def visitor(request: pytest.FixtureRequest, site: SdkSite, make_visitor: VisitorFactory) -> Visitor:
    """Return alice, by each transfer method."""
    visitor = make_visitor(site, sdk="web-js", transfer=request.param)
    visitor.tab.sign_in()
    return visitor


def step_up(tab: Tab) -> None:
    assert tab.call("/api/second-factor", "POST", {"code": "123456"}) == (200, {"status": "OK"})


# A 403 of the API


@pytest.mark.parametrize("client", ["fetch", "XMLHttpRequest", "axios"])
def test_a_claim_that_the_api_misses_is_an_event_of_the_sdk(tab: Tab, client: str) -> None:
    tab.events()
    answer = tab.call("/api/vault", client=client)
    assert answer == (403, {"message": "invalid claim", "claimValidationErrors": [NOT_PASSED]})
    tab.page.wait_for_function(
        "() => events.length === 1"
    )  # axios is not told of it, but by its XMLHttpRequest
    (event,) = tab.run("events")
    assert (event["action"], event["claimValidationErrors"]) == ("API_INVALID_CLAIM", [NOT_PASSED])
    assert tab.is_signed_in() is True


def test_the_sdk_reads_the_failed_claims_of_a_response(tab: Tab) -> None:
    read = "await sdk.getInvalidClaimsFromResponse({response: await fetch(apiDomain + argument)})"
    assert tab.run(read, "/api/vault") == [NOT_PASSED]
    data = {"data": {"message": "invalid claim", "claimValidationErrors": [NOT_PASSED]}}
    assert tab.run("await sdk.getInvalidClaimsFromResponse({response: argument})", data) == [NOT_PASSED]


def test_a_step_up_opens_the_api_and_satisfies_the_validator_of_the_frontend(visitor: Visitor) -> None:
    tab, other = visitor.tab, visitor.new_tab()
    is_true = "await validate(claims.SecondFactorClaim.validators.isTrue())"
    assert tab.run(is_true) == [NOT_PASSED]
    assert tab.payload()["2fa-completed"]["v"] is False
    tab.events()
    step_up(tab)
    assert tab.events() == ["ACCESS_TOKEN_PAYLOAD_UPDATED"]
    for each in (tab, other):
        assert each.run(is_true) == []
        assert each.payload()["2fa-completed"]["v"] is True
        assert each.call("/api/vault")[0] == 200


# Validators


def test_a_validator_of_one_route(tab: Tab, site: SdkSite) -> None:
    is_admin = "await validate(claims.FetchedRoleClaim.validators.includes('admin'))"
    assert tab.run(is_admin) == [NO_ADMIN]
    assert tab.run("await sdk.getClaimValue({claim: claims.UserRoleClaim})") == []
    assert tab.call("/api/role", "POST", {"admin": True})[0] == 200
    assert tab.call("/api/reports/publish", "POST")[0] == 200  # the guard fetches the role, and hands it on
    assert tab.run(is_admin) == []
    assert tab.run("await sdk.getClaimValue({claim: claims.UserRoleClaim})") == ["admin"]


@pytest.mark.parametrize("sdk", SDKS)
def test_a_validator_of_all_routes(site: SdkSite, make_visitor: VisitorFactory, sdk: str) -> None:
    tab = make_visitor(site, sdk=sdk, needsSecondFactor=True).tab
    tab.sign_in()
    assert tab.run("await sdk.validateClaims()") == [NOT_PASSED]
    assert tab.run("await validate(claims.UserRoleClaim.validators.includes('admin'))") == [
        NOT_PASSED,
        NO_ADMIN,
    ]
    step_up(tab)
    assert tab.run("await sdk.validateClaims()") == []


def test_a_claim_that_is_too_old_is_refreshed_before_it_is_validated(tab: Tab, site: SdkSite) -> None:
    handle = tab.payload()["sessionHandle"]
    with site.app.app_context():
        userroles.create_new_role_or_add_permissions("admin", ["report:publish"])
        userroles.add_role_to_user("alice", "admin")
        site.stsession.merge_into_access_token_payload(handle, {"st-role": {"v": [], "t": 1}})
    assert tab.run("await sdk.attemptRefreshingSession()") is True
    assert tab.payload()["st-role"] == {"v": [], "t": 1}
    assert tab.run("claims.UserRoleClaim.getLastFetchedTime(argument)", tab.payload()) == 1
    site.asked.clear()
    assert tab.run("await validate(claims.FetchedRoleClaim.validators.includes('admin', 300))") == []
    assert site.asked == ["POST /api/claims/refresh 200"]
    assert tab.payload()["st-role"]["t"] > 1
    assert tab.run("await validate(claims.FetchedRoleClaim.validators.includes('admin', 300))") == []
    assert tab.run("await validate(claims.PermissionClaim.validators.includes('report:publish'))") == []
    assert site.asked == ["POST /api/claims/refresh 200"]


def test_a_missing_claim_is_refreshed_before_it_is_validated(tab: Tab, site: SdkSite) -> None:
    with site.app.app_context():
        site.stsession.merge_into_access_token_payload(tab.payload()["sessionHandle"], {"st-role": None})
    assert tab.run("await sdk.attemptRefreshingSession()") is True
    assert "st-role" not in tab.payload()
    site.asked.clear()
    assert tab.run("await validate(claims.FetchedRoleClaim.validators.excludes('admin'))") == []
    assert site.asked == ["POST /api/claims/refresh 200"]


VALIDATORS: list[tuple[str, bool]] = [
    ("claims.UserRoleClaim.validators.includes('editor')", True),
    ("claims.UserRoleClaim.validators.includes('admin')", False),
    ("claims.UserRoleClaim.validators.excludes('admin')", True),
    ("claims.UserRoleClaim.validators.excludes('editor')", False),
    ("claims.UserRoleClaim.validators.includesAll(['editor', 'author'])", True),
    ("claims.UserRoleClaim.validators.includesAll(['editor', 'admin'])", False),
    ("claims.UserRoleClaim.validators.includesAny(['editor', 'admin'])", True),
    ("claims.UserRoleClaim.validators.includesAny(['admin'])", False),
    ("claims.UserRoleClaim.validators.excludesAll(['admin', 'owner'])", True),
    ("claims.UserRoleClaim.validators.excludesAll(['admin', 'editor'])", False),
    ("claims.StatusClaim.validators.hasValue('gold')", True),
    ("claims.StatusClaim.validators.hasValue('silver')", False),
    ("claims.SecondFactorClaim.validators.isFalse()", True),
    ("claims.SecondFactorClaim.validators.isTrue()", False),
    ("claims.SecondFactorClaim.validators.hasValue(false)", True),
    ("claims.PermissionClaim.validators.includes('post:write')", False),
]


def test_every_validator_of_the_base_claims_reads_our_payloads(tab: Tab, site: SdkSite) -> None:
    handle = tab.payload()["sessionHandle"]
    values: dict[str, Any] = {"st-role": ["editor", "author"], "status": "gold"}
    with site.app.app_context():
        update = {key: {"v": value, "t": 1_700_000_000_000} for key, value in values.items()}
        site.stsession.merge_into_access_token_payload(handle, update)
    assert tab.run("await sdk.attemptRefreshingSession()") is True
    failures = tab.run(f"[{', '.join(f'await validate({validator})' for validator, _ in VALIDATORS)}]")
    assert [failed == [] for failed in failures] == [passes for _, passes in VALIDATORS]


# The payload


def test_a_change_by_handle_reaches_the_payload_with_the_next_refresh(
    visitor: Visitor, site: SdkSite
) -> None:
    claim = BooleanClaim(key="2fa-completed", fetch_value=lambda *_: False)
    tab = visitor.tab
    with site.app.app_context():
        assert site.stsession.set_claim_value(claim, True, session_handle=tab.payload()["sessionHandle"])
    assert tab.payload()["2fa-completed"]["v"] is False
    assert tab.run("await sdk.attemptRefreshingSession()") is True
    assert tab.payload()["2fa-completed"]["v"] is True


def test_the_payload_keeps_what_is_not_ascii(visitor: Visitor, site: SdkSite) -> None:
    update = {"name": "Ærøskøbing 🚢", "nested": {"list": [1, 2.5, None, "ß"]}}
    with site.app.app_context():
        site.stsession.merge_into_access_token_payload(visitor.tab.payload()["sessionHandle"], update)
    assert visitor.tab.run("await sdk.attemptRefreshingSession()") is True
    payload = visitor.tab.payload()
    assert {name: payload[name] for name in update} == update
