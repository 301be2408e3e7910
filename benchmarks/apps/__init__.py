"""One Flask app for each contestant, with the same views.

The module of each contestant has ``make(core_url, public_key) -> Flask``. All views return the same
constant, so that only their guards differ:

- ``/open``: none;
- ``/user``: a session is required;
- ``/claim-1``, ``/claim-3``, ``/claim-10``: so many claim validators, where the contestant has any.
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

    :param name: of its distribution; heads its column.
    :param module: of this package, with its app.
    :param has_validators: whether it has claim validators.
    :param refreshes_at_core: whether it exchanges refresh tokens with a core.
    """

    name: str
    module: str
    has_validators: bool = False
    refreshes_at_core: bool = False

    @property
    def version(self) -> str | None:
        """Return the installed version; ``None`` if it is not installed."""
        try:
            return version(self.name)
        except PackageNotFoundError:
            return None

    def make(self, core_url: str, public_key: str) -> Flask:
        """Return its app.

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
