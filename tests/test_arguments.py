"""What public functions check of their arguments, and how they say it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from flask_stsession.arguments import (
    checked_name,
    checked_names,
    checked_text,
    checked_user_id,
    keyword_only,
)


@keyword_only("It is so.")
def act(one: str, two: int = 2, *, three: str = "3", four: object) -> tuple[object, ...]:
    """Act."""
    return one, two, three, four


class Actor:
    @keyword_only("It is so.")
    def act(self, one: str, *, two: int = 2) -> tuple[object, ...]:
        """Act."""
        return self, one, two


def test_a_call_within_the_signature_is_passed_on() -> None:
    assert act("a", 1, four=4) == ("a", 1, "3", 4)
    actor = Actor()
    assert actor.act("a", two=3) == (actor, "a", 3)


def test_more_arguments_by_position_are_refused_with_the_call_as_it_is_written() -> None:
    wrong: Any = act
    with pytest.raises(TypeError) as caught:
        wrong("a", 1, "x", 4)
    assert str(caught.value) == (
        "act() takes only one and two as positional arguments: write act(one, two=2, *, three='3', four). It "
        "is so."
    )
    method: Any = Actor().act
    with pytest.raises(TypeError) as caught:
        method("a", 1)
    assert str(caught.value) == (
        "act() takes only one as a positional argument: write act(one, *, two=2). It is so."
    )


def test_help_shows_the_signature_that_a_caller_uses() -> None:
    assert str(inspect.signature(act)).startswith("(one: 'str', two: 'int' = 2, *, three: 'str' = '3'")
    assert act.__doc__ == "Act."


def test_ids_and_names_are_checked() -> None:
    wrong: Any = 7
    with pytest.raises(TypeError, match=r"^user_id must be a non-empty str, not 7: write str\(user\.id\)"):
        checked_user_id(wrong)
    assert checked_names("one", "roles") == ["one"]
    assert checked_names(("one", "two"), "roles") == ["one", "two"]
    with pytest.raises(TypeError, match=r"^roles takes a name or a list of names, not \['one', ''\]\.$"):
        checked_names(["one", ""], "roles")
    with pytest.raises(TypeError, match=r"^role must be a non-empty str, not 7: write str\(role\)\.$"):
        checked_name(wrong, "role")
    with pytest.raises(TypeError, match=r"^tenant_id must be a non-empty str, not 7: write str\(tenant_id\)"):
        checked_text(wrong, "tenant_id")
    assert checked_text("", "tenant_id") == ""  # the core says what is wrong with it
