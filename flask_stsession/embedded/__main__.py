"""``python -m flask_stsession.embedded``: the embedded core over HTTP."""

from __future__ import annotations

from .command import core_command

if __name__ == "__main__":
    core_command(prog_name="python -m flask_stsession.embedded")
