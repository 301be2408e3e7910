"""The routes of e-mail verification, and the session of the request that uses a token."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, g, request, stream_with_context
from flask.testing import FlaskClient
from support.addresses import get_email
from support.app_factory import AppFactory
from support.served_core import ServedCore

from flask_stsession import ConfigError, STSession, current_session, verify_session
from flask_stsession.claims import EmailVerificationClaim
from flask_stsession.emailverification import (
    create_email_verification_token,
    is_email_verified,
    unverify_email,
    verify_email_using_token,
)
from flask_stsession.multitenancy import create_or_update_tenant, delete_tenant

OK = {"status": "OK"}
ALREADY_VERIFIED = {"status": "EMAIL_ALREADY_VERIFIED_ERROR"}
INVALID_TOKEN = {"status": "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"}
VERIFY = "/auth/user/email/verify"
SEND = "/auth/user/email/verify/token"


@pytest.fixture
def sent(mail_app: Flask) -> list[tuple[str, ...]]:
    """Return what the app was asked to send."""
    return sent_by(mail_app)


def sent_by(app: Flask) -> list[tuple[str, ...]]:
    """Have an app note what it is asked to send, and return its notes."""
    sent: list[tuple[str, ...]] = []
    ext: STSession = app.extensions["stsession"]

    @ext.send_verification_email
    def send(user_id: str, email: str, link: str, tenant_id: str) -> None:
        sent.append((user_id, email, link, tenant_id))

    return sent


def signed_in(app: Flask, **login: Any) -> FlaskClient:
    """Return a client with a session of alice."""
    client = app.test_client()
    assert client.post("/login", json=login).status_code == 200
    return client


def claim_of(client: FlaskClient) -> Any:
    """Return whether the client's session says that the address is verified; ``None`` if it does not say."""
    return client.get("/user").get_json()["payload"].get("st-ev", {}).get("v")


def token_of(app: Flask, user_id: str = "alice", *, tenant_id: str = "public") -> str:
    """Return the token of a link."""
    with app.app_context():
        token = create_email_verification_token(user_id, tenant_id=tenant_id)
    assert token is not None
    return token


def verify(app: Flask, user_id: str = "alice") -> None:
    """Verify the user's address elsewhere."""
    token = token_of(app, user_id)
    with app.app_context():
        assert verify_email_using_token(token) is not None


# GET {base}/user/email/verify


def test_the_route_asks_the_core_and_sets_the_claim(mail_app: Flask) -> None:
    client = signed_in(mail_app)
    response = client.get(VERIFY)
    assert response.get_json() == {"status": "OK", "isVerified": False}
    assert client.get("/user").get_json()["payload"]["st-ev"]["v"] is False
    verify(mail_app)
    response = client.get(VERIFY)
    assert response.get_json() == {"status": "OK", "isVerified": True}
    assert response.headers.get("front-token")
    assert client.get("/user").get_json()["payload"]["st-ev"]["v"] is True


def test_the_route_needs_a_session(mail_app: Flask) -> None:
    response = mail_app.test_client().get(VERIFY)
    assert (response.status_code, response.get_json()) == (401, {"message": "unauthorised"})


def test_the_route_runs_no_validators_so_that_a_user_who_failed_them_can_call_it(
    make_app: AppFactory,
) -> None:
    app = make_app(
        get_email=get_email,
        token_transfer_method="cookie",
        global_claim_validators=[EmailVerificationClaim.validators.is_true()],
    )
    client = signed_in(app)
    assert client.get("/user").status_code == 403
    assert client.get(VERIFY).get_json() == {"status": "OK", "isVerified": False}


def test_the_route_follows_the_tenant_of_the_session(mail_app: Flask) -> None:
    with mail_app.app_context():
        create_or_update_tenant("customer1")
        token = create_email_verification_token("alice", email="alice@customer1.example")
        assert token is not None
        verify_email_using_token(token)
    client = mail_app.test_client()
    client.post("/login", json={"tenant_id": "customer1"})
    assert client.get(VERIFY).get_json() == {"status": "OK", "isVerified": True}


def test_the_route_is_absent_without_get_email_or_if_not_configured(make_app: AppFactory) -> None:
    without = make_app()
    assert without.test_client().get(VERIFY).status_code == 404
    own = make_app(name="own", get_email=get_email, routes=("refresh",))
    assert own.test_client().get(VERIFY).status_code == 404


