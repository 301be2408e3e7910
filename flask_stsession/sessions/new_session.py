"""The arguments of a new session, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..constants import DEFAULT_TENANT
from .ids import refuse_blanks


@dataclass(frozen=True, kw_only=True)
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
    :raises ValueError: an id is empty, or begins or ends with blanks.
    """

    user_id: str
    tenant_id: str = DEFAULT_TENANT
    recipe_user_id: str | None = None
    access_token_payload: Mapping[str, Any] = field(default_factory=dict, repr=False)
    session_data_in_database: Mapping[str, Any] = field(default_factory=dict, repr=False)
    disable_anti_csrf: bool = False
    remember: bool | None = None
    allow_cross_site: bool = False
    keep_previous: bool = False

    def __post_init__(self) -> None:
        refuse_blanks(self.user_id, "user_id")
        refuse_blanks(self.tenant_id, "tenant_id")
        if self.recipe_user_id is not None:
            refuse_blanks(self.recipe_user_id, "recipe_user_id")

    @property
    def login_method(self) -> str:
        """The recipe user id; the user id where a user has only one login method."""
        return self.recipe_user_id or self.user_id
