"""Go through the whole life of a session with the unmodified supertokens-python, on the core at ``argv[1]``.

This runs in a virtual environment of its own, so it imports by name. It prints one JSON object; any
exception ends the process with an error.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

ADDRESS = "alice@example.com"


def recipe(name: str) -> Any:
    return import_module(f"supertokens_python.recipe.{name}")


def initialise(uri: str, api_key: str | None) -> None:
    sdk: Any = import_module("supertokens_python")
    email_interfaces: Any = import_module("supertokens_python.recipe.emailverification.interfaces")

    async def email_of(*_: Any) -> Any:
        return email_interfaces.GetEmailForUserIdOkResult(ADDRESS)

    sdk.init(
        app_info=sdk.InputAppInfo(
            app_name="test", api_domain="http://localhost:3001", website_domain="http://localhost:3000"
        ),
        supertokens_config=sdk.SupertokensConfig(uri, api_key),
        framework="flask",
        mode="wsgi",
        telemetry=False,
        recipe_list=[
            recipe("session").init(get_token_transfer_method=lambda *_: "header", anti_csrf="NONE"),
            recipe("userroles").init(),
            recipe("emailverification").init("REQUIRED", get_email_for_recipe_user_id=email_of),
            recipe("multitenancy").init(),
            recipe("usermetadata").init(),
        ],
    )


def go_through() -> dict[str, Any]:
    user = import_module("supertokens_python").RecipeUserId("alice")
    session, roles, emails = (
        recipe(f"{name}.syncio") for name in ("session", "userroles", "emailverification")
    )
    tenants, metadata = (recipe(f"{name}.syncio") for name in ("multitenancy", "usermetadata"))
    role_claims, email_claim = recipe("userroles"), recipe("emailverification").EmailVerificationClaim
    told: dict[str, Any] = {}

    roles.create_new_role_or_add_permissions("admin", ["read", "write"])
    told["added"] = roles.add_role_to_user("public", "alice", "admin").did_user_already_have_role
    created = session.create_new_session_without_request_response("public", user, {"a": 1}, {"b": 2})
    first = created.get_all_session_tokens_dangerously()
    told["user"] = created.get_user_id()
    told["roles"] = created.sync_get_claim_value(role_claims.UserRoleClaim)
    told["permissions"] = sorted(created.sync_get_claim_value(role_claims.PermissionClaim))
    told["verifiedAtFirst"] = created.sync_get_claim_value(email_claim)

    def without_claims(*_: Any) -> list[Any]:
        return []

    verified = session.get_session_without_request_response(
        first["accessToken"], override_global_claim_validators=without_claims
    )
    verified.sync_merge_into_access_token_payload({"c": 3})
    told["payload"] = [verified.get_access_token_payload()[key] for key in ("a", "c")]
    told["data"] = verified.sync_get_session_data_from_database()

    token = emails.create_email_verification_token("public", user, ADDRESS).token
    told["mail"] = emails.verify_email_using_token("public", token).status
    told["isVerified"] = emails.is_email_verified(user, ADDRESS)

    refreshed = session.refresh_session_without_request_response(first["refreshToken"], True)
    second = refreshed.get_all_session_tokens_dangerously()
    after = session.get_session_without_request_response(
        second["accessToken"], check_database=True, override_global_claim_validators=without_claims
    )
    after.sync_fetch_and_set_claim(email_claim)
    told["verifiedAfterwards"] = after.sync_get_claim_value(email_claim)
    handle = after.get_handle()
    told["information"] = session.get_session_information(handle).user_id
    told["handles"] = len(session.get_all_session_handles_for_user("alice"))
    session.update_session_data_in_database(handle, {"b": 4})
    told["jwt"] = "OK" if session.create_jwt({"d": 5}, 60).jwt.count(".") == 2 else "broken"

    tenant_config = recipe("multitenancy.interfaces").TenantConfigCreateOrUpdate(first_factors=["thirdparty"])
    tenants.create_or_update_tenant("acme", tenant_config)
    told["tenant"] = tenants.get_tenant("acme").first_factors
    told["tenants"] = sorted(tenant.tenant_id for tenant in tenants.list_all_tenants().tenants)
    told["elsewhere"] = session.create_new_session_without_request_response("acme", user).get_tenant_id()
    metadata.update_user_metadata("alice", {"e": 6})
    told["metadata"] = metadata.get_user_metadata("alice").metadata

    after.sync_revoke_session()
    told["ended"] = session.get_session_information(handle) is None
    told["revoked"] = len(session.revoke_all_sessions_for_user("alice"))
    try:
        session.refresh_session_without_request_response(second["refreshToken"], True)
    except recipe("session.exceptions").UnauthorisedError as error:
        told["refusal"] = type(error).__name__
    return told


if __name__ == "__main__":
    initialise(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    print(json.dumps(go_through()))
