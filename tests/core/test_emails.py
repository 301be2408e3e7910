"""E-mail addresses, as they are sent to a core."""

from __future__ import annotations

import pytest
from support.scripted_core import ScriptedCore

from flask_stsession.core import EmailVerificationCalls

from .conftest import MakeClient


@pytest.mark.parametrize("given", ["Alice@Example.COM", " alice@example.com", "\talice@example.com\n"])
def test_addresses_are_sent_trimmed_and_in_lower_case(
    given: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    core.always({"status": "OK", "isVerified": True, "token": "t"})
    client = make_client()
    EmailVerificationCalls(client).create_email_verification_token("u", given)
    EmailVerificationCalls(client).is_email_verified("u", given)
    EmailVerificationCalls(client).unverify_email("u", given)
    EmailVerificationCalls(client).revoke_email_verification_tokens("u", given)
    sent = [request.query.get("email") or request.json["email"] for request in core.received]
    assert sent == ["alice@example.com"] * 4


@pytest.mark.parametrize("token", ["é", "\ud800"])
def test_a_token_that_no_core_makes_is_invalid_without_a_request(
    token: str, core: ScriptedCore, make_client: MakeClient
) -> None:
    assert EmailVerificationCalls(make_client()).verify_email_with_token(token) is None
    assert core.requests == []
