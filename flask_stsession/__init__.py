"""SuperTokens sessions for Flask, verified in microseconds, with or without a core.

Names are imported when first used (PEP 562), so that ``flask_stsession.claims`` and the lower layers
can be used where there is no Flask.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.models import SessionInformation
    from .decorators import any_of, session_exempt, verify_session
    from .errors import (
        ClaimValidationError,
        ClearDuplicateSessionCookiesError,
        ConfigError,
        CoreError,
        CoreUnavailableError,
        InvalidClaimsError,
        ProtectedClaimError,
        Reason,
        SessionDoesNotExistError,
        SessionHTTPError,
        STSessionError,
        TokenTheftError,
        TryRefreshTokenError,
        UnauthorisedError,
        raise_invalid_claims_exception,
    )
    from .extension import STSession
    from .functions import (
        create_jwt,
        create_new_session,
        create_new_session_without_request_response,
        fetch_and_set_claim,
        get_all_cors_headers,
        get_all_session_handles_for_user,
        get_claim_value,
        get_jwks,
        get_open_id_discovery_configuration,
        get_session,
        get_session_information,
        get_session_without_request_response,
        list_sessions,
        merge_into_access_token_payload,
        next_url,
        openapi_security_schemes,
        refresh_session,
        refresh_session_without_request_response,
        remove_claim,
        revoke_all_sessions_for_user,
        revoke_multiple_sessions,
        revoke_session,
        set_claim_value,
        sign_out,
        sync_get_claim_value,
        update_session_data_in_database,
        validate_claims_for_session_handle,
        verify_access_token,
    )
    from .proxies import current_session, current_user
    from .session import Session, SessionContainer

_HOMES = {
    "core.models": ("SessionInformation",),
    "decorators": ("any_of", "session_exempt", "verify_session"),
    "errors": (
        "ClaimValidationError",
        "ClearDuplicateSessionCookiesError",
        "ConfigError",
        "CoreError",
        "CoreUnavailableError",
        "InvalidClaimsError",
        "ProtectedClaimError",
        "Reason",
        "STSessionError",
        "SessionDoesNotExistError",
        "SessionHTTPError",
        "TokenTheftError",
        "TryRefreshTokenError",
        "UnauthorisedError",
        "raise_invalid_claims_exception",
    ),
    "extension": ("STSession",),
    "functions": (
        "create_jwt",
        "create_new_session",
        "create_new_session_without_request_response",
        "fetch_and_set_claim",
        "get_all_cors_headers",
        "get_all_session_handles_for_user",
        "get_claim_value",
        "get_jwks",
        "get_open_id_discovery_configuration",
        "get_session",
        "get_session_information",
        "get_session_without_request_response",
        "list_sessions",
        "merge_into_access_token_payload",
        "next_url",
        "openapi_security_schemes",
        "refresh_session",
        "refresh_session_without_request_response",
        "remove_claim",
        "revoke_all_sessions_for_user",
        "revoke_multiple_sessions",
        "revoke_session",
        "set_claim_value",
        "sign_out",
        "sync_get_claim_value",
        "update_session_data_in_database",
        "validate_claims_for_session_handle",
        "verify_access_token",
    ),
    "proxies": ("current_session", "current_user"),
    "session": ("Session", "SessionContainer"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ClaimValidationError",
    "ClearDuplicateSessionCookiesError",
    "ConfigError",
    "CoreError",
    "CoreUnavailableError",
    "InvalidClaimsError",
    "ProtectedClaimError",
    "Reason",
    "STSession",
    "STSessionError",
    "Session",
    "SessionContainer",
    "SessionDoesNotExistError",
    "SessionHTTPError",
    "SessionInformation",
    "TokenTheftError",
    "TryRefreshTokenError",
    "UnauthorisedError",
    "any_of",
    "create_jwt",
    "create_new_session",
    "create_new_session_without_request_response",
    "current_session",
    "current_user",
    "fetch_and_set_claim",
    "get_all_cors_headers",
    "get_all_session_handles_for_user",
    "get_claim_value",
    "get_jwks",
    "get_open_id_discovery_configuration",
    "get_session",
    "get_session_information",
    "get_session_without_request_response",
    "list_sessions",
    "merge_into_access_token_payload",
    "next_url",
    "openapi_security_schemes",
    "raise_invalid_claims_exception",
    "refresh_session",
    "refresh_session_without_request_response",
    "remove_claim",
    "revoke_all_sessions_for_user",
    "revoke_multiple_sessions",
    "revoke_session",
    "session_exempt",
    "set_claim_value",
    "sign_out",
    "sync_get_claim_value",
    "update_session_data_in_database",
    "validate_claims_for_session_handle",
    "verify_access_token",
    "verify_session",
]


def __getattr__(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