# POST {base}/user/email/verify/token


def test_the_app_sends_a_link_to_the_page_of_the_frontend_sdk(
    mail_app: Flask, sent: list[tuple[str, ...]]
) -> None:
    client = signed_in(mail_app)
    response = client.post(SEND)
    assert (response.status_code, response.get_json()) == (200, OK)
    [(user_id, email, link, tenant_id)] = sent
    assert (user_id, email, tenant_id) == ("alice", "alice@example.com", "public")
    url = urlsplit(link)
    assert (url.scheme, url.netloc, url.path) == ("http", "localhost", "/auth/verify-email")
    query = parse_qs(url.query)
    assert query.keys() == {"token", "tenantId"}
    assert query["tenantId"] == ["public"]
    assert client.post(VERIFY, json={"method": "token", "token": query["token"][0]}).get_json() == OK
    assert claim_of(client) is True


def test_sending_a_link_sets_the_claim_to_false(mail_app: Flask, sent: list[tuple[str, ...]]) -> None:
    client = signed_in(mail_app)
    assert claim_of(client) is None
    client.post(SEND)
    assert claim_of(client) is False
    response = client.post(SEND)
    assert "front-token" not in response.headers
    assert len(sent) == 2


def test_no_link_is_sent_for_a_verified_address(mail_app: Flask, sent: list[tuple[str, ...]]) -> None:
    client = signed_in(mail_app)
    verify(mail_app)
    assert client.post(SEND).get_json() == ALREADY_VERIFIED
    assert (claim_of(client), sent) == (True, [])
    with mail_app.app_context():
        unverify_email("alice")
    assert client.post(SEND).get_json() == OK
    assert (claim_of(client), len(sent)) == (False, 1)


def test_no_link_is_sent_to_a_user_without_an_address(mail_app: Flask, sent: list[tuple[str, ...]]) -> None:
    client = signed_in(mail_app, userId="nobody")
    assert client.post(SEND).get_json() == ALREADY_VERIFIED
    assert (claim_of(client), sent) == (True, [])


def test_the_link_names_the_tenant_of_the_session(mail_app: Flask, sent: list[tuple[str, ...]]) -> None:
    with mail_app.app_context():
        create_or_update_tenant("customer1")
    client = signed_in(mail_app, tenant_id="customer1")
    assert client.post("/auth/customer1/user/email/verify/token").get_json() == OK
    [(_, email, link, tenant_id)] = sent
    assert (email, tenant_id) == ("alice@customer1.example", "customer1")
    query = parse_qs(urlsplit(link).query)
    assert query["tenantId"] == ["customer1"]
    body = {"method": "token", "token": query["token"][0]}
    assert client.post(VERIFY, json=body).get_json() == INVALID_TOKEN
    assert client.post("/auth/customer1/user/email/verify", json=body).get_json() == OK
    assert claim_of(client) is True


@pytest.mark.parametrize(
    ("origin", "begin"),
    [
        ("https://www.example.com", "https://www.example.com/account/verify-email?"),
        ("https://shop.example.com", "https://shop.example.com/account/verify-email?"),
        ("capacitor://localhost", "https://www.example.com/account/verify-email?"),
        ("https://evil.example.org", "https://www.example.com/account/verify-email?"),
        (None, "https://www.example.com/account/verify-email?"),
    ],
)
def test_the_link_leads_to_one_of_the_configured_websites(
    make_app: AppFactory, origin: str | None, begin: str
) -> None:
    app = make_app(
        get_email=get_email,
        token_transfer_method="header",
        api_domain="https://api.example.com",
        website_domain=["capacitor://localhost", "https://www.example.com", "https://shop.example.com"],
        website_base_path="/account",
        cookie_same_site="lax",
    )
    sent = sent_by(app)
    client = app.test_client()
    token = client.post("/login").headers["st-access-token"]
    headers = {"Authorization": f"Bearer {token}", "Host": "evil.example.org"}
    if origin is not None:
        headers["Origin"] = origin
    assert client.post(SEND, headers=headers).get_json() == OK
    assert sent[0][2].startswith(begin)


def test_the_sending_function_may_be_asynchronous(mail_app: Flask) -> None:
    sent: list[str] = []
    ext: STSession = mail_app.extensions["stsession"]

    @ext.send_verification_email
    async def send(user_id: str, email: str, link: str, tenant_id: str) -> None:
        sent.append(email)

    assert signed_in(mail_app).post(SEND).get_json() == OK
    assert sent == ["alice@example.com"]


