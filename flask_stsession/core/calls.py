"""What all requests to a core have in common: version, tenant, encoding, and how a refusal is told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ..constants import CDI_ROTATES_AT_REFRESH, DEFAULT_TENANT
from ..errors import CoreError
from .cache import ReadCache
from .http import CoreRequest, CoreTransport
from .parsing import Answer
from .versions import VersionNegotiator, parse_version


class CoreCalls:
    """Base of the groups of calls that make up the client.

    :param transport: carries the requests.
    :param cdi_version: the version of the interface to speak; ``None`` negotiates the highest that both
        sides know, at first need.
    :param api_domain: told to the core when asking for its versions.
    :param website_domain: likewise.
    :param cache_ttl_seconds: for how long (s) a read that allows it may be answered from memory; 0 never.
    :param timer: seconds from a clock that only goes forward.
    """

    def __init__(
        self,
        *,
        transport: CoreTransport,
        cdi_version: str | None = None,
        api_domain: str | None = None,
        website_domain: str | None = None,
        cache_ttl_seconds: float = 30.0,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._versions = VersionNegotiator(
            transport, pinned=cdi_version, api_domain=api_domain, website_domain=website_domain
        )
        self._cache = ReadCache(ttl_seconds=cache_ttl_seconds, timer=timer)

    @property
    def cdi(self) -> tuple[int, int]:
        """The version of the interface in use; asks the core where that is not known yet.

        :raises CoreUnavailableError: it cannot be asked.
        :raises CoreError: there is no version that both sides know.
        """
        return parse_version(self._versions.current())

    @property
    def rotates_at_refresh(self) -> bool:
        """Does a refresh replace the tokens at once, and verification write nothing (CDI 5.6)?"""
        return self.cdi >= CDI_ROTATES_AT_REFRESH

    def _get(
        self, rid: str, path: str, query: Mapping[str, str] | None = None, *, tenant_id: str | None = None
    ) -> Answer:
        return self._ask("GET", rid, path, tenant_id=tenant_id, query=query, repeatable=True)

    def _put(self, rid: str, path: str, body: Mapping[str, Any], *, tenant_id: str | None = None) -> Answer:
        return self._ask("PUT", rid, path, tenant_id=tenant_id, body=body, repeatable=True)

    def _post(
        self,
        rid: str,
        path: str,
        body: Mapping[str, Any],
        *,
        repeatable: bool,
        tenant_id: str | None = None,
    ) -> Answer:
        return self._ask("POST", rid, path, tenant_id=tenant_id, body=body, repeatable=repeatable)

    def _ask(
        self,
        method: str,
        rid: str,
        path: str,
        *,
        tenant_id: str | None,
        repeatable: bool,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        path = _tenant_prefix(tenant_id) + path
        content = None if body is None else json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
        version = self._versions.current()
        request = CoreRequest(
            method, path, query=query, content=content, rid=rid, cdi_version=version, repeatable=repeatable
        )
        reply = self._transport.send(request)
        if reply.refuses_version and not self._versions.pinned:
            # The core was replaced by an older or newer one. It refused before doing anything.
            version = self._versions.renegotiate(version)
            reply = self._transport.send(replace(request, cdi_version=version))
        return Answer(reply.json_object(), reply.source)


def _tenant_prefix(tenant_id: str | None) -> str:
    """What a tenant's requests have before their path; nothing for the default tenant.

    A tenant may come from a request's subdomain, so none may lead out of its place in the path: dot
    segments are resolved on the way, and ``appid-…`` would address another app of the same core.

    :raises CoreError: there can be no such tenant.
    """
    if tenant_id is None or tenant_id == DEFAULT_TENANT:
        return ""
    if tenant_id in ("", ".", "..") or tenant_id.startswith("appid-"):
        raise CoreError(f"{tenant_id!r} cannot be the id of a tenant; use letters, digits and hyphens.")
    return "/" + quote(tenant_id, safe="")
