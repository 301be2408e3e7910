"""Check combinations of valid settings, and the requests that the settings do not allow for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from .config import Config
from .domains import Origin, is_host_or_parent, is_local_host, is_localhost_or_ip, is_loopback, origin_of


def impossible_combinations(config: Config) -> Iterator[str]:
    """Yield a message, with the remedy, for each impossible combination of settings."""
    yield from _impossible_ways_to_the_core(config)
    if config.session_expired_status_code == config.invalid_claim_status_code:
        yield (
            "STSESSION_SESSION_EXPIRED_STATUS_CODE and STSESSION_INVALID_CLAIM_STATUS_CODE are both "
            f"{config.invalid_claim_status_code}, but frontends tell the two cases apart by them. "
            "Write two that differ, for example 401 and 403."
        )
    if config.jwks_max_stale_seconds < config.jwks_refresh_seconds:
        yield (
            f"STSESSION_JWKS_MAX_STALE_SECONDS = {config.jwks_max_stale_seconds} is below "
            f"STSESSION_JWKS_REFRESH_SECONDS = {config.jwks_refresh_seconds}: keys would be too old before "
            f"they are refetched. Write {config.jwks_refresh_seconds} or more for the first."
        )
    yield from _impossible_pages(config)
    yield from _same_older_domain(config)
    yield from _insecure_prefix(config)
    yield from _impossible_partition(config)
    if config.api is not None:
        yield from _impossible_cookie_domains(config, config.api)
        yield from _undecided_sites(config, config.api)


def _impossible_ways_to_the_core(config: Config) -> Iterator[str]:
    if config.embedded_core and not config.is_embedded:
        yield (
            "STSESSION_EMBEDDED_CORE is for the embedded core, but STSESSION_CONNECTION_URI = "
            f"{config.connection_uri!r} is another. Remove STSESSION_EMBEDDED_CORE and put its settings into "
            "that core's config.yaml."
        )
    if config.core_proxy is not None and config.is_embedded:
        yield (
            "STSESSION_CORE_PROXY is for a core on the network, but STSESSION_CONNECTION_URI = "
            f"{config.connection_uri!r} is the core in this process. Remove STSESSION_CORE_PROXY."
        )
    plain = [host for host in config.core_hosts if not host.startswith("https:")]
    if config.core_tls and plain:
        yield (
            f"STSESSION_CORE_TLS has files for TLS, but {plain[0]!r} in STSESSION_CONNECTION_URI is reached "
            "without TLS. Write https there, or remove STSESSION_CORE_TLS."
        )
    for name, file in config.core_tls.items():
        if not Path(file).is_file():
            yield f"STSESSION_CORE_TLS[{name!r}] = {file!r}: there is no such file. Write the name of one."


def _impossible_pages(config: Config) -> Iterator[str]:
    """Refuse settings that server-rendered pages cannot work with: no cookies, or custom headers."""
    if config.login_url is not None and config.token_transfer_method == "header":
        yield (
            f"STSESSION_LOGIN_URL = {config.login_url!r} is for server-rendered pages, which need cookies, "
            "but STSESSION_TOKEN_TRANSFER_METHOD = 'header' allows none. Write "
            "STSESSION_TOKEN_TRANSFER_METHOD = 'any' or 'cookie', or remove STSESSION_LOGIN_URL."
        )
    if config.login_url is not None and config.anti_csrf == "VIA_TOKEN":
        yield (
            f"STSESSION_LOGIN_URL = {config.login_url!r} is for server-rendered pages, which cannot send the "
            "header that STSESSION_ANTI_CSRF = 'VIA_TOKEN' asks for. Write STSESSION_ANTI_CSRF = "
            "'VIA_ORIGIN', or remove STSESSION_LOGIN_URL."
        )


def _same_older_domain(config: Config) -> Iterator[str]:
    older, domain = config.older_cookie_domain, config.cookie_domain
    if older is not None and older.lstrip(".") == (domain or "").lstrip("."):
        current = "is not set" if domain is None else f"= {domain!r}"
        yield (
            f"STSESSION_OLDER_COOKIE_DOMAIN = {older!r}, but STSESSION_COOKIE_DOMAIN {current}: that is the "
            "same, and the cookies in use would be cleared as old ones. Write the domain that the cookies "
            "had before, or remove STSESSION_OLDER_COOKIE_DOMAIN."
        )


def _is_always_secure(config: Config) -> bool:
    """Return whether the settings make cookies ``Secure`` at every request."""
    if config.api_domain is None:
        return bool(config.cookie_secure)
    return config.decisions(config.api_domain).secure


def _insecure_prefix(config: Config) -> Iterator[str]:
    """Refuse the prefixes that browsers accept on ``Secure`` cookies only (RFC 6265bis, 4.1.3)."""
    if config.cookie_prefix.lower().startswith(("__secure-", "__http-")) and not _is_always_secure(config):
        yield (
            f"STSESSION_COOKIE_PREFIX = {config.cookie_prefix!r} is for Secure cookies; browsers drop others "
            "of such a name. Write STSESSION_API_DOMAIN with https, or STSESSION_COOKIE_SECURE = True, or "
            "another prefix."
        )


def _impossible_partition(config: Config) -> Iterator[str]:
    """Refuse partitioned cookies that browsers drop (not Secure) or never send from a frame (SameSite)."""
    same_site = config.cookie_same_site
    if config.api_domain is not None:
        same_site = config.decisions(config.api_domain).same_site
    if config.cookie_partitioned and (same_site != "none" or not _is_always_secure(config)):
        yield (
            "STSESSION_COOKIE_PARTITIONED = True is for cookies that are Secure and SameSite none. Write "
            "STSESSION_COOKIE_SAME_SITE = 'none', and STSESSION_API_DOMAIN with https or "
            "STSESSION_COOKIE_SECURE = True, or remove STSESSION_COOKIE_PARTITIONED."
        )


def _impossible_cookie_domains(config: Config, api: Origin) -> Iterator[str]:
    """Refuse cookies for other hosts and for public suffixes, which browsers ignore (RFC 6265, 5.3)."""
    domains = {"COOKIE_DOMAIN": config.cookie_domain, "OLDER_COOKIE_DOMAIN": config.older_cookie_domain}
    for key, value in domains.items():
        bare = (value or "").lstrip(".")
        if bare and not is_host_or_parent(bare, api.host):
            yield (
                f"STSESSION_{key} = {value!r} is neither the host of STSESSION_API_DOMAIN = "
                f"{config.api_domain!r} nor a parent of it, so browsers keep no such cookie. Write "
                f"{api.host!r} or a parent of it, or remove STSESSION_{key}."
            )
        elif bare and bare != api.host and config.sites.is_public_suffix(bare):
            yield (
                f"STSESSION_{key} = {value!r} is a public suffix, for which browsers keep no cookie. Write "
                f"{config.sites.registrable_parents(api.host)[-1]!r}, or remove STSESSION_{key}."
            )


def _undecided_sites(config: Config, api: Origin) -> Iterator[str]:
    if config.cookie_same_site is not None or config.token_transfer_method == "header":
        return
    if config.is_one_site(api) is None:
        yield (
            f"Whether STSESSION_API_DOMAIN = {config.api_domain!r} and STSESSION_WEBSITE_DOMAIN = "
            f"{_websites(config)} are one site depends on the public suffix list. Install it with "
            "pip install 'flask-stsession[domains]', or write STSESSION_COOKIE_SAME_SITE = 'lax' if they "
            "are one site and 'none' if they are not."
        )


def _websites(config: Config) -> str:
    return ", ".join(map(repr, config.website_domain or ()))


def suspicious_combinations(config: Config) -> Iterator[tuple[int, str]]:
    """Yield legal but suspicious combinations of settings, as (log level, message)."""
    if config.api_key is not None and config.is_embedded and "api_keys" not in config.embedded_core:
        yield (
            logging.WARNING,
            f"STSESSION_API_KEY is set, but STSESSION_CONNECTION_URI = {config.connection_uri!r} is the core "
            "in this process, which needs no key. Write the URL of your core in STSESSION_CONNECTION_URI, or "
            "remove STSESSION_API_KEY.",
        )
    for message in _tokens_in_the_clear(config):
        yield logging.WARNING, message
    if config.token_transfer_method == "header":
        return
    same_site, anti_csrf = config.cookie_same_site, config.anti_csrf
    if config.api_domain is not None and config.api is not None:
        same_site, _, anti_csrf = config.decisions(config.api_domain)
        problem = insecure_none_problem(config, config.api_domain)
        if problem is not None:
            yield logging.ERROR, f"{problem} Until then no session is created by cookie."
        for message in _lost_cookies(config, config.api):
            yield logging.WARNING, message
    if same_site == "none" and anti_csrf == "NONE":
        yield (
            logging.WARNING,
            "STSESSION_ANTI_CSRF = 'NONE' while cookies are SameSite none: any website can act in the name "
            "of your users. Write STSESSION_ANTI_CSRF = 'VIA_CUSTOM_HEADER', or 'VIA_ORIGIN' for pages with "
            "forms.",
        )
    for message in _troubled_pages(config, anti_csrf):
        yield logging.WARNING, message


def _tokens_in_the_clear(config: Config) -> Iterator[str]:
    """Warn of secrets that travel without encryption beyond this machine or its network."""
    api = config.api
    if api is not None and api.scheme == "http" and not is_local_host(api.host):
        yield (
            f"STSESSION_API_DOMAIN = {config.api_domain!r} is not https, so tokens can be read on the way. "
            "Serve the API over https, if only through a proxy in front of it, and write "
            f"STSESSION_API_DOMAIN = '{Origin('https', api.host)}'."
        )
    by_cookie = config.token_transfer_method != "header"
    if by_cookie and api is not None and api.scheme == "https" and config.cookie_secure is False:
        yield (
            f"STSESSION_COOKIE_SECURE = False, but STSESSION_API_DOMAIN = {config.api_domain!r} is https: "
            "browsers send the session's cookies over http as well, where they can be read. Remove "
            "STSESSION_COOKIE_SECURE."
        )
    for url in config.core_hosts if config.api_key is not None else ():
        core = origin_of(url)
        if core is not None and core.scheme == "http" and not is_loopback(core.host):
            yield (
                f"STSESSION_API_KEY is sent over http to {core.host!r}, and can be read on the way. Serve "
                "the core over https and write https:// in STSESSION_CONNECTION_URI = "
                f"{config.connection_uri!r}."
            )


def _lost_cookies(config: Config, api: Origin) -> Iterator[str]:
    """Warn of cookies that browsers silently drop or do not send."""
    if config.cookie_secure and api.scheme == "http" and not is_loopback(api.host):
        yield (
            f"STSESSION_COOKIE_SECURE = True, but STSESSION_API_DOMAIN = {config.api_domain!r} is not "
            "https, and browsers drop such cookies. If a proxy speaks https for it, write "
            f"STSESSION_API_DOMAIN = '{Origin('https', api.host)}'."
        )
    if config.cookie_same_site in ("lax", "strict") and config.is_one_site(api) is False:
        yield (
            f"STSESSION_COOKIE_SAME_SITE = {config.cookie_same_site!r}, but STSESSION_API_DOMAIN = "
            f"{config.api_domain!r} and STSESSION_WEBSITE_DOMAIN = {_websites(config)} are not one site, so "
            "the website's requests come without cookies. Remove STSESSION_COOKIE_SAME_SITE, or write 'none'."
        )
    for website in config.websites:
        if website.host != api.host and is_localhost_or_ip(api.host) and is_localhost_or_ip(website.host):
            yield (
                f"Browsers take {api.host} and {website.host} for two sites and send no cookies from one to "
                f"the other. Open the website as {Origin(website.scheme, api.host, website.port)} and "
                "set STSESSION_WEBSITE_DOMAIN to that."
            )


def _troubled_pages(config: Config, anti_csrf: str | None) -> Iterator[str]:
    """Warn of settings that make server-rendered pages lose their session or their forms."""
    if config.login_url is None:
        return
    pages = f"STSESSION_LOGIN_URL = {config.login_url!r} is for server-rendered pages"
    if "refresh" not in config.routes:
        yield (
            f"{pages}, but STSESSION_ROUTES has no 'refresh', which renews their expired access tokens: "
            "their users will have to sign in again each time. Add 'refresh' to STSESSION_ROUTES."
        )
    if anti_csrf == "VIA_CUSTOM_HEADER":
        yield (
            f"{pages}, whose forms cannot send the header that VIA_CUSTOM_HEADER asks for. Write "
            "STSESSION_ANTI_CSRF = 'VIA_ORIGIN'."
        )
    if config.cookie_same_site == "strict":
        yield (
            f"{pages}, but with STSESSION_COOKIE_SAME_SITE = 'strict' browsers send no cookies when a page "
            "is opened by a link from elsewhere, an e-mail for example: users who are signed in see the "
            "login page. Remove STSESSION_COOKIE_SAME_SITE, or write 'lax'."
        )


def insecure_none_problem(config: Config, api_origin: str) -> str | None:
    """Return why cookies may not be set: SameSite none without Secure, which browsers do not keep.

    Allowed where API and websites are all ``localhost`` or IP addresses.

    :param api_origin: ``request.root_url`` or its origin.
    """
    decided = config.decisions(api_origin)
    if decided.same_site != "none" or decided.secure:
        return None
    own_origin = config.own_origin(api_origin)
    api = origin_of(own_origin)
    if api is not None and all(is_localhost_or_ip(each.host) for each in (api, *config.websites)):
        return None
    websites = ", ".join(config.website_domain or ("the same",))
    return (
        "The session's cookies would be SameSite none without Secure, which browsers do not keep "
        f"(API: {own_origin}, website: {websites}). Serve both over https and say so in "
        "STSESSION_API_DOMAIN and STSESSION_WEBSITE_DOMAIN, or put both on one site, or write "
        'STSESSION_TOKEN_TRANSFER_METHOD = "header".'
    )


def unconfigured_host_problem(
    config: Config, request_host: str, *, scheme: str, forwarded: bool, from_outside: bool = False
) -> str | None:
    """Return why no session is created: the app is not configured, and this host may be a public one.

    :param request_host: the ``Host`` header.
    :param scheme: the scheme of the request.
    :param forwarded: the request has a header of a proxy (``Forwarded``, ``X-Forwarded-*``, ``X-Real-IP``).
    :param from_outside: such a header has a public address: of the client, or of another proxy.
    """
    if config.api_domain is not None:
        return None
    if is_local_host(request_host, forwarded=forwarded) and not from_outside:
        return None
    origin = origin_of(f"{scheme}://{request_host}") or f"{scheme}://api.example.com"
    if is_local_host(request_host):
        where = f"through a proxy, for the host {request_host[:100]!r}"
        how = ", with the scheme and host that browsers use"
    else:
        where, how = f"on the public host {request_host[:100]!r}", ""
    return (
        f"A session was asked for {where}, but STSESSION_API_DOMAIN is not set, which is for local "
        f"development only. Add this line before init_app{how}: "
        f'app.config["STSESSION_API_DOMAIN"] = "{origin}"'
    )
