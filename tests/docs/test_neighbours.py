"""The page of neighbouring extensions names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.documentation import page

TESTS = Path(__file__).parents[1]
ROWS = re.findall(
    r"^\| (?!---|extension|tool)(.+?) \| .+? \| (.+?) \|$", page("neighbours.md").text, re.MULTILINE
)


def test_there_are_more_than_twenty_neighbours() -> None:
    assert len({name for names, _ in ROWS for name in re.split(r", (?:with )?| or ", names)}) > 20


@pytest.mark.parametrize(("names", "tests"), ROWS, ids=[names for names, _ in ROWS])
def test_each_neighbour_has_a_test(names: str, tests: str) -> None:
    found = re.findall(r"`([\w/]+\.py)::(\w+)`", tests)
    assert found
    for file, test in found:
        assert re.search(rf"^def {test}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE)
