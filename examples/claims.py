"""Claims: what a session proves beyond who its user is.

    python examples/claims.py [--host 127.0.0.1] [--port 5000]

Three things that most apps need, each in a few lines:

1. roles, and what they permit, kept in the core;
2. a second factor, without which nothing works but giving it;
3. a claim and a validator of one's own: which plan has the user paid for?

Alice is an admin, bob is an editor, anybody else is neither. With curl::

    alias call='curl -b jar -c jar -H "st-auth-mode: cookie"'
    call localhost:5000/login -d user=bob
    call localhost:5000/me                                  # 403: the second factor is missing
    call localhost:5000/second-factor -d code=123456
    call localhost:5000/me
    call localhost:5000/articles -d title=Claims            # editors may
    call -X DELETE localhost:5000/articles/Claims           # 403: only admins may
    call localhost:5000/reports                             # 403: not on a free plan
    call localhost:5000/plan -d plan=pro
    call localhost:5000/reports

Needs no core: the embedded one keeps sessions and roles in the instance folder beside this file.
"""

from __future__ import annotations

import argparse
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, g, request
from flask.typing import ResponseReturnValue
from werkzeug.serving import make_server

from flask_stsession import STSession, create_new_session, userroles, verify_session
from flask_stsession.claims import (
    BooleanClaim,
    ClaimValidationResult,
    PermissionClaim,
    PrimitiveClaim,
    SessionClaimValidator,
    UserRoleClaim,
)

# --- The second factor --------------------------------------------------------------------------------------

#: Nobody has given it when the session is made; ``/second-factor`` sets it to true.
SecondFactorClaim = BooleanClaim("2fa-completed", lambda *_: False)


def without_second_factor(
    validators: list[SessionClaimValidator], _session: object, _user_context: object
) -> list[SessionClaimValidator]:
    """The global validators, for views that must work before the second factor was given."""
    return [validator for validator in validators if validator.claim is not SecondFactorClaim]


# --- A claim of our own -------------------------------------------------------------------------------------

#: Plans, from the smallest on, and who is on which; an app has tables for this.
PLANS = ["free", "pro", "team"]
PLAN_OF = {"alice": "team"}


def fetch_plan(user_id: str, _tenant_id: str, _user_context: dict[str, Any]) -> str:
    """Where the claim comes from; may also be ``async def``. ``None`` would leave the claim away."""
    return PLAN_OF.get(user_id, "free")


#: Lies in the access token, and is fetched again by validators that find it older than a minute.
PlanClaim: PrimitiveClaim[str] = PrimitiveClaim("plan", fetch_plan, default_max_age_in_sec=60)


class PlanIsAtLeast(SessionClaimValidator):
    """The user's plan is this one or a larger one; ``PlanClaim.validators.has_value`` knows only this one.

    :param plan: the smallest plan that will do.
    """

    claim = PlanClaim

    def __init__(self, plan: str) -> None:
        super().__init__("plan")
        self.wanted = plan

    def should_refetch(self, payload: dict[str, Any], user_context: dict[str, Any]) -> bool:
        fetched_at = PlanClaim.get_last_refetch_time(payload, user_context)
        return fetched_at is None or PlanClaim.now_ms(user_context) - fetched_at > 60_000

    def validate(self, payload: dict[str, Any], user_context: dict[str, Any]) -> ClaimValidationResult:
        plan = PlanClaim.get_value_from_payload(payload, user_context)
        if plan in PLANS and PLANS.index(plan) >= PLANS.index(self.wanted):
            return ClaimValidationResult(True)
        reason = {"message": "plan is too small", "expectedAtLeast": self.wanted, "actualValue": plan}
        return ClaimValidationResult(False, reason)


# --- The app ------------------------------------------------------------------------------------------------


