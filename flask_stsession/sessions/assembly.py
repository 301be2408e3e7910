"""Put the parts together that verify and change sessions: the client of the core, the keys, the manager."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..core.client import CoreClient
from ..core.http import CoreTransport
from ..tokens.access_token import MAX_TOKEN_LENGTH
from ..tokens.jwks import KeySet
from ..tokens.verifier import TokenVerifier
from .manager import SessionManager
from .sizes import TokenSizes

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter

    from ..callables import EnsureSync
    from ..config.config import Config
    from ..core.hooks import CoreHooks
    from .session import Session, SessionMethods

logger: logging.Logger = logging.getLogger("flask_stsession")

#: How long (s) a request waits for keys to be renewed while the old ones can still be used.
_PATIENCE_SECONDS = 0.02


def make_transport(
    config: Config,
    *,
    hosts: Sequence[str] | None = None,
    adapter: BaseAdapter | None = None,
    time_left: Callable[[], float] | None = None,
    hooks: CoreHooks | None = None,
) -> CoreTransport:
    """Return the transport to the core.

    :param hosts: the addresses of the core; those of ``STSESSION_CONNECTION_URI`` if omitted.
    :param adapter: replaces the network, for a core in this process.
    :param time_left: returns how long (s) the caller may still wait for the core.
    :param hooks: run around each request that is sent.
    """
    return CoreTransport(
        hosts=config.core_hosts if hosts is None else hosts,
        api_key=config.api_key,
        timeout=config.core_timeout_seconds,
        max_response_bytes=config.core_max_response_bytes,
        proxy=config.core_proxy,
        tls=config.core_tls,
        adapter=adapter,
        time_left=time_left,
        hooks=hooks,
    )


def make_manager(
    config: Config,
    transport: CoreTransport,
    *,
    sender: object,
    extension: SessionMethods | None,
    claim_sources: object = None,
    on_stale: Callable[[Exception, float], None] | None = None,
    find_own: Callable[[str], Session | None] | None = None,
    ensure_sync: EnsureSync | None = None,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> SessionManager:
    """Return the manager of an app's sessions. Makes no request.

    :param sender: the sender of all signals.
    :param extension: as for :class:`SessionManager`, like ``claim_sources``, ``find_own`` and
        ``ensure_sync``.
    :param on_stale: as for :class:`~flask_stsession.tokens.jwks.KeySet`, like ``patience_seconds``.
    """
    client = CoreClient(
        transport=transport,
        cdi_version=config.cdi_version,
        api_domain=config.api_domain,
        website_domain=config.website_domain[0] if config.website_domain else config.api_domain,
        cache_ttl_seconds=config.core_cache_ttl_seconds,
    )
    keys = KeySet(
        fetch=client.get_jwks,
        refresh_seconds=config.jwks_refresh_seconds,
        max_stale_seconds=config.jwks_max_stale_seconds,
        cooldown_seconds=config.jwks_cooldown_seconds,
        logger=logger,
        on_stale=on_stale,
        patience_seconds=patience_seconds,
        time_left=transport.time_left,
    )
    verifier = TokenVerifier(
        keys,
        use_dynamic_signing_key=config.use_dynamic_access_token_signing_key,
        cache_size=config.verified_token_cache_size,
        max_token_length=max(MAX_TOKEN_LENGTH, config.max_access_token_bytes),
    )
    return SessionManager(
        client=client,
        verifier=verifier,
        keys=keys,
        config=config,
        sizes=TokenSizes(
            allowed="any" if callable(config.token_transfer_method) else config.token_transfer_method,
            max_header_bytes=config.max_access_token_bytes,
            cookie_prefix=config.cookie_prefix,
            cookie_domain=config.cookie_domain,
        ),
        sender=sender,
        extension=extension,
        claim_sources=claim_sources,
        find_own=find_own,
        ensure_sync=ensure_sync,
    )
