"""Settings that are good by themselves, but not together."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .domains import is_host_or_parent, is_local_host, origin_of

if TYPE_CHECKING:
    from .config import Config


def impossible_combinations(config: Config) -> Iterator[str]:
    """What is wrong with the settings taken together."""
    if config.embedded_core and not config.is_embedded:
        yield (
            f"STSESSION_EMBEDDED_CORE is for the embedded core, but STSESSION_CONNECTION_URI = "
            f"{config.connection_uri!r} is another. Remove STSESSION_EMBEDDED_CORE and put its settings into that "
            "core's config.yaml."
        )
    if config.session_expired_status_code == config.invalid_claim_status_code:
        yield (
            "STSESSION_SESSION_EXPIRED_STATUS_CODE and STSESSION_INVALID_CLAIM_STATUS_CODE are both "
            f"{config.invalid_claim_status_code}, but frontends tell the two apart by it. Write two that differ, "
            "for example 401 and 403."
        )
    if config.jwks_max_stale_seconds < config.jwks_refresh_seconds:
        yield (
            f"STSESSION_JWKS_MAX_STALE_SECONDS = {config.jwks_max_stale_seconds} is below "
            f"STSESSION_JWKS_REFRESH_SECONDS = {config.jwks_refresh_seconds}: keys would be too old before they "
            "are refetched. Write at least as many seconds for STSESSION_JWKS_MAX_STALE_SECONDS."
        )
    yield from _impossible_pages(config)
    yield from _impossible_cookies(config)
    if config.api_domain is not None:
        yield from _undecided_sites(config, config.api_domain)


def _impossible_pages(config: Config) -> Iterator[str]:
    if config.login_url is None:
        return
    if config.token_transfer_method == "header":
        yield (
            f"STSESSION_LOGIN_URL = {config.login_url!r} is for server-rendered pages, which need cookies, but "
            "STSESSION_TOKEN_TRANSFER_METHOD = 'header' allows none. Write STSESSION_TOKEN_TRANSFER_METHOD = "
            "'any' or 'cookie', or remove STSESSION_LOGIN_URL."
        )
    if config.anti_csrf == "VIA_TOKEN":
        yield (
            f"STSESSION_LOGIN_URL = {config.login_url!r} is for server-rendered pages, which cannot send the "
            "header that STSESSION_ANTI_CSRF = 'VIA_TOKEN' asks for. Write STSESSION_ANTI_CSRF = 'VIA_ORIGIN', "
            "or remove STSESSION_LOGIN_URL."
        )


def _impossible_cookies(config: Config) -> Iterator[str]:
    older, domain = config.older_cookie_domain, config.cookie_domain
    if older is not None and older.lstrip(".") == (domain or "").lstrip("."):
        yield (
            f"STSESSION_OLDER_COOKIE_DOMAIN = {older!r} is the same as STSESSION_COOKIE_DOMAIN = {domain!r}, so the "
            "cookies in use would be cleared as old ones. Write the domain that the cookies had before, or remove "
            "STSESSION_OLDER_COOKIE_DOMAIN."
        )
    api = origin_of(config.api_domain or "")
    if api is None:
        return
    for key, value in (("COOKIE_DOMAIN", domain), ("OLDER_COOKIE_DOMAIN", older)):
        bare = (value or "").lstrip(".")
        if bare and not is_host_or_parent(bare, api.host):
            yield (
                f"STSESSION_{key} = {value!r} is neither the host of STSESSION_API_DOMAIN = {config.api_domain!r} nor "
                f"a parent of it, so browsers keep no such cookie. Write {api.host!r} or a parent, or remove "
                f"STSESSION_{key}."
            )
        elif bare and bare != api.host and config.sites.is_public_suffix(bare):
            yield (
                f"STSESSION_{key} = {value!r} is a public suffix, for which browsers keep no cookies. Write "
                f"{config.sites.registrable_parents(api.host)[-1]!r}, or remove STSESSION_{key}."
            )


def _undecided_sites(config: Config, api_domain: str) -> Iterator[str]:
    api = origin_of(api_domain)
    if config.cookie_same_site or config.token_transfer_method == "header" or api is None:
        return
    if config.is_one_site(api) is None:
        yield (
            f"Whether STSESSION_API_DOMAIN = {api_domain!r} and STSESSION_WEBSITE_DOMAIN = "
            f"{', '.join(map(repr, config.website_domain or ()))} are one site takes the public suffix list. "
            'Install it (pip install "flask-stsession[domains]"), or set STSESSION_COOKIE_SAME_SITE = "lax" if they '
            'are one site, "none" if they are not.'
        )


def questionable_combinations(config: Config) -> Iterator[tuple[int, str]]:
    if config.token_transfer_method == "header":
        return
    if config.api_domain is not None:
        problem = config.insecure_none_problem(config.api_domain)
        if problem is not None:
            yield logging.ERROR, f"{problem} Sessions by cookie are refused until then."
        yield from _unkept_cookie_warnings(config, config.api_domain)
    same_site = (
        config.cookie_same_site
        if config.api_domain is None
        else config.effective_same_site(config.api_domain)
    )
    if same_site == "none" and config.anti_csrf == "NONE":
        yield (
            logging.WARNING,
            "STSESSION_ANTI_CSRF = 'NONE' while the cookies are SameSite none: any website can send requests in "
            "the name of your users. Write STSESSION_ANTI_CSRF = 'VIA_CUSTOM_HEADER', or 'VIA_ORIGIN' for pages "
            "with forms.",
        )


def _unkept_cookie_warnings(config: Config, api_domain: str) -> Iterator[tuple[int, str]]:
    """Cookies that browsers will drop without a word."""
    api = origin_of(api_domain)
    if api is None:
        return
    if config.cookie_secure and api.scheme == "http" and not is_local_host(api.host):
        yield (
            logging.WARNING,
            f"STSESSION_COOKIE_SECURE = True, but STSESSION_API_DOMAIN = {api_domain!r} is not https: browsers drop "
            f"the cookies. If a proxy speaks https for it, write STSESSION_API_DOMAIN = 'https://{api.host}'.",
        )
