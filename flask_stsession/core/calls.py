"""The base of all calls to a core: the version of the interface, the tenant and the encoding."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..concurrency import AgeClock, SingleFlight
from ..constants import CDI_ROTATES_AT_REFRESH, CDI_VERSIONS, DEFAULT_TENANT, TENANT_ID
from ..errors import ConfigError, CoreError, UnknownTenantError, not_text
from .cache import ReadCache
from .clock_check import ClockCheck
from .http import CoreCall, CoreTransport
from .parsing import CoreReply


class CoreCalls:
    """Base class of the core's calls: speaks one version of the interface, to a tenant, in JSON.

    :param transport: carries the requests.
    :param cdi_version: the version of the interface to speak; ``None`` negotiates one at first need: the
        highest that both sides know, up to 5.5.
    :param api_domain: sent to the core with the request for its versions.
    :param website_domain: likewise.
    :param cache_ttl_seconds: for how long (s) the reads that take a ``max_age`` may be served from the
        cache; 0 never.
    :param timer: a clock for ages, in s; an :class:`~flask_stsession.concurrency.AgeClock` by default.
    """

    def __init__(
        self,
        *,
        transport: CoreTransport,
        cdi_version: str | None = None,
        api_domain: str | None = None,
        website_domain: str | None = None,
        cache_ttl_seconds: float = 30.0,
        timer: Callable[[], float] | None = None,
    ) -> None:
        self._transport = transport
        self._versions = VersionNegotiator(
            transport, pinned=cdi_version, api_domain=api_domain, website_domain=website_domain
        )
        #: Results of reads, which calls that change them drop.
        self.cache: ReadCache = ReadCache(ttl_seconds=cache_ttl_seconds, timer=timer or AgeClock())
        self._clock_check = ClockCheck()

    @property
    def cdi(self) -> tuple[int, int]:
        """The version of the interface in use; asks the core if it is not known yet.

        :raises CoreUnavailableError: the core did not answer.
        :raises CoreError: there is no version that both sides know.
        """
        return parse_version(self._versions.current())

    @property
    def rotates_at_refresh(self) -> bool:
        """Whether a refresh replaces the tokens at once, and verification writes nothing (CDI 5.6)."""
        return self.cdi >= CDI_ROTATES_AT_REFRESH

    def get(
        self, rid: str, path: str, query: Mapping[str, str] | None = None, *, tenant_id: str | None = None
    ) -> CoreReply:
        """Send a GET request; it is repeated if that may help.

        :param rid: the recipe.
        :param tenant_id: the tenant whose path to use; ``None``: that of the default tenant.
        :raises CoreUnavailableError: no response.
        :raises CoreError: the core refuses.
        """
        return self._ask("GET", rid, path, tenant_id=tenant_id, query=query, repeatable=True)

    def put(self, rid: str, path: str, body: Mapping[str, Any], *, tenant_id: str | None = None) -> CoreReply:
        """Send a PUT request, which must be safe to repeat.

        The parameters and errors are those of :meth:`get`.
        """
        return self._ask("PUT", rid, path, tenant_id=tenant_id, body=body, repeatable=True)

    def post(
        self,
        rid: str,
        path: str,
        body: Mapping[str, Any],
        *,
        repeatable: bool,
        tenant_id: str | None = None,
    ) -> CoreReply:
        """Write; the other parameters, and the errors, are those of :meth:`get`.

        :param repeatable: whether the core may do it twice without harm.
        """
        return self._ask("POST", rid, path, tenant_id=tenant_id, body=body, repeatable=repeatable)

    def _ask(
        self,
        method: str,
        rid: str,
        path: str,
        *,
        repeatable: bool,
        tenant_id: str | None = None,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        if_gone: Mapping[str, Any] | None = None,
    ) -> CoreReply:
        """Send a request; the other parameters and errors are those of :meth:`get` and :meth:`post`.

        :param if_gone: the JSON to return if the core no longer has the tenant; ``None``: raise the error.
        :raises UnknownTenantError: there is no such tenant.
        :raises ConfigError: there is no such app.
        """
        of_tenant = None if tenant_id == DEFAULT_TENANT else tenant_id
        if of_tenant is not None:
            path = _tenant_prefix(of_tenant) + path
        content = None if body is None else json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
        try:
            version = self._versions.known or self._versions.current()
            call = CoreCall(
                method,
                path,
                query=query,
                content=content,
                rid=rid,
                cdi_version=version,
                repeatable=repeatable,
            )
            try:
                return self._transport.send(call)
            except CoreError as error:
                if self._versions.pinned or not _refuses_version(error):
                    raise
            # The core was replaced by an older or newer one. It refused before doing anything.
            return self._transport.send(replace(call, cdi_version=self._versions.renegotiate(version)))
        except CoreError as error:
            if not self._lacks_tenant(error):
                raise
            if if_gone is not None:
                return CoreReply(dict(if_gone), f"{method} {path}")
            if of_tenant is not None:
                raise UnknownTenantError(of_tenant) from error
            raise

    def _lacks_tenant(self, refusal: CoreError) -> bool:
        """Return whether the core refused a request because its tenant does not exist.

        The core refuses in the same words if it has no app at its address, so this asks the core whether
        the app exists.

        :raises ConfigError: there is no such app.
        """
        if not _names_missing_tenant(refusal):
            return False
        try:
            self._transport.send(CoreCall("GET", "/apiversion", repeatable=True))
        except CoreError as error:
            if not _names_missing_tenant(error):
                raise
            raise ConfigError(
                f"STSESSION_CONNECTION_URI: {refusal.message}. Check the path of the address (/appid-…)."
            ) from error
        return True


def _names_missing_tenant(error: CoreError) -> bool:
    return error.status == 400 and "AppId or tenantId not found" in error.message


class CallGroup:
    """Base of the calls of one recipe, which apps without it need not import.

    :param client: makes the calls.
    """

    def __init__(self, client: CoreCalls) -> None:
        self._client = client


class VersionNegotiator:
    """Negotiate the version of the interface with the core, at first need.

    Threads that need the version at the same time share one request, its failure included; once the
    version is known, no thread takes a lock.

    :param transport: carries the request.
    :param pinned: the version to speak without asking.
    :param api_domain: sent with the request.
    :param website_domain: likewise.
    """

    def __init__(
        self,
        transport: CoreTransport,
        *,
        pinned: str | None = None,
        api_domain: str | None = None,
        website_domain: str | None = None,
    ) -> None:
        self._transport = transport
        #: The version to speak, once it is known.
        self.known: str | None = pinned
        domains = {"apiDomain": api_domain, "websiteDomain": website_domain}
        self._query = {key: value for key, value in domains.items() if value}
        self._asking: SingleFlight[str] = SingleFlight("asking the core for its versions")
        self.pinned: bool = pinned is not None

    def current(self) -> str:
        """Return the version to speak.

        :raises CoreUnavailableError: the core did not answer.
        :raises CoreError: there is no version that both sides know.
        """
        known = self.known
        return self._asking.run(None, self._ask)[0] if known is None else known

    def renegotiate(self, refused: str) -> str:
        """Return the version to speak after the core has refused one.

        :param refused: that version; if it is no longer the current one, another thread has renegotiated.
        """
        if self.known == refused:
            self.known = None
        return self.current()

    def _ask(self) -> str:
        reply = self._transport.send(CoreCall("GET", "/apiversion", query=self._query, repeatable=True))
        theirs = reply.texts("versions")
        common = [version for version in CDI_VERSIONS if version in theirs]
        safe = [version for version in common if parse_version(version) < CDI_ROTATES_AT_REFRESH]
        if not safe:
            raise CoreError(_no_version(reply.source, theirs, common))
        self.known = version = max(safe, key=parse_version)
        return version


def parse_version(version: str) -> tuple[int, int]:
    """Return a version such as ``"5.4"`` as numbers, so that versions compare correctly.

    :raises ValueError: ``version`` is not of that form.
    """
    major, minor = version.split(".")
    return int(major), int(minor)


def _refuses_version(error: CoreError) -> bool:
    return error.status == 400 and "cdi-version" in error.message and "not supported" in error.message


def _no_version(source: str, theirs: Sequence[str], common: Sequence[str]) -> str:
    offered = f"{source}: the core speaks the CDI versions {', '.join(map(repr, theirs)) or '(none)'}"
    if common:
        return (
            f"{offered}. {common[0]} is spoken only if it is chosen: set STSESSION_CDI_VERSION = "
            f'"{common[0]}", after reading what that means for lost responses and for several tabs.'
        )
    return f"{offered}, this package {', '.join(CDI_VERSIONS)}. Run a core whose versions overlap with these."


def _tenant_prefix(tenant_id: object) -> str:
    """Return the path prefix of the requests of a tenant other than the default one.

    A tenant id may come from a request's subdomain, so it must not escape its segment of the path: dot
    segments are resolved on the way, and ``appid-…`` would address another app of the same core.

    :raises CoreError: no tenant can have this id.
    :raises TypeError: it is not a str.
    """
    if not isinstance(tenant_id, str):
        raise not_text("tenant_id", tenant_id)
    if not re.fullmatch(TENANT_ID, tenant_id):
        raise CoreError(f"{tenant_id!r} cannot be the id of a tenant; use letters, digits and hyphens.")
    return "/" + tenant_id
