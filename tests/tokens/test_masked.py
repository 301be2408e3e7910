"""A token that is text in every respect but its ``repr``."""

from __future__ import annotations

import json
import pickle

from flask_stsession.tokens.masked import MaskedToken


def test_no_repr_shows_the_token() -> None:
    token = MaskedToken("secret")
    held = ({"token": token}, [token], (token,))
    for shown in (repr(token), f"{token!r}", "%r" % token, repr(held)):  # noqa: UP031
        assert "secret" not in shown
    assert repr(token) == "<token of 6 characters>"


def test_the_token_is_plain_text_everywhere_else() -> None:
    token = MaskedToken("secret")
    assert token == "secret"
    assert f"{token}" == str(token) == "secret"
    assert hash(token) == hash("secret")
    assert json.dumps({"token": token}) == '{"token": "secret"}'
    assert repr(pickle.loads(pickle.dumps(token))) == repr(token)
