"""The commands ``flask stsession …``.

``core`` needs no app. All others work on the app that ``flask`` finds, and on its core. They print tables
for people and, with ``--json``, a JSON document for programs: a list as an array, one thing as an object. The
exit code is 0, 1 after a refusal or a finding, and 2 after wrong usage.
"""

from __future__ import annotations

import click

from .core import core_group
from .doctor import doctor
from .group import Group
from .roles import roles_group
from .routes import list_routes
from .sessions import sessions_group
from .settings import show_settings
from .token import token_group

__all__ = ["stsession_group"]


@click.group(
    "stsession", cls=Group, help="Manage SuperTokens sessions: sessions, tokens, roles, settings, the core."
)
@click.version_option(
    package_name="flask-stsession", prog_name="flask-stsession", message="%(prog)s %(version)s"
)
def stsession_group() -> None:
    """Do nothing before the subcommand."""


for _command in (core_group, doctor, list_routes, roles_group, sessions_group, show_settings, token_group):
    stsession_group.add_command(_command)
