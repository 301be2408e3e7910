"""One Flask app for each contestant, with the same views.

Every module here has ``make(core_url, public_key) -> Flask``. The views answer the same constant, so
that what differs is what guards them:

- ``/open``: nothing does;
- ``/user``: a session is needed;
- ``/claim-1``, ``/claim-3``: one claim validator, or three, where there is such a thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from flask import Flask

ANSWER = "ok"


@dataclass(frozen=True)
class Contestant:
    """A contestant.

    :param name: heads its column; of its distribution, except for the bare app.
    :param module: of this package, with its app.
    :param has_validators: does it know claim validators?
    :param refreshes_at_core: does it exchange refresh tokens with a core?
    """

    name: str
    module: str
    has_validators: bool = False
    refreshes_at_core: bool = False

    @property
    def version(self) -> str | None:
        """The installed version; ``None`` if it is not installed."""
        try:
            return version(self.name)
        except PackageNotFoundError:
            return None

    def make(self, core_url: str, public_key: str) -> Flask:
        """Its app.

        :param core_url: of a core.
        :param public_key: of the core's signing key, as PEM.
        """
        make: Callable[[str, str], Flask] = import_module(f"{__name__}.{self.module}").make
        return make(core_url, public_key)


BARE = Contestant("flask", "bare")
OURS = Contestant("flask-stsession", "stsession", has_validators=True, refreshes_at_core=True)
SUPERTOKENS = Contestant("supertokens-python", "supertokens_sdk", has_validators=True, refreshes_at_core=True)
JWT_EXTENDED = Contestant("Flask-JWT-Extended", "jwt_extended")
#: In the order of the columns.
CONTESTANTS = (OURS, SUPERTOKENS, JWT_EXTENDED)
