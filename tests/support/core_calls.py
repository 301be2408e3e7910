"""Every call of the client: what it sends, what it makes of the answer, and whether it may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask_stsession.core import EmailVerificationCalls, RoleCalls, TenantCalls, UserMetadataCalls
from flask_stsession.core.client import CoreClient
from flask_stsession.core.emails import VerifiedEmail
from flask_stsession.core.models import (
    CoreSession,
    IssuedTokens,
    RegeneratedSession,
    SessionInformation,
    TokenInfo,
    VerifiedSession,
)
from flask_stsession.core.tenants import Tenant

SESSION = {
    "handle": "h-1",
    "userId": "u-1",
    "recipeUserId": "r-1",
    "tenantId": "acme",
    "userDataInJWT": {"role": "admin"},
}
ACCESS = {"token": "access", "expiry": 2000, "createdTime": 1000}
REFRESH = {"token": "refresh", "expiry": 9000, "createdTime": 1000}
READ_SESSION = CoreSession("h-1", "u-1", {"role": "admin"})
READ_ACCESS = TokenInfo("access", 2000, 1000)
READ_REFRESH = TokenInfo("refresh", 9000, 1000)


@dataclass(frozen=True)
class Call:
    """One call.

    :param do: makes it.
    :param sends: method and path.
    :param answer: what the core says.
    :param result: what the caller gets.
    :param body: the JSON that is sent.
    :param repeatable: may it be sent again when it may have been executed?
    """

    name: str
    do: Callable[[CoreClient], object]
    sends: str
    answer: dict[str, Any]
    result: object
    repeatable: bool
    rid: str | None
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None


def _ok(**body: Any) -> dict[str, Any]:
    return {"status": "OK", **body}


CALLS = (
    Call(
        "create_session",
        lambda c: c.create_session(
            "u-1", tenant_id="acme", payload={"role": "admin"}, database_data={"x": 1}
        ),
        "POST /acme/recipe/session",
        _ok(session=SESSION, accessToken=ACCESS, refreshToken=REFRESH, antiCsrfToken="csrf"),
        IssuedTokens(READ_SESSION, READ_ACCESS, READ_REFRESH),
        False,
        "session",
        body={
            "userId": "u-1",
            "userDataInJWT": {"role": "admin"},
            "userDataInDatabase": {"x": 1},
            "enableAntiCsrf": False,
            "useDynamicSigningKey": True,
        },
    ),
    Call(
        "verify_session",
        lambda c: c.verify_session("access", check_database=True),
        "POST /recipe/session/verify",
        _ok(session=SESSION, accessToken=ACCESS, payloadUpdateAvailable=True),
        VerifiedSession(READ_SESSION, READ_ACCESS, True),
        True,
        "session",
        body={
            "accessToken": "access",
            "doAntiCsrfCheck": False,
            "enableAntiCsrf": False,
            "checkDatabase": True,
        },
    ),
    Call(
        "refresh_session",
        lambda c: c.refresh_session("refresh", enable_anti_csrf=True, use_dynamic_signing_key=False),
        "POST /recipe/session/refresh",
        _ok(session=SESSION, accessToken=ACCESS, refreshToken=REFRESH),
        IssuedTokens(READ_SESSION, READ_ACCESS, READ_REFRESH),
        False,
        "session",
        body={"refreshToken": "refresh", "enableAntiCsrf": True, "useDynamicSigningKey": False},
    ),
    Call(
        "regenerate",
        lambda c: c.regenerate("access", {"a": 1}),
        "POST /recipe/session/regenerate",
        _ok(session=SESSION, accessToken=ACCESS),
        RegeneratedSession(READ_SESSION, READ_ACCESS),
        True,
        "session",
        body={"accessToken": "access", "userDataInJWT": {"a": 1}},
    ),
    Call(
        "get_session_information",
        lambda c: c.get_session_information("h-1_acme"),
        "GET /recipe/session",
        _ok(
            sessionHandle="h-1_acme",
            userId="u-1",
            recipeUserId="r-1",
            tenantId="acme",
            userDataInDatabase={"x": 1},
            userDataInJWT={"a": 1},
            timeCreated=1000,
            expiry=9000,
        ),
        SessionInformation("h-1_acme", "u-1", "r-1", "acme", {"x": 1}, {"a": 1}, 1000, 9000),
        True,
        "session",
        query={"sessionHandle": "h-1_acme"},
    ),
    Call(
        "list_session_handles",
        lambda c: c.list_session_handles("u-1", tenant_id="acme"),
        "GET /recipe/session/user",
        _ok(sessionHandles=["h-1", "h-2"]),
        ["h-1", "h-2"],
        True,
        "session",
        query={"userId": "u-1", "fetchAcrossAllTenants": "true"},
    ),
    Call(
        "list_session_handles of one tenant",
        lambda c: c.list_session_handles("u-1", tenant_id="acme", all_tenants=False),
        "GET /acme/recipe/session/user",
        _ok(sessionHandles=[]),
        [],
        True,
        "session",
        query={"userId": "u-1", "fetchAcrossAllTenants": "false"},
    ),
    Call(
        "revoke_sessions",
        lambda c: c.revoke_sessions(["h-1", "h-2_acme"]),
        "POST /recipe/session/remove",
        _ok(sessionHandlesRevoked=["h-1"]),
        ["h-1"],
        True,
        "session",
        body={"sessionHandles": ["h-1", "h-2_acme"]},
    ),
    Call(
        "revoke_sessions_of_user",
        lambda c: c.revoke_sessions_of_user("u-1"),
        "POST /recipe/session/remove",
        _ok(sessionHandlesRevoked=["h-1"]),
        ["h-1"],
        True,
        "session",
        body={"userId": "u-1", "revokeAcrossAllTenants": True},
    ),
    Call(
        "revoke_sessions_of_user in one tenant",
        lambda c: c.revoke_sessions_of_user("u-1", tenant_id="acme", all_tenants=False),
        "POST /acme/recipe/session/remove",
        _ok(sessionHandlesRevoked=[]),
        [],
        True,
        "session",
        body={"userId": "u-1", "revokeAcrossAllTenants": False},
    ),
    Call(
        "update_session_data",
        lambda c: c.update_session_data("h-1", {"x": 2}),
        "PUT /recipe/session/data",
        _ok(),
        True,
        True,
        "session",
        body={"sessionHandle": "h-1", "userDataInDatabase": {"x": 2}},
    ),
    Call(
        "update_access_token_payload",
        lambda c: c.update_access_token_payload("h-1", {"a": 2}),
        "PUT /recipe/jwt/data",
        _ok(),
        True,
        True,
        "session",
        body={"sessionHandle": "h-1", "userDataInJWT": {"a": 2}},
    ),
    Call(
        "create_jwt",
        lambda c: c.create_jwt({"a": 1}, issuer="https://api.example.com/auth", validity_seconds=60),
        "POST /recipe/jwt",
        _ok(jwt="signed"),
        "signed",
        False,
        "jwt",
        body={
            "payload": {"a": 1},
            "algorithm": "RS256",
            "jwksDomain": "https://api.example.com/auth",
            "validity": 60,
            "useStaticSigningKey": True,
        },
    ),
    Call(
        "get_jwks",
        lambda c: c.get_jwks(),
        "GET /.well-known/jwks.json",
        {"keys": [{"kid": "d-1"}]},
        [{"kid": "d-1"}],
        True,
        None,
    ),
    Call(
        "get_roles_for_user",
        lambda c: RoleCalls(c).get_roles_for_user("u-1", tenant_id="acme"),
        "GET /acme/recipe/user/roles",
        _ok(roles=["admin"]),
        ["admin"],
        True,
        "userroles",
        query={"userId": "u-1"},
    ),
    Call(
        "get_permissions_for_role",
        lambda c: RoleCalls(c).get_permissions_for_role("admin"),
        "GET /recipe/role/permissions",
        _ok(permissions=["read"]),
        ["read"],
        True,
        "userroles",
        query={"role": "admin"},
    ),
    Call(
        "create_role",
        lambda c: RoleCalls(c).create_role("admin", ["read"]),
        "PUT /recipe/role",
        _ok(createdNewRole=True),
        True,
        True,
        "userroles",
        body={"role": "admin", "permissions": ["read"]},
    ),
    Call(
        "remove_permissions",
        lambda c: RoleCalls(c).remove_permissions("admin", ["read"]),
        "POST /recipe/role/permissions/remove",
        _ok(),
        True,
        True,
        "userroles",
        body={"role": "admin", "permissions": ["read"]},
    ),
    Call(
        "delete_role",
        lambda c: RoleCalls(c).delete_role("admin"),
        "POST /recipe/role/remove",
        _ok(didRoleExist=True),
        True,
        True,
        "userroles",
        body={"role": "admin"},
    ),
    Call(
        "list_roles",
        lambda c: RoleCalls(c).list_roles(),
        "GET /recipe/roles",
        _ok(roles=["a"]),
        ["a"],
        True,
        "userroles",
    ),
    Call(
        "get_users_with_role",
        lambda c: RoleCalls(c).get_users_with_role("admin", tenant_id="acme"),
        "GET /acme/recipe/role/users",
        _ok(users=["u-1"]),
        ["u-1"],
        True,
        "userroles",
        query={"role": "admin"},
    ),
    Call(
        "get_roles_with_permission",
        lambda c: RoleCalls(c).get_roles_with_permission("read"),
        "GET /recipe/permission/roles",
        _ok(roles=["admin"]),
        ["admin"],
        True,
        "userroles",
        query={"permission": "read"},
    ),
    Call(
        "add_role_to_user",
        lambda c: RoleCalls(c).add_role_to_user("u-1", "admin", tenant_id="acme"),
        "PUT /acme/recipe/user/role",
        _ok(didUserAlreadyHaveRole=False),
        True,
        True,
        "userroles",
        body={"userId": "u-1", "role": "admin"},
    ),
    Call(
        "remove_role_from_user",
        lambda c: RoleCalls(c).remove_role_from_user("u-1", "admin", tenant_id="acme"),
        "POST /acme/recipe/user/role/remove",
        _ok(didUserHaveRole=True),
        True,
        True,
        "userroles",
        body={"userId": "u-1", "role": "admin"},
    ),
    Call(
        "create_email_verification_token",
        lambda c: EmailVerificationCalls(c).create_email_verification_token("u-1", "a@b.c", tenant_id="acme"),
        "POST /acme/recipe/user/email/verify/token",
        _ok(token="mail-token"),
        "mail-token",
        False,
        "emailverification",
        body={"userId": "u-1", "email": "a@b.c"},
    ),
    Call(
        "verify_email_with_token",
        lambda c: EmailVerificationCalls(c).verify_email_with_token("mail-token", tenant_id="acme"),
        "POST /acme/recipe/user/email/verify",
        _ok(userId="u-1", email="a@b.c"),
        VerifiedEmail("u-1", "a@b.c"),
        False,
        "emailverification",
        body={"method": "token", "token": "mail-token"},
    ),
    Call(
        "is_email_verified",
        lambda c: EmailVerificationCalls(c).is_email_verified("u-1", "a+b@b.c"),
        "GET /recipe/user/email/verify",
        _ok(isVerified=True),
        True,
        True,
        "emailverification",
        query={"userId": "u-1", "email": "a+b@b.c"},
    ),
    Call(
        "unverify_email",
        lambda c: EmailVerificationCalls(c).unverify_email("u-1", "a@b.c"),
        "POST /recipe/user/email/verify/remove",
        _ok(),
        None,
        True,
        "emailverification",
        body={"userId": "u-1", "email": "a@b.c"},
    ),
    Call(
        "revoke_email_verification_tokens",
        lambda c: EmailVerificationCalls(c).revoke_email_verification_tokens(
            "u-1", "a@b.c", tenant_id="acme"
        ),
        "POST /acme/recipe/user/email/verify/token/remove",
        _ok(),
        None,
        True,
        "emailverification",
        body={"userId": "u-1", "email": "a@b.c"},
    ),
    Call(
        "is_oauth2_token_active",
        lambda c: c.is_oauth2_token_active("oauth2-token"),
        "POST /recipe/oauth/introspect",
        _ok(active=True, sub="u-1"),
        True,
        True,
        "oauth2provider",
        body={"token": "oauth2-token"},
    ),
    Call(
        "get_user_metadata",
        lambda c: UserMetadataCalls(c).get_user_metadata("u-1"),
        "GET /recipe/user/metadata",
        _ok(metadata={"a": 1}),
        {"a": 1},
        True,
        "usermetadata",
        query={"userId": "u-1"},
    ),
    Call(
        "update_user_metadata",
        lambda c: UserMetadataCalls(c).update_user_metadata("u-1", {"a": None, "b": [2]}),
        "PUT /recipe/user/metadata",
        _ok(metadata={"b": [2]}),
        {"b": [2]},
        True,
        "usermetadata",
        body={"userId": "u-1", "metadataUpdate": {"a": None, "b": [2]}},
    ),
    Call(
        "clear_user_metadata",
        lambda c: UserMetadataCalls(c).clear_user_metadata("u-1"),
        "POST /recipe/user/metadata/remove",
        _ok(),
        None,
        True,
        "usermetadata",
        body={"userId": "u-1"},
    ),
    Call(
        "create_or_update_tenant",
        lambda c: TenantCalls(c).create_or_update_tenant(
            "acme",
            first_factors=["thirdparty"],
            required_secondary_factors=["totp"],
            core_config={"access_token_validity": 60},
        ),
        "PUT /recipe/multitenancy/tenant/v2",
        _ok(createdNew=True),
        True,
        True,
        "multitenancy",
        body={
            "tenantId": "acme",
            "firstFactors": ["thirdparty"],
            "requiredSecondaryFactors": ["totp"],
            "coreConfig": {"access_token_validity": 60},
        },
    ),
    Call(
        "get_tenant",
        lambda c: TenantCalls(c).get_tenant("acme"),
        "GET /acme/recipe/multitenancy/tenant/v2",
        _ok(
            tenantId="acme",
            thirdParty={"providers": []},
            firstFactors=["totp"],
            requiredSecondaryFactors=None,
            coreConfig={"a": 1},
        ),
        Tenant("acme", ("totp",), None, {"a": 1}),
        True,
        "multitenancy",
    ),
    Call(
        "list_tenants",
        lambda c: TenantCalls(c).list_tenants(),
        "GET /recipe/multitenancy/tenant/list/v2",
        _ok(tenants=[{"tenantId": "public"}, {"tenantId": "acme", "firstFactors": []}]),
        [Tenant("public"), Tenant("acme", ())],
        True,
        "multitenancy",
    ),
    Call(
        "delete_tenant",
        lambda c: TenantCalls(c).delete_tenant("acme"),
        "POST /recipe/multitenancy/tenant/remove",
        _ok(didExist=True),
        True,
        True,
        "multitenancy",
        body={"tenantId": "acme"},
    ),
    Call(
        "associate_user_to_tenant",
        lambda c: TenantCalls(c).associate_user_to_tenant("acme", "r-1"),
        "POST /acme/recipe/multitenancy/tenant/user",
        _ok(wasAlreadyAssociated=False),
        "OK",
        True,
        "multitenancy",
        body={"recipeUserId": "r-1"},
    ),
    Call(
        "disassociate_user_from_tenant",
        lambda c: TenantCalls(c).disassociate_user_from_tenant("acme", "r-1"),
        "POST /acme/recipe/multitenancy/tenant/user/remove",
        _ok(wasAssociated=True),
        True,
        True,
        "multitenancy",
        body={"recipeUserId": "r-1"},
    ),
)
