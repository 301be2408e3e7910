"""Everything this package asks of a core, under one name."""

from __future__ import annotations

from .emails import EmailVerificationCalls
from .roles import RoleCalls
from .sessions import SessionCalls
from .tenants import TenantCalls


class CoreClient(SessionCalls, RoleCalls, EmailVerificationCalls, TenantCalls):
    """A client of one core, for all threads of a process and for its forks.

    Makes no request until one is needed. Each method is one request over a kept-alive connection,
    but the very first, which asks for the versions that the core speaks.

    :param transport: carries the requests: hosts, retries, timeouts.
    :param cdi_version: the version of the interface to speak; ``None`` negotiates the highest that both
        sides know, at first need.
    :param api_domain: told to the core when asking for its versions.
    :param website_domain: likewise.
    :param cache_ttl_seconds: for how long (s) the reads that take a ``max_age`` may be answered from
        memory; 0 never. Writes through this client drop what they touch.
    :param timer: seconds from a clock that only goes forward.
    """
