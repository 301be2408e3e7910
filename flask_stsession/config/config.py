"""The settings of one app, read once from ``app.config`` and never changed.

Each field of :class:`Config` is one key, with its default, type and documentation. Values that depend on
several keys (SameSite, Secure, anti-CSRF, issuer) are methods, because they depend on the origin of the
request where ``STSESSION_API_DOMAIN`` is not set; where it is, the result is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from ..constants import (
    ACCESS_TOKEN_COOKIE,
    CDI_VERSIONS,
    LEGACY_REFRESH_COOKIE,
    REFRESH_PATH,
    REFRESH_TOKEN_COOKIE,
)
from ..errors import ConfigError
from ..messages import show
from . import values as read
from .domains import Origin, Sites, normal_origin, origin_of
from .values import setting

SameSite = Literal["lax", "strict", "none"]
AntiCsrf = Literal["VIA_TOKEN", "VIA_CUSTOM_HEADER", "VIA_ORIGIN", "NONE"]
AllowedTransfer = Literal["any", "cookie", "header"]

ALLOWED_TRANSFERS: Final[tuple[AllowedTransfer, ...]] = ("any", "cookie", "header")
ROUTE_NAMES: Final = ("refresh", "signout", "jwks", "openid-configuration", "email-verify")

_TEN_YEARS: Final = 10 * 365 * 24 * 3600
#: Sockets store their timeouts as 31 bits of milliseconds; an hour is more than enough.
_LONGEST_TIMEOUT: Final = 3600


class Decisions(NamedTuple):
    """The attributes of cookies and the anti-CSRF mode that follow from settings and API origin."""

    same_site: SameSite
    secure: bool
    anti_csrf: AntiCsrf


class CookieNames(NamedTuple):
    """The names of the session's cookies.

    :param legacy: the cookie of SDKs older than 2022; ``None`` with a prefix, which those never used.
    :param start: how the access token's cookie starts in the header ``Cookie``.
    """

    access: str
    refresh: str
    legacy: str | None
    start: str

    @classmethod
    def with_prefix(cls, prefix: str) -> CookieNames:
        """Return the names with ``STSESSION_COOKIE_PREFIX`` before them."""
        legacy = None if prefix else LEGACY_REFRESH_COOKIE
        access = prefix + ACCESS_TOKEN_COOKIE
        return cls(access, prefix + REFRESH_TOKEN_COOKIE, legacy, f"{access}=")


class Config:
    """The settings of one app. The key of an attribute is its name in capitals, after ``STSESSION_``.

    In all methods, ``api_origin`` is ``request.root_url`` or its origin, used where ``API_DOMAIN`` is not
    set, and ``script_root`` is ``request.script_root``, used where ``API_GATEWAY_PATH`` is not set.

    :param values: the values that the app has set, by attribute, as the settings have read them.
    :param sites: tells sites apart; uses the installed public suffix list if omitted.
    """

    connection_uri: str = setting(
        read.core_address,
        "Where the core is: `embedded:` (SQLite in the instance folder), `embedded:/path/file.db`, "
        "`embedded:relative.db`, `embedded::memory:`, or a core's URL, with its path if it has one, such "
        "as `/appid-x`; several hosts are separated by `;`.",
        default=read.EMBEDDED,
        example="https://core.example.com:3567",
    )
    api_key: str | None = setting(
        read.api_key,
        "The core's API key.",
        secret=True,
        example="the-key-of-your-core",
    )
    embedded_core: Mapping[str, Any] = setting(
        read.mapping,
        "Settings of the in-process core, keys as in a core's config.yaml; refused with another core.",
        default=MappingProxyType({}),
        secret=True,
        example={"access_token_validity": 3600},
        otherwise="{}",
    )
    cdi_version: str | None = setting(
        read.version(*CDI_VERSIONS),
        "Speak this version of the core's interface and no other. 5.6 is never negotiated: it saves a "
        "call to the core after each refresh, but a refresh whose response is lost, or a second tab that "
        "refreshes late, counts as token theft after a grace period (30 s).",
        example=CDI_VERSIONS[-2],
        otherwise="the highest that the core speaks, up to 5.5",
    )
    issuer: str | None = setting(
        read.issuer,
        "The `iss` of new tokens and of the discovery document.",
        example="https://id.example.com",
        otherwise="`API_DOMAIN`, gateway path and base path",
    )
    audience: tuple[str, ...] | None = setting(
        read.audience,
        "The `aud` of new sessions: one name, or several.",
        example="https://api.example.com",
    )
    api_domain: str | None = setting(
        read.origin,
        "Scheme and host of this API. If not set, the app is in local development: Secure, SameSite "
        "and issuer follow the request, and no session is created on a public host.",
        example="https://api.example.com",
    )
    website_domain: tuple[str, ...] | None = setting(
        read.origins,
        "Scheme and host of the website, or several; the origin of an app shell, such as "
        "`capacitor://localhost`, exactly as it is sent.",
        example="https://www.example.com",
        otherwise="`API_DOMAIN`",
    )
    website_base_path: str = setting(
        read.url_path,
        "The path of the frontend SDK's pages on the website, for links in e-mails.",
        default="/auth",
        example="/account",
    )
    api_base_path: str = setting(
        read.url_path,
        "The path of this package's own routes.",
        default="/auth",
    )
    api_gateway_path: str | None = setting(
        read.url_path,
        "The path that a gateway puts before the paths of this app.",
        example="/gateway",
        otherwise="`request.script_root`",
    )
    token_transfer_method: AllowedTransfer | Callable[..., Any] = setting(
        read.function_or_one_of(*ALLOWED_TRANSFERS, parameters=("request", "for_create_new_session")),
        "How tokens travel: `any`, `cookie`, `header`, or a function "
        "`f(request, for_create_new_session)` that returns one of them.",
        default="any",
        example="cookie",
    )
    cookie_domain: str | None = setting(
        read.cookie_domain,
        "The domain of the session's cookies.",
        example=".example.com",
    )
    older_cookie_domain: str | None = setting(
        read.optional_cookie_domain,
        "The domain that the cookies had before `COOKIE_DOMAIN` was changed; empty if they had none.",
        example=".example.com",
    )
    cookie_secure: bool | None = setting(
        read.boolean,
        "Send cookies over https only.",
        example=True,
        otherwise="whether `API_DOMAIN` is https",
    )
    cookie_same_site: SameSite | None = setting(
        read.one_of("lax", "strict", "none"),
        "SameSite of the cookies: `lax`, `strict` or `none`.",
        example="lax",
        otherwise="`none` where API and website are two sites, else `lax`",
    )
    cookie_partitioned: bool = setting(
        read.boolean,
        "Keep the cookies of each embedding site apart (CHIPS), for apps in frames of other sites; needs "
        "https and SameSite `none`.",
        default=False,
        example=True,
    )
    anti_csrf: AntiCsrf | None = setting(
        read.one_of("VIA_TOKEN", "VIA_CUSTOM_HEADER", "VIA_ORIGIN", "NONE"),
        "Anti-CSRF for sessions by cookie: `VIA_TOKEN` (header `anti-csrf`), `VIA_CUSTOM_HEADER` (header "
        "`rid`), `VIA_ORIGIN` (headers that browsers set) or `NONE`.",
        example="VIA_CUSTOM_HEADER",
        otherwise="`VIA_CUSTOM_HEADER` where SameSite is `none`; else `VIA_ORIGIN` with `LOGIN_URL`; "
        "else `NONE`",
    )
    cookie_prefix: str = setting(
        read.cookie_prefix,
        "Text before the names of the session's cookies, to keep two apps on one host name apart.",
        default="",
        example="shop_",
        otherwise="none",
    )
    session_expired_status_code: int = setting(
        read.number(400, 599, whole=True),
        "HTTP status when there is no valid session.",
        default=401,
    )
    invalid_claim_status_code: int = setting(
        read.number(400, 599, whole=True),
        "HTTP status when a claim is not satisfied.",
        default=403,
    )
    expose_access_token_to_frontend_in_cookie_based_auth: bool = setting(
        read.boolean,
        "Also send the access token of a cookie session by header.",
        default=False,
        example=True,
    )
    use_dynamic_access_token_signing_key: bool = setting(
        read.boolean,
        "Sign access tokens with the key that the core renews.",
        default=True,
    )
    check_database: bool = setting(
        read.boolean,
        "Ask the core at every verification.",
        default=False,
        example=True,
    )
    check_database_ttl_seconds: float = setting(
        read.number(0, _TEN_YEARS),
        "How long the result of such a check is reused (s).",
        default=0,
        example=5,
    )
    jwks_refresh_seconds: float = setting(
        read.number(0, _TEN_YEARS, above=True),
        "Age at which signing keys are refetched (s).",
        default=60,
    )
    jwks_max_stale_seconds: float = setting(
        read.number(0, _TEN_YEARS),
        "Age up to which keys are used while the core does not answer (s).",
        default=86400,
    )
    jwks_cooldown_seconds: float = setting(
        read.number(0, _TEN_YEARS),
        "At most one fetch for unknown keys in this time (s).",
        default=10,
    )
    core_timeout_seconds: tuple[float, float] = setting(
        read.timeouts(_LONGEST_TIMEOUT),
        "Timeouts of a call to the core: connect and read (s); one number sets both.",
        default=(2, 10),
    )
    core_proxy: str | None = setting(
        read.proxy,
        "The http(s) proxy on the way to the core, as a URL; proxies in the environment are not used.",
        secret=True,
        example="http://proxy.example.com:3128",
    )
    core_tls: Mapping[str, str] = setting(
        read.tls_files,
        "Files for TLS towards the core: `ca` (authorities to trust instead of the usual ones), `cert` "
        "(our certificate) and `key` (its key, if it is not in `cert`).",
        default=MappingProxyType({}),
        example={"ca": "/etc/ssl/core-ca.pem"},
        otherwise="{}",
    )
    core_max_response_bytes: int = setting(
        read.number(1024, 2**31 - 1, whole=True),
        "Refuse responses of the core larger than this (bytes).",
        default=10 * 1024 * 1024,
    )
    core_cache_ttl_seconds: float = setting(
        read.number(0, _TEN_YEARS),
        "How long responses of the core are cached (s); 0: not at all.",
        default=30,
    )
    verified_token_cache_size: int = setting(
        read.number(0, 10_000_000, whole=True),
        "How many verified tokens are cached; 0: none.",
        default=10000,
    )
    max_access_token_bytes: int = setting(
        read.number(1024, 1024 * 1024, whole=True),
        "Largest access token that travels by header (bytes); by cookie it is 4096 with the attributes.",
        default=8192,
    )
    claim_max_age_seconds: float | None = setting(
        read.optional_number(read.number(0, _TEN_YEARS)),
        "Age at which built-in claims are refetched (s); None: only when missing.",
        default=300,
    )
    login_url: str | None = setting(
        read.endpoint_or_path,
        "Endpoint or path of the login page, for server-rendered pages.",
        example="/login",
    )
    routes: tuple[str, ...] = setting(
        read.names_of(*ROUTE_NAMES),
        f"Which of the package's routes are served: True, False, or some of {', '.join(ROUTE_NAMES)}.",
        default=ROUTE_NAMES,
        example=("refresh", "signout"),
        otherwise="True",
    )
    host: str | None = setting(
        read.host,
        "The host of the package's routes, with its port, in an app that matches hosts.",
        example="api.example.com",
        otherwise="any",
    )
    subdomain: str | None = setting(
        read.subdomain,
        "The subdomain of the package's routes in an app that matches subdomains; empty: no subdomain, "
        "`SERVER_NAME` itself.",
        example="api",
        otherwise="any",
    )

    #: The keys that the app has set, with their prefix; a default may have been set on purpose.
    keys_set: frozenset[str]
    sites: Sites

    def __init__(
        self, values: Mapping[str, Any] = MappingProxyType({}), *, sites: Sites | None = None
    ) -> None:
        defaults = {each.name: each.default for each in SETTINGS.values()}
        if not values.keys() <= defaults.keys():
            raise TypeError(f"There is no setting {', '.join(sorted(values.keys() - defaults.keys()))}.")
        keys_set = frozenset(map(read.key_of, values))
        vars(self).update(defaults, **values, keys_set=keys_set, sites=sites or Sites())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} cannot be changed: settings are read from app.config, once.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name} cannot be removed: settings are read from app.config, once.")

    def __repr__(self) -> str:
        shown = (each for key, each in SETTINGS.items() if key in self.keys_set and not each.secret)
        values = (f"{each.name}={show(getattr(self, each.name))}" for each in shown)
        return f"<Config {', '.join(values)}>"

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any], *, sites: Sites | None = None) -> Config:
        """Read the ``STSESSION_`` keys of a Flask config, one by one.

        A key that is ``None`` counts as not set (``CLAIM_MAX_AGE_SECONDS`` excepted). Combinations of values
        are not checked here; :func:`flask_stsession.config.load` does both.

        :param sites: tells sites apart; uses the installed public suffix list if omitted.
        :raises ConfigError: a key is unknown, or a value is of the wrong kind.
        """
        values: dict[str, Any] = {}
        for key, value in settings.items():
            if not read.is_meant_as_key(key, SETTINGS):
                continue
            if key not in SETTINGS:
                raise read.no_such_key(key, list(SETTINGS))
            name = SETTINGS[key].name
            if value is not None or name == "claim_max_age_seconds":
                values[name] = SETTINGS[key].read(value)
        return cls(values, sites=sites)

    def changed_since(self, settings: Mapping[str, Any]) -> list[str]:
        """Return the keys of a Flask config whose values are no longer those of these settings.

        :raises ConfigError: a key is unknown, or a value is of the wrong kind.
        """
        now = type(self).from_mapping(settings, sites=self.sites)
        return [key for key, each in SETTINGS.items() if getattr(self, each.name) != getattr(now, each.name)]

    @property
    def core_hosts(self) -> tuple[str, ...]:
        """The URLs of the core's hosts, in order; empty for the embedded core."""
        return () if self.is_embedded else tuple(self.connection_uri.split(";"))

    @property
    def is_embedded(self) -> bool:
        """Whether the core is the embedded one, in this process."""
        return self.connection_uri.startswith(read.EMBEDDED)

    @property
    def embedded_database(self) -> str:
        """The database of the embedded core: a path, ``:memory:``, or empty for the default path."""
        return self.connection_uri[len(read.EMBEDDED) :] if self.is_embedded else ""

    @staticmethod
    def checked_transfer_method(returned: object) -> AllowedTransfer:
        """Check the result of a function given as ``TOKEN_TRANSFER_METHOD``, and return it.

        :raises ConfigError: it is not one of the values that the setting accepts.
        """
        for allowed in ALLOWED_TRANSFERS:
            if returned == allowed:
                return allowed
        raise ConfigError(
            f"The function given as STSESSION_TOKEN_TRANSFER_METHOD returned {show(returned)}, but must "
            f"return one of {', '.join(ALLOWED_TRANSFERS)}."
        )

    def base_url(self, api_origin: str, script_root: str) -> str:
        """Return the URL below which clients find our routes; the ``iss`` of new tokens, unless set."""
        return (self.api_domain or normal_origin(api_origin)) + self.mount_path(script_root)

    @cached_property
    def api(self) -> Origin | None:
        """The origin in ``API_DOMAIN``, or ``None`` if that is not set."""
        return None if self.api_domain is None else origin_of(self.api_domain)

    @cached_property
    def cookie_names(self) -> CookieNames:
        """The names of the session's cookies, with ``COOKIE_PREFIX``."""
        return CookieNames.with_prefix(self.cookie_prefix)

    def root_path(self, script_root: str) -> str:
        """Return the prefix of the app's paths as clients see it: the gateway path, or that of WSGI."""
        return script_root.rstrip("/") if self.api_gateway_path is None else self.api_gateway_path

    def mount_path(self, script_root: str) -> str:
        """Return the path of our routes as clients see it: root path and base path."""
        return self.root_path(script_root) + self.api_base_path

    def refresh_path(self, script_root: str) -> str:
        """Return the path at which clients refresh, which is that of the refresh cookie as well."""
        return self.mount_path(script_root) + REFRESH_PATH

    def own_origin(self, api_origin: str) -> str:
        """Return the origin of this API."""
        return self.api_domain or normal_origin(api_origin)

    def trusted_origins(self, api_origin: str) -> tuple[str, ...]:
        """Return the origins from which our own pages send requests: the API's and the websites'."""
        return (self.own_origin(api_origin), *(self.website_domain or ()))

    def accepted_origins(self, api_origin: str) -> set[str]:
        """Return the trusted origins, and that of the request's host whatever ``API_DOMAIN`` says.

        A page on the host of the request is ours, too.
        """
        return {*self.trusted_origins(api_origin), normal_origin(api_origin)}

    def decisions(self, api_origin: str) -> Decisions:
        """Return SameSite, Secure and anti-CSRF; computed anew only where they depend on the request."""
        if self.api_domain is not None:
            return self._decided
        if not self.websites:
            # API and website are on the same host, so they are one site.
            return self._decided_for_https if api_origin.startswith("https:") else self._decided_for_http
        return self._decide(origin_of(api_origin))

    def anti_csrf_for(self, api_origin: str) -> AntiCsrf:
        """Return the anti-CSRF mode of a request."""
        return self.anti_csrf or self.decisions(api_origin).anti_csrf

    @property
    def anti_csrf_of_all_requests(self) -> AntiCsrf | None:
        """The anti-CSRF mode, or ``None`` where it depends on the origin of the request."""
        if self.anti_csrf is not None:
            return self.anti_csrf
        if self.api_domain is not None or not self.websites:
            return self.decisions("").anti_csrf  # the scheme alone does not change it
        return None

    @cached_property
    def _decided(self) -> Decisions:
        return self._decide(self.api)

    @cached_property
    def _decided_for_https(self) -> Decisions:
        return self._decide(Origin("https", "localhost"))

    @cached_property
    def _decided_for_http(self) -> Decisions:
        return self._decide(Origin("http", "localhost"))

    def _decide(self, api: Origin | None) -> Decisions:
        same_site = self.cookie_same_site
        if same_site is None:
            # Where it is unknown (an invalid Host header), "none" brings the stricter anti-CSRF.
            same_site = "lax" if api is not None and self.is_one_site(api) else "none"
        secure = self.cookie_secure
        if secure is None:
            secure = api is not None and api.scheme == "https"
        anti_csrf = self.anti_csrf
        if anti_csrf is None:
            by_page: AntiCsrf = "NONE" if self.login_url is None else "VIA_ORIGIN"
            anti_csrf = "VIA_CUSTOM_HEADER" if same_site == "none" else by_page
        return Decisions(same_site, secure, anti_csrf)

    @cached_property
    def websites(self) -> tuple[Origin, ...]:
        """The origins of ``WEBSITE_DOMAIN``, without those of app shells, which have no site."""
        return tuple(filter(None, map(origin_of, self.website_domain or ())))

    def is_one_site(self, api: Origin) -> bool | None:
        """Return whether API and websites are one site.

        ``None`` if only the suffix list could tell and it is not installed.
        """
        verdicts = [self.sites.same_site(api, website) for website in self.websites]
        return False if False in verdicts else None if None in verdicts else True


#: All settings by key, in the order of the documentation.
SETTINGS: Final[Mapping[str, read.Setting]] = {
    each.key: each for each in vars(Config).values() if isinstance(each, read.Setting)
}
