"""Names and numbers of the wire protocol.

Sources: the Frontend Driver Interface (FDI) for what clients see, the Core Driver
Interface (CDI) for what the core sees. Wire names appear here and in the code that reads
or writes the wire, nowhere else.
"""

from __future__ import annotations

from typing import Final, Literal

# Towards the client (FDI 1.17 to 4.2)
ACCESS_TOKEN_COOKIE: Final = "sAccessToken"
REFRESH_TOKEN_COOKIE: Final = "sRefreshToken"
LEGACY_REFRESH_COOKIE: Final = "sIdRefreshToken"

ACCESS_TOKEN_HEADER: Final = "st-access-token"
REFRESH_TOKEN_HEADER: Final = "st-refresh-token"
FRONT_TOKEN_HEADER: Final = "front-token"
ANTI_CSRF_HEADER: Final = "anti-csrf"
RID_HEADER: Final = "rid"
AUTH_MODE_HEADER: Final = "st-auth-mode"
FDI_VERSION_HEADER: Final = "fdi-version"
#: Ours, not the interface's: why a request was refused, for developers.
REASON_HEADER: Final = "X-STSession-Reason"

#: How the tokens of a session travel.
TransferMethod = Literal["cookie", "header"]
BOTH_METHODS: Final[tuple[TransferMethod, TransferMethod]] = ("cookie", "header")

#: Id of the validator that fails for the session of another tenant.
TENANT_VALIDATOR: Final = "st-tenant"

FRONT_TOKEN_REMOVE: Final = "remove"

#: Request headers that a frontend SDK may send, for ``Access-Control-Allow-Headers``.
CORS_REQUEST_HEADERS: Final = (
    ANTI_CSRF_HEADER,
    RID_HEADER,
    FDI_VERSION_HEADER,
    "authorization",
    AUTH_MODE_HEADER,
)

#: Life of the access-token cookie. The token in it expires much earlier, by its own ``exp``.
ACCESS_COOKIE_LIFETIME_SECONDS: Final = 365 * 24 * 3600

#: Keys of the access-token payload that belong to the session, never to the user.
PROTECTED_CLAIMS: Final = (
    "sub",
    "iat",
    "exp",
    "sessionHandle",
    "parentRefreshTokenHash1",
    "refreshTokenHash1",
    "antiCsrfToken",
    "rsub",
    "tId",
    "stt",
)

#: The claim of a session whose cookies end with the browser (``remember=False``).
REMEMBER_CLAIM: Final = "st-remember"

#: Largest cookie (name, value and attributes) that browsers must keep (RFC 6265, 6.1).
MAX_COOKIE_BYTES: Final = 4096

#: Where clients refresh, below the base path (FDI).
REFRESH_PATH: Final = "/session/refresh"

# Towards the core (CDI)
CDI_VERSIONS: Final = ("4.0", "5.0", "5.1", "5.2", "5.3", "5.4", "5.5", "5.6")
CDI_VERSION_HEADER: Final = "cdi-version"
API_KEY_HEADER: Final = "api-key"
DEFAULT_TENANT: Final = "public"
#: The ids that a core accepts for a tenant, in any case: it keeps them in lower case. Some words would be
#: ambiguous as the first segment of a path.
TENANT_ID: Final = "(?ai)(?!appid-|(?:recipe|config|users|hello)$)[a-z0-9-]+"
#: From this version on a refresh rotates at once and verification writes nothing. A refresh whose response is
#: lost, or a second tab that refreshes late, then looks like theft: never negotiated, only chosen.
CDI_ROTATES_AT_REFRESH: Final = (5, 6)

ALGORITHM: Final = "RS256"
DYNAMIC_KID_PREFIX: Final = "d-"
STATIC_KID_PREFIX: Final = "s-"
