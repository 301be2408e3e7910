"""What the web room knows of the extension: a small abstract class, and one state for each app."""

from __future__ import annotations

import dataclasses

import pytest
from flask import Flask

from flask_stsession import STSession
from flask_stsession.web.base import STATE, AppState, Extension


def test_the_extension_implements_every_method_that_web_calls() -> None:
    assert Extension.__abstractmethods__
    assert not STSession.__abstractmethods__
    assert STSession.__mro__ == (STSession, *Extension.__mro__)


def test_the_state_of_an_app_is_frozen_and_holds_its_parts(app: Flask) -> None:
    state: AppState = app.extensions[STATE]
    ext = app.extensions["stsession"]
    assert (state.app, state.extension, state.config) == (app, ext, ext.config)
    assert (state.manager, state.blueprint) == (ext.manager, ext.blueprint)
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.config = ext.config  # type: ignore[misc]
