"""Our own routes, as a Blueprint: refresh, sign-out, JWKS, discovery, and e-mail verification.

Source: Frontend Driver Interface. The routes call the app's extension object, and so run an overridden
``refresh_session``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import jsonify

from ..constants import REFRESH_PATH
from ..errors import Reason, TryRefreshTokenError
from . import carrying, email_verification, login, pages
from .base import NAME
from .blueprint import RoutesBlueprint
from .context import current_app_state, this_app
from .options import SESSION_TO_END
from .verify import load_session

if TYPE_CHECKING:
    from flask import Blueprint, Flask, Response
    from werkzeug.wrappers import Response as BaseResponse

    from ..config.config import Config
    from .base import Extension

_KEY_LEAD_SECONDS = 60.0

SIGN_OUT = "/signout"
JWKS = "/jwt/jwks.json"
DISCOVERY = "/.well-known/openid-configuration"


def make_blueprint(app: Flask, config: Config, *, with_email: bool) -> Blueprint:
    """Return a Blueprint of the routes that ``STSESSION_ROUTES`` names.

    :param with_email: whether the app has given a ``get_email``, which e-mail verification needs.
    """
    blueprint = RoutesBlueprint(app, config)
    views = {
        "refresh": (REFRESH_PATH, "POST", refresh),
        "signout": (SIGN_OUT, "POST", sign_out),
        "jwks": (JWKS, "GET", jwks),
        "openid-configuration": (DISCOVERY, "GET", openid_configuration),
    }
    for name in filter(views.__contains__, config.routes):
        path, method, view = views[name]
        blueprint.add_url_rule(path, name.replace("-", "_"), view, methods=[method], strict_slashes=False)
    if with_email and "email-verify" in config.routes:
        email_verification.add_routes(blueprint)
    if config.login_url is not None and "refresh" in config.routes:
        carrying.add_routes(blueprint)
    return blueprint


def refresh() -> Response:
    """``POST {base}/session/refresh``: exchange the refresh token for new tokens."""
    extension: Extension = this_app().extensions[NAME]
    extension.refresh_session()
    return jsonify({})


def sign_out() -> BaseResponse:
    """``POST {base}/signout``: end this request's session, which is required."""
    app_state = current_app_state()
    login.refuse_foreign_sign_out(app_state)
    try:
        load_session(app_state, SESSION_TO_END)
    except TryRefreshTokenError as error:
        is_unverifiable = error.reason in (Reason.UNKNOWN_KID, Reason.BAD_SIGNATURE)
        if not is_unverifiable or not login.refresh_tokens_of(app_state):
            raise
    app_state.extension.sign_out()
    return pages.signed_out(app_state) or jsonify({"status": "OK"})


def jwks() -> Response:
    """``GET {base}/jwt/jwks.json``: return the public keys of our tokens (RFC 7517), to any client."""
    app_state = current_app_state()
    response = jsonify(app_state.extension.get_jwks())
    age = int(app_state.manager.keys.age_seconds())
    max_age = max(0, int(_key_lead_seconds(app_state.config)) - age)
    response.headers["Cache-Control"] = f"max-age={max_age}, must-revalidate"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def openid_configuration() -> Response:
    """``GET {base}/.well-known/openid-configuration``: OpenID Connect Discovery 1.0, section 4."""
    response = jsonify(current_app_state().extension.get_open_id_discovery_configuration())
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _key_lead_seconds(config: Config) -> float:
    """Return how long a new key is published before it signs: caches may keep the set no longer.

    A SuperTokens core publishes keys 60 s ahead. The embedded core does too, or half the rotation interval
    ahead if that is shorter.
    """
    interval_hours = config.embedded_core.get("access_token_dynamic_signing_key_update_interval")
    if not config.is_embedded or interval_hours is None:
        return _KEY_LEAD_SECONDS
    return min(_KEY_LEAD_SECONDS, float(interval_hours) * 3600 / 2)


def discovery_document(issuer: str, *, base_url: str) -> dict[str, Any]:
    """Return the discovery document of an issuer (OpenID Connect Discovery 1.0, section 3).

    :param issuer: the ``iss`` of our tokens.
    :param base_url: the URL of our routes.
    """
    endpoints = {
        "authorization_endpoint": "auth",
        "token_endpoint": "token",
        "userinfo_endpoint": "userinfo",
        "revocation_endpoint": "revoke",
        "token_introspection_endpoint": "introspect",
        "end_session_endpoint": "end_session",
    }
    return {
        "issuer": issuer,
        "jwks_uri": base_url + JWKS,
        **{name: f"{base_url}/oauth/{path}" for name, path in endpoints.items()},
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "id_token token"],
    }
