"""Which extension object is meant: the one of the current app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import current_app, has_app_context

if TYPE_CHECKING:
    from .extension import STSession

#: Key of ``app.extensions``.
NAME = "stsession"


def extension_of_current_app() -> STSession:
    """The extension object of the current app.

    :raises RuntimeError: there is no app context, or no STSession on the app.
    """
    if not has_app_context():
        raise RuntimeError(
            "flask-stsession was used outside of an app context, so it cannot know which app is meant. Use "
            'app.extensions["stsession"], or do it in "with app.app_context():".'
        )
    ext: STSession | None = current_app.extensions.get(NAME)
    if ext is None:
        raise RuntimeError(
            f"The app {current_app.name!r} has no STSession. Initialise it: STSession(app), or "
            "stsession.init_app(app)."
        )
    return ext