def create_app(settings: Mapping[str, Any] | None = None) -> Flask:
    """The app of this example.

    :param settings: go before those of the example and of the environment.
    """
    app = Flask(__name__, instance_path=str(Path(__file__).resolve().with_name("instance")))
    app.config["STSESSION_CONNECTION_URI"] = "embedded:"
    app.config.from_prefixed_env()
    app.config.from_mapping(settings or {})
    STSession(
        app,
        claims=[UserRoleClaim, PermissionClaim, SecondFactorClaim, PlanClaim],
        global_claim_validators=[SecondFactorClaim.validators.is_true()],
    )
    with app.app_context():
        set_up_roles()
    add_login(app)
    add_articles(app)
    add_plans(app)
    return app


def add_login(app: Flask) -> None:
    """Two steps: a password (left out here), then the code of a second factor."""

    @app.post("/login")
    def login() -> ResponseReturnValue:
        create_new_session(request.form["user"])  # a real app checks a password first
        return {"status": "OK"}

    @app.post("/second-factor")
    @verify_session(override_global_claim_validators=without_second_factor)
    def second_factor() -> ResponseReturnValue:
        code = request.form["code"].encode()
        if not hmac.compare_digest(code, b"123456"):  # a real app checks a one-time code
            return {"status": "WRONG_CODE"}, 400
        g.session.set_claim_value(SecondFactorClaim, True)
        return {"status": "OK"}

    @app.get("/me")
    @verify_session()
    def me() -> ResponseReturnValue:
        return {
            "userId": g.session.get_user_id(),
            "roles": g.session.get_claim_value(UserRoleClaim),
            "permissions": g.session.get_claim_value(PermissionClaim),
            "plan": g.session.get_claim_value(PlanClaim),
        }


# --- Roles and permissions ----------------------------------------------------------------------------------


def set_up_roles() -> None:
    """Roles with what they permit, and who has them; may run again and again.

    A real app does this once: ``flask --app app stsession roles create admin article:write article:delete``.
    """
    userroles.create_new_role_or_add_permissions("editor", ["article:write"])
    userroles.create_new_role_or_add_permissions("admin", ["article:write", "article:delete"])
    userroles.add_role_to_user("alice", "admin")
    userroles.add_role_to_user("bob", "editor")


def add_articles(app: Flask) -> None:
    """Views for those who have a role, or a permission."""
    articles: set[str] = set()

    @app.post("/articles")
    @verify_session(permissions="article:write")
    def write() -> ResponseReturnValue:
        articles.add(request.form["title"])
        return {"articles": sorted(articles)}

    # The token may say for five minutes what is no longer true. 0: where it matters, ask the core now.
    @app.delete("/articles/<title>")
    @verify_session(permissions="article:delete", max_age_in_sec=0)
    def delete(title: str) -> ResponseReturnValue:
        articles.discard(title)
        return {"articles": sorted(articles)}

    @app.delete("/users/<user_id>/roles/<role>")
    @verify_session(roles="admin", max_age_in_sec=0)
    def take_role(user_id: str, role: str) -> ResponseReturnValue:
        return {"taken": userroles.remove_user_role(user_id, role)}


def add_plans(app: Flask) -> None:
    """A view for those who pay, and one that has them do so."""

    @app.get("/reports")
    @verify_session(validators=[PlanIsAtLeast("pro")])
    def reports() -> ResponseReturnValue:
        return {"reports": ["Who reads what"]}

    @app.post("/plan")
    @verify_session()
    def change_plan() -> ResponseReturnValue:
        plan = request.form["plan"]
        if plan not in PLANS:
            return {"status": "UNKNOWN_PLAN"}, 400
        PLAN_OF[g.session.get_user_id()] = plan  # a real app is paid first
        g.session.fetch_and_set_claim(PlanClaim)  # do not wait until the old one is a minute old
        return {"plan": plan}


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the app until it is interrupted."""
    parser = argparse.ArgumentParser(description="A Flask app with roles, a second factor and plans.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", default=5000, type=int, help="port to listen on; 0 takes a free one (default: 5000)"
    )
    options = parser.parse_args(arguments)
    server = make_server(options.host, options.port, create_app(), threaded=True)
    print(f"Listening on http://{options.host}:{server.port} until Ctrl+C.", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
