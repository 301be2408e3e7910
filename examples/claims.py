"""Claims: facts that a session states about its user, and checks of them.

    python examples/claims.py [--host 127.0.0.1] [--port 5000]

Three things that most apps need, each in a few lines:

1. roles and their permissions, stored in the core;
2. a second factor, which every other view requires;
3. a custom claim with a custom validator: the plan that the user has paid for.

Alice is an admin, Bob is an editor, and all other users have no role. With curl::

    alias call='curl -b jar -c jar -H "st-auth-mode: cookie"'
    call localhost:5000/login -d user=bob
    call localhost:5000/me                                  # 403: the second factor is missing
    call localhost:5000/second-factor -d code=123456
    call localhost:5000/me
    call localhost:5000/articles -d title=Claims            # editors may
    call -X DELETE localhost:5000/articles/Claims           # 403: only admins may
    call localhost:5000/reports                             # 403: not in the free plan
    call localhost:5000/plan -d plan=pro
    call localhost:5000/reports

It needs no core: the embedded one keeps sessions and roles in the instance folder next to this file.
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

#: False in a new session; ``/second-factor`` sets it to true.
SecondFactorClaim = BooleanClaim("2fa-completed", lambda *_: False)


def without_second_factor(
    validators: list[SessionClaimValidator], _session: object, _user_context: object
) -> list[SessionClaimValidator]:
    """Return the global validators without the second factor, for views that must work before it is given."""
    return [validator for validator in validators if validator.claim is not SecondFactorClaim]


# --- A custom claim -----------------------------------------------------------------------------------------

#: Plans from the smallest to the largest, and the plans of users; a real app has tables for this.
PLANS = ["free", "pro", "team"]
PLAN_OF = {"alice": "team"}


def fetch_plan(user_id: str, _tenant_id: str, _user_context: dict[str, Any]) -> str:
    """Return the value of the claim; ``None`` would omit the claim. May also be ``async def``."""
    return PLAN_OF.get(user_id, "free")


#: Stored in the access token. Validators fetch it again if it is older than a minute.
PlanClaim: PrimitiveClaim[str] = PrimitiveClaim("plan", fetch_plan, default_max_age_in_sec=60)


class PlanIsAtLeast(SessionClaimValidator):
    """Require a plan or a larger one; ``PlanClaim.validators.has_value`` accepts exactly one plan.

    :param plan: the smallest plan that passes.
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
    """Return the app of this example.

    :param settings: override those of the example and of the environment.
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
    add_help(app)
    add_login(app)
    add_articles(app)
    add_plans(app)
    return app


def add_help(app: Flask) -> None:
    """Add a first page: what this example shows, and the calls to try, ready to paste."""

    @app.get("/")
    def index() -> ResponseReturnValue:
        explanation = (__doc__ or "").replace("localhost:5000", request.host)
        return explanation, {"Content-Type": "text/plain; charset=utf-8"}


def add_login(app: Flask) -> None:
    """Add a login in two steps: a password (omitted here), then the code of a second factor."""

    @app.post("/login")
    def login() -> ResponseReturnValue:
        user = request.form["user"].strip()
        if not user or len(user) > 60 or not user.isprintable():  # it is in every token
            return {"status": "INVALID_USER"}, 400
        create_new_session(user)  # a real app checks a password first
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
    """Create roles with their permissions, and give them to users; may run repeatedly.

    A real app does this once: ``flask --app app stsession roles create admin article:write article:delete``.
    """
    userroles.create_new_role_or_add_permissions("editor", ["article:write"])
    userroles.create_new_role_or_add_permissions("admin", ["article:write", "article:delete"])
    userroles.add_role_to_user("alice", "admin")
    userroles.add_role_to_user("bob", "editor")


def add_articles(app: Flask) -> None:
    """Add views that require a role or a permission."""
    articles: set[str] = set()

    @app.post("/articles")
    @verify_session(permissions="article:write")
    def write() -> ResponseReturnValue:
        articles.add(request.form["title"])
        return {"articles": sorted(articles)}

    # The permissions in the token may be up to five minutes old. 0 asks the core now.
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
    """Add a view that requires a paid plan, and one that changes the plan."""

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
        g.session.fetch_and_set_claim(PlanClaim)  # otherwise the old plan counts for up to a minute
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
    print(f"Listening on http://{options.host}:{server.port} (press Ctrl+C to stop)", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
