"""Ids that another program could read as a different string."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from support.app_factory import AppFactory
from support.served_core import ServedCore

from flask_stsession import STSession
from flask_stsession.sessions.ids import BLANKS as ALL_BLANKS, refuse_blanks

BLANKS = [" ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\x85", "\x00", "\x1f", "\ufeff"]


@pytest.mark.parametrize("blank", BLANKS)
def test_an_id_with_blanks_around_it_is_refused(blank: str) -> None:
    for value in (f"alice{blank}", f"{blank}alice", f"{blank}alice{blank}"):
        with pytest.raises(ValueError, match="user_id is") as caught:
            refuse_blanks(value, "user_id")
        assert str(caught.value) == (
            f"user_id is {value!r}, which begins or ends with a blank. Other programs cut blanks off and "
            "would take it for 'alice': pass that, or replace the blank."
        )


@pytest.mark.parametrize("value", ["", *BLANKS, " \t\u3000"])
def test_an_id_of_blanks_only_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="user_id is") as caught:
        refuse_blanks(value, "user_id")
    assert str(caught.value) == f"user_id is {value!r}, which consists of blanks only: pass the id itself."


@pytest.mark.parametrize("value", ["alice", "a b", "é", "\u200b", "a\u00a0b", "漢字"])
def test_other_ids_pass(value: str) -> None:
    refuse_blanks(value, "user_id")


def test_an_id_that_utf8_cannot_encode_is_refused() -> None:
    with pytest.raises(ValueError, match="half a surrogate pair") as caught:
        refuse_blanks("x\ud800", "user_id")
    assert str(caught.value) == (
        "user_id is text with half a surrogate pair in it, which UTF-8 cannot encode: write "
        'text.encode("utf-8", "replace").decode().'
    )


def test_the_blanks_are_those_of_python_java_and_javascript() -> None:
    by_python = {each for each in map(chr, range(sys.maxunicode + 1)) if each.isspace()}
    by_java = set(map(chr, range(ord(" ") + 1)))
    assert set(ALL_BLANKS) == by_python | by_java | {"\ufeff"}


@pytest.mark.parametrize("argument", ["user_id", "tenant_id", "recipe_user_id"])
def test_no_session_is_created_for_an_id_with_blanks_around(
    make_app: AppFactory, served_core: ServedCore, argument: str
) -> None:
    app = make_app(connection_uri=served_core.url)
    ext: STSession = app.extensions["stsession"]
    arguments: dict[str, Any] = {"user_id": "alice", argument: "alice\u00a0"}
    with app.app_context(), pytest.raises(ValueError, match=argument):
        ext.create_new_session_without_request_response(**arguments)
    with app.test_request_context(), pytest.raises(ValueError, match=argument):
        ext.create_new_session(**arguments)
    assert not served_core.counted()
