"""Tables for people, JSON for programs."""

from __future__ import annotations

import pytest

from flask_stsession.cli.output import listed, print_json, print_table, printable, shortened_json


def test_columns_are_aligned_below_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("ROLE", "PERMISSIONS"), [("editor", "read"), ("a", "")])
    assert capsys.readouterr().out == "ROLE    PERMISSIONS\neditor  read\na\n"


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("USER",), [("\x1b[31mred\r\nnext",)])
    assert capsys.readouterr().out == "USER\n\\x1b[31mred\\r\\nnext\n"
    assert printable("Zoë \u202e") == "Zoë \\u202e"


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Zoë"})
    assert capsys.readouterr().out == '{\n  "name": "Zo\\u00eb"\n}\n'


def test_long_json_is_shortened() -> None:
    assert shortened_json({"a": "ë"}) == '{"a": "ë"}'
    text = shortened_json({"a": "x" * 500})
    assert text.endswith("… (all of it: --json)")
    assert len(text) < 250


def test_names_are_listed_in_order() -> None:
    assert listed(["b", "a"]) == "a, b"
    assert listed([]) == "nothing"