def test_without_a_sending_function_the_route_says_what_to_register(mail_app: Flask) -> None:
    mail_app.testing = True
    with pytest.raises(ConfigError) as caught:
        signed_in(mail_app).post(SEND)
    assert str(caught.value) == (
        "There is no send_verification_email. Register one: @stsession.send_verification_email above a "
        "function of (user_id, email, link, tenant_id)."
    )


def test_a_function_with_wrong_parameters_is_refused_at_registration(mail_app: Flask) -> None:
    with pytest.raises(TypeError) as caught:
        mail_app.extensions["stsession"].send_verification_email(lambda email, link: None)
    assert str(caught.value) == (
        "The send_verification_email function takes (email, link). Give it the parameters (user_id, email, "
        "link, tenant_id)."
    )


def test_no_link_is_sent_without_a_session(mail_app: Flask, sent: list[tuple[str, ...]]) -> None:
    response = mail_app.test_client().post(SEND)
    assert (response.status_code, response.get_json()) == (401, {"message": "unauthorised"})
    assert sent == []


def test_another_site_cannot_cause_a_link_to_be_sent(make_app: AppFactory) -> None:
    app = make_app(get_email=get_email, token_transfer_method="cookie", anti_csrf="VIA_CUSTOM_HEADER")
    sent = sent_by(app)
    client = signed_in(app)
    response = client.post(SEND)
    assert (response.status_code, response.get_json()) == (401, {"message": "try refresh token"})
    assert sent == []
    assert client.post(SEND, headers={"rid": "emailverification"}).get_json() == OK


# POST {base}/user/email/verify


def test_a_token_works_without_a_session_and_only_once(mail_app: Flask) -> None:
    body = {"method": "token", "token": token_of(mail_app)}
    client = mail_app.test_client()
    response = client.post(VERIFY, json=body)
    assert (response.status_code, response.get_json()) == (200, OK)
    assert client.post(VERIFY, json=body).get_json() == INVALID_TOKEN
    with mail_app.app_context():
        assert is_email_verified("alice") is True


def test_the_session_of_another_user_is_not_changed(mail_app: Flask) -> None:
    client = signed_in(mail_app)
    body = {"method": "token", "token": token_of(mail_app, "bob")}
    response = client.post(VERIFY, json=body)
    assert response.get_json() == OK
    assert "front-token" not in response.headers
    assert claim_of(client) is None


def test_an_expired_session_leaves_the_token_unused(make_app: AppFactory, served_core: ServedCore) -> None:
    app = make_app(get_email=get_email, connection_uri=served_core.url)
    ext: STSession = app.extensions["stsession"]
    body = {"method": "token", "token": token_of(app)}
    with app.app_context():
        access_token = ext.create_new_session_without_request_response("alice").get_access_token()
    forged = {"Authorization": f"Bearer {access_token[:-8]}AAAAAAAA"}
    client = app.test_client()
    response = client.post(VERIFY, json=body, headers=forged)
    assert (response.status_code, response.get_json()) == (401, {"message": "try refresh token"})
    response = client.post(VERIFY, json=body, headers={"Authorization": f"Bearer {access_token}"})
    assert response.get_json() == OK
    assert response.headers["st-access-token"]


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"{}", b"null", b'{"token": 7}', b'{"token": null}', b'"token"']
)
def test_a_body_without_a_token_gets_a_400_with_the_remedy(mail_app: Flask, body: bytes) -> None:
    client = mail_app.test_client()
    response = client.post(VERIFY, data=body, content_type="application/json")
    assert (response.status_code, response.get_json()) == (
        400,
        {"message": 'The body must be JSON with the token of the link: {"method": "token", "token": …}.'},
    )


@pytest.mark.parametrize("token", ["", "made up", "é\u0000", "\ud800", "x" * 5000])
def test_a_made_up_token_is_invalid(mail_app: Flask, token: str) -> None:
    client = mail_app.test_client()
    assert client.post(VERIFY, json={"method": "token", "token": token}).get_json() == INVALID_TOKEN


def test_a_token_of_an_unknown_tenant_is_invalid(mail_app: Flask) -> None:
    with mail_app.app_context():
        create_or_update_tenant("customer1")
    body = {"method": "token", "token": token_of(mail_app, tenant_id="customer1")}
    with mail_app.app_context():
        delete_tenant("customer1")
    client = mail_app.test_client()
    assert client.post("/auth/customer1/user/email/verify", json=body).get_json() == INVALID_TOKEN
    assert client.post("/auth/nobody/user/email/verify", json=body).get_json() == INVALID_TOKEN


