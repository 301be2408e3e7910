"""Our own routes, as a Blueprint: refresh, sign-out, JWKS, discovery, e-mail verification.

Source: Frontend Driver Interface. They dispatch to the app's extension object, so that an overridden
``refresh_session`` is what the route runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, current_app, jsonify

from . import pages
from .verify import SESSION_ONLY, SESSION_TO_END, load_session, required_session

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.wrappers import Response as BaseResponse

    from ..config.config import Config
    from ..extension import STSession

REFRESH = "/session/refresh"
SIGN_OUT = "/signout"
JWKS = "/jwt/jwks.json"
DISCOVERY = "/.well-known/openid-configuration"
EMAIL_VERIFY = "/user/email/verify"


def make_blueprint(config: Config, *, with_email: bool) -> Blueprint:
    """The routes that ``STSESSION_ROUTES`` asks for.

    :param with_email: can e-mail verification be answered (was ``get_email`` given)?
    """
    blueprint = Blueprint("stsession", __name__, url_prefix=config.api_base_path or None)
    views = {
        "refresh": (REFRESH, "POST", refresh),
        "signout": (SIGN_OUT, "POST", sign_out),
        "jwks": (JWKS, "GET", jwks),
        "openid-configuration": (DISCOVERY, "GET", openid_configuration),
        "email-verify": (EMAIL_VERIFY, "GET", email_verify),
    }
    for name in config.routes:
        if name == "email-verify" and not with_email:
            continue
        path, method, view = views[name]
        blueprint.add_url_rule(path, name.replace("-", "_"), view, methods=[method], strict_slashes=False)
    if config.login_url is not None and "refresh" in config.routes:
        pages.add_routes(blueprint)
    return blueprint


def _extension() -> STSession:
    ext: STSession = current_app.extensions["stsession"]
    return ext


def refresh() -> Response:
    """``POST {base}/session/refresh``: new tokens."""
    _extension().refresh_session()
    return jsonify({})


def sign_out() -> BaseResponse:
    """``POST {base}/signout``: end this request's session; there must be one."""
    ext = _extension()
    load_session(ext, SESSION_TO_END)
    ext.sign_out()
    return pages.signed_out(ext) or jsonify({"status": "OK"})


def jwks() -> Response:
    """``GET {base}/jwt/jwks.json``: the public keys of our tokens (RFC 7517), for anybody."""
    ext = _extension()
    response = jsonify(ext.get_jwks())
    response.headers["Cache-Control"] = f"max-age={int(ext.config.jwks_refresh_seconds)}, must-revalidate"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def openid_configuration() -> Response:
    """``GET {base}/.well-known/openid-configuration`` (OpenID Connect Discovery 1.0, section 4)."""
    response = jsonify(_extension().get_open_id_discovery_configuration())
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def email_verify() -> Response:
    """``GET {base}/user/email/verify``: ask the core, and put its answer into the session's claim."""
    ext = _extension()
    session = required_session(ext, SESSION_ONLY)
    return jsonify({"status": "OK", "isVerified": ext.update_email_verification(session)})
