"""What messages say of a value that is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flask_stsession.messages import closest, quoted_for_shell, show


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("lax", "'lax'"),
        (None, "None"),
        ("a\nb", "'a\\nb'"),
        ("\u0430pi", "'\u0430pi' (in ASCII: '\\u0430pi')"),  # a Cyrillic letter
        pytest.param(10**5000, "<int>", id="more digits than Python converts to text"),
    ],
)
def test_a_value_is_shown_in_one_line_and_look_alike_letters_by_their_codes(
    value: object, shown: str
) -> None:
    assert show(value) == shown


def test_a_long_value_is_shown_by_its_ends() -> None:
    assert len(show("x" * 500)) == 120
    assert show("first" + "x" * 500 + "last").startswith("'first")
    assert show("first" + "x" * 500 + "last").endswith("last'")


@pytest.mark.parametrize(
    ("text", "quoted"), [("true", "true"), ("[1, 2]", "'[1, 2]'"), ("it's", "'it'\"'\"'s'"), ("", "''")]
)
def test_a_value_for_a_shell_is_one_word(text: str, quoted: str) -> None:
    assert quoted_for_shell(text) == quoted


def test_the_intended_name_is_found_among_the_known_ones() -> None:
    known = ["roles", "permissions", "tenant"]
    assert closest("permision", known) == "permissions"
    assert closest("timeout", known) is None


def test_the_cutoff_says_how_alike_two_names_must_be() -> None:
    assert closest("hxxp", ["http", "https"]) is None
    assert closest("htp", ["http", "https"], cutoff=0.75) == "http"
    assert closest("htp", ["http", "https"], cutoff=0.95) is None


def test_an_app_whose_settings_are_right_does_not_import_what_only_messages_need() -> None:
    code = (
        "import sys; from flask_stsession.aws_lambda import verify_session_event; "
        "print(sorted({'difflib', 'shlex'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
