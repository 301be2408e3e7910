"""The arguments of a new session, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..constants import DEFAULT_TENANT
from .ids import refuse_blanks


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class NewSession:
    """The arguments of a new session; see :func:`~flask_stsession.create_new_session`.

    :param user_id: the id of the user, a non-empty string.
    :param tenant_id: the id of the tenant, ``"public"`` by default.
    :param recipe_user_id: the id of the login method, where a user has several.
    :param access_token_payload: JSON object; readable by the client.
    :param session_data_in_database: JSON object; stays in the core.
    :param disable_anti_csrf: create no anti-CSRF token although ``STSESSION_ANTI_CSRF`` is ``VIA_TOKEN``.
    :param remember: ``False`` makes cookies that end with the browser, also after refreshes; ``None``: the
        value of the session that is replaced, else ``True``.
    :param allow_cross_site: set cookies even if the request is cross-site.
    :param keep_previous: do not end the session that the request carries.
    :param access_token_validity_seconds: the life of the first access token, in s; ``None``: as the core is
        configured.
    :raises ValueError: an id is empty, or begins or ends with blanks; the life is shorter than a second.
    :raises TypeError: the life is not a number.
    """

    user_id: str
    tenant_id: str = DEFAULT_TENANT
    recipe_user_id: str | None = None
    access_token_payload: Mapping[str, Any] | None = None
    session_data_in_database: Mapping[str, Any] | None = None
    disable_anti_csrf: bool = False
    remember: bool | None = None
    allow_cross_site: bool = False
    keep_previous: bool = False
    access_token_validity_seconds: float | None = None

    def __post_init__(self) -> None:
        refuse_blanks(self.user_id, "user_id")
        if self.tenant_id != DEFAULT_TENANT:
            refuse_blanks(self.tenant_id, "tenant_id")
        if self.recipe_user_id is not None:
            refuse_blanks(self.recipe_user_id, "recipe_user_id")
        if self.access_token_validity_seconds is not None:
            check_lifetime(self.access_token_validity_seconds, "access_token_validity_seconds")


def check_lifetime(seconds: object, argument: str) -> None:
    """Refuse a lifetime that no token can have.

    :param seconds: the lifetime, in s.
    :param argument: the name of the caller's argument.
    :raises TypeError: it is not a number.
    :raises ValueError: it is less than a second, or endless.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{argument} must be a number of seconds, not {seconds!r}.")
    if not 1 <= seconds < math.inf:
        raise ValueError(
            f"{argument} is {seconds!r}; it must be finite and 1 or more, since a token's times are whole "
            "seconds."
        )
