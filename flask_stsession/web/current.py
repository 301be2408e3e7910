"""Which extension object is meant: the one of the current app."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.local import LocalProxy

    from ..extension import STSession

#: Key of ``app.extensions``.
NAME = "stsession"


_APP = cast("LocalProxy[Flask]", current_app)


def extension_of_current_app() -> STSession:
    """The extension object of the current app.

    :raises RuntimeError: there is no app context, or no STSession on the app.
    """
    try:
        # The app itself: every look at it through the proxy would cost as much as all of this.
        app = _APP._get_current_object()
    except RuntimeError:
        raise RuntimeError(
            "flask-stsession was used outside of an app context, so it cannot know which app is meant. Use "
            'app.extensions["stsession"], or do it in "with app.app_context():".'
        ) from None
    ext: STSession | None = app.extensions.get(NAME)
    if ext is None:
        raise RuntimeError(
            f"The app {app.name!r} has no STSession. Initialise it: STSession(app), or "
            "stsession.init_app(app)."
        )
    return ext
