"""The client of a core: all groups of calls in one class."""

from __future__ import annotations

from .emails import EmailVerificationCalls
from .metadata import UserMetadataCalls
from .roles import RoleCalls
from .sessions import SessionCalls
from .tenants import TenantCalls


class CoreClient(SessionCalls, RoleCalls, EmailVerificationCalls, UserMetadataCalls, TenantCalls):
    """A client of one core, for all threads of a process and for its forks.

    Makes no request until one is needed. Each method is one request over a kept-alive connection,
    except for the very first, which also asks for the versions that the core speaks.
    The parameters are those of :class:`~flask_stsession.core.calls.CoreCalls`.
    """