@pytest.mark.parametrize("tenant", ["appid-x", "..", "A", "a b", "a%2Fb", "ä"])
def test_a_path_with_an_invalid_tenant_id_is_a_404(mail_app: Flask, tenant: str) -> None:
    client = mail_app.test_client()
    response = client.post(f"/auth/{tenant}/user/email/verify", json={"token": "x"})
    assert response.status_code == 404


def test_without_a_tenant_in_the_path_get_tenant_id_is_used(make_app: AppFactory) -> None:
    class OfCustomer(STSession):
        def get_tenant_id(self) -> str:
            return "customer1"

    app = make_app(extension=OfCustomer, get_email=get_email)
    with app.app_context():
        create_or_update_tenant("customer1")
    body = {"method": "token", "token": token_of(app, tenant_id="customer1")}
    assert app.test_client().post(VERIFY, json=body).get_json() == OK


# verify_email_using_token in a view


def test_a_view_that_uses_a_token_updates_the_session_of_its_request(mail_app: Flask) -> None:
    @mail_app.get("/confirm")
    def confirm() -> dict[str, Any]:
        verified = verify_email_using_token(request.args["token"])
        return {
            "email": verified and verified.email,
            "claim": current_session.get_claim_value(EmailVerificationClaim),
        }

    @mail_app.get("/confirm-guarded")
    @verify_session()
    def confirm_guarded() -> dict[str, Any]:
        verify_email_using_token(request.args["token"])
        return {"claim": g.session.get_claim_value(EmailVerificationClaim)}

    for path in ("/confirm", "/confirm-guarded"):
        client = signed_in(mail_app)
        response = client.get(path, query_string={"token": token_of(mail_app)})
        assert response.get_json()["claim"] is True
        assert response.headers["front-token"]
        assert claim_of(client) is True
        with mail_app.app_context():
            unverify_email("alice")


def test_a_view_may_verify_another_address_than_the_users_current_one(mail_app: Flask) -> None:
    @mail_app.get("/confirm")
    @verify_session()
    def confirm() -> dict[str, Any]:
        verify_email_using_token(request.args["token"])
        return {"claim": g.session.get_claim_value(EmailVerificationClaim)}

    with mail_app.app_context():
        token = create_email_verification_token("alice", email="new@example.com")
    assert signed_in(mail_app).get("/confirm", query_string={"token": token}).get_json() == {"claim": False}


def test_without_get_email_no_session_is_touched(make_app: AppFactory) -> None:
    app = make_app(token_transfer_method="cookie")

    @app.get("/confirm")
    @verify_session()
    def confirm() -> dict[str, Any]:
        return {"verified": verify_email_using_token(request.args["token"]) is not None}

    with app.app_context():
        token = create_email_verification_token("alice", email="alice@example.com")
    client = signed_in(app)
    assert client.get("/confirm", query_string={"token": token}).get_json() == {"verified": True}
    assert claim_of(client) is None


def test_after_the_response_is_written_the_claim_changes_at_the_next_refresh(mail_app: Flask) -> None:
    @mail_app.get("/stream")
    @verify_session()
    def stream() -> Any:
        def parts() -> Any:
            yield str(verify_email_using_token(request.args["token"]) is not None)

        return stream_with_context(parts()), {"Content-Type": "text/plain"}

    client = signed_in(mail_app)
    assert client.get("/stream", query_string={"token": token_of(mail_app)}).text == "True"
    assert claim_of(client) is None
    client.post("/auth/session/refresh")
    assert claim_of(client) is True


def test_an_ended_session_does_not_fail_the_verification(
    mail_app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    @mail_app.get("/confirm")
    @verify_session()
    def confirm() -> dict[str, Any]:
        client = mail_app.extensions["stsession"].manager.client
        client.revoke_sessions([g.session.get_handle()])  # by another process
        return {"verified": verify_email_using_token(request.args["token"]) is not None}

    client = signed_in(mail_app)
    response = client.get("/confirm", query_string={"token": token_of(mail_app)})
    assert response.get_json() == {"verified": True}
    assert "does not know yet that its user's address is verified" in caplog.text
    assert client.get("/user").status_code == 401
