"""E-mail verification for frontend SDKs: send the link, use its token, report the result.

Source: Frontend Driver Interface, EmailVerification recipe.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from flask import abort, has_request_context, jsonify

from .. import claims as built_in, core
from ..constants import DEFAULT_TENANT
from ..errors import CoreUnavailableError, UnauthorisedError, UnknownTenantError
from .context import current_app_state, origin_of_api, this_request
from .options import OPTIONAL_SESSION_ONLY, SESSION_ONLY
from .verify import load_session, peek_session, required_session

if TYPE_CHECKING:
    from flask import Blueprint, Request, Response

    from ..config.config import Config
    from ..core.emails import VerifiedEmail
    from .base import AppState

logger: logging.Logger = logging.getLogger("flask_stsession")

VERIFY: Final = "/user/email/verify"
SEND: Final = "/user/email/verify/token"
#: Frontend SDKs prefix the path with the tenant, unless that is the default tenant.
OF_TENANT: Final = "/<tenant_id>"

#: A core keeps tenant ids in lower case; ``appid-…`` would address another app of the same core.
_TENANT_ID: Final = r"(?!appid-)[a-z0-9-]+"


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes of e-mail verification."""
    for name, view, method, paths in (
        ("email_verify", is_verified, "GET", (VERIFY,)),
        ("email_verify_use_token", use_token, "POST", (VERIFY, OF_TENANT + VERIFY)),
        ("email_verify_send_link", send_link, "POST", (SEND, OF_TENANT + SEND)),
    ):
        for path in paths:
            blueprint.add_url_rule(path, name, view, methods=[method], strict_slashes=False)


def is_verified() -> Response:
    """``GET {base}/user/email/verify``: ask the core, and store the result in the session's claim."""
    app_state = current_app_state()
    session = required_session(app_state, SESSION_ONLY)
    return jsonify({"status": "OK", "isVerified": app_state.extension.update_email_verification(session)})


def send_link(tenant_id: str = DEFAULT_TENANT) -> Response:
    """``POST {base}/user/email/verify/token``: send the link to the address of the session's user.

    :param tenant_id: ignored; the session's own tenant is used.
    """
    app_state = current_app_state()
    extension = app_state.extension
    session = required_session(app_state, SESSION_ONLY)
    user_id, tenant_id = session.get_user_id(), session.get_tenant_id()
    email = extension.email_of(user_id, tenant_id)
    token = None
    if email is not None:
        emails = core.EmailVerificationCalls(app_state.manager.client)
        token = emails.create_email_verification_token(user_id, email, tenant_id=tenant_id)
    if email is None or token is None:
        extension.update_email_verification(session)
        return jsonify({"status": "EMAIL_ALREADY_VERIFIED_ERROR"})
    if session.get_claim_value(built_in.EmailVerificationClaim) is not False:
        # The address may have become unverified since, by another app for example.
        extension.update_email_verification(session)
    link = _link(app_state.config, this_request(), token, tenant_id)
    extension.deliver_verification_email(user_id, email, link, tenant_id)
    return jsonify({"status": "OK"})


def use_token(tenant_id: str | None = None) -> tuple[Response, int] | Response:
    """``POST {base}/user/email/verify``: use the token of a link; the session is optional.

    :param tenant_id: of the path; by default that of :meth:`STSession.get_tenant_id`, or the default tenant.
    """
    app_state = current_app_state()
    if tenant_id is None:
        tenant_id = app_state.extension.get_tenant_id() or DEFAULT_TENANT
    elif not re.fullmatch(_TENANT_ID, tenant_id):
        abort(404)
    body: Any = this_request().get_json(silent=True)
    token = body.get("token") if isinstance(body, dict) else None
    if not isinstance(token, str):
        message = 'The body must be JSON with the token of the link: {"method": "token", "token": …}.'
        return jsonify({"message": message}), 400
    # Before the token is used, which works only once: an expired session makes the SDK refresh and retry.
    load_session(app_state, OPTIONAL_SESSION_ONLY)
    verified = _verified(app_state, token, tenant_id)
    return jsonify({"status": "OK" if verified else "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"})


def verify_with_token(app_state: AppState, token: str, *, tenant_id: str) -> VerifiedEmail | None:
    """Use the token of a link, and update the claim in the session of the current request, if it has one.

    :returns: the user and the verified address; ``None`` if the token is invalid.
    """
    emails = core.EmailVerificationCalls(app_state.manager.client)
    verified = emails.verify_email_with_token(token, tenant_id=tenant_id)
    if verified is not None:
        _update_own_session(app_state, verified)
    return verified


def _verified(app_state: AppState, token: str, tenant_id: str) -> bool:
    try:
        return verify_with_token(app_state, token, tenant_id=tenant_id) is not None
    except UnknownTenantError:
        return False


def _update_own_session(app_state: AppState, verified: VerifiedEmail) -> None:
    if not has_request_context() or not app_state.extension.has_emails:
        return
    session = peek_session(app_state)
    if session is None or session.get_user_id() != verified.user_id:
        return
    handle = session.get_handle()
    try:
        app_state.manager.methods.fetch_and_set_claim(built_in.EmailVerificationClaim, session_handle=handle)
    except (UnauthorisedError, CoreUnavailableError) as error:
        # The address is verified and the token is used up, so this must not fail the request.
        logger.warning("Session %r does not know yet that its user's address is verified: %s", handle, error)


def _link(config: Config, request: Request, token: str, tenant_id: str) -> str:
    """Return the link to send: a page of the frontend SDK on the website.

    The ``Origin`` of the request only selects one of the configured websites, so that no request can direct
    a token to another site.
    """
    websites = list(map(str, config.websites))
    sent = request.headers.get("Origin", "")
    website = sent if sent in websites else next(iter(websites), config.own_origin(origin_of_api(request)))
    query = urlencode({"token": token, "tenantId": tenant_id})
    return f"{website}{config.website_base_path}/verify-email?{query}"
