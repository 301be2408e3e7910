"""The page of the settings is what the code says, with every key and lifetime."""

from __future__ import annotations

import re

from support.documentation import DOCS, import_from_docs, page

from flask_stsession.config.config import SETTINGS as KEYS

PAGE = page("settings.md")
tables = import_from_docs("tables")


def test_the_page_matches_the_code() -> None:
    assert tables.with_tables(PAGE.text) == PAGE.text, f"run python {DOCS.name}/tables.py"


def test_every_setting_is_described_and_can_be_linked_to() -> None:
    described = re.findall(r"^\[`(\w+)`\]\{#\1\}$", PAGE.text, re.MULTILINE)
    assert described == list(KEYS)


def test_lifetimes_are_given_in_their_largest_whole_unit() -> None:
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|", tables.lifetimes_table(), re.MULTILINE))
    assert rows["access token"] == "1 hour, at random up to 5 % less"
    assert rows["refresh token; a session that is not used"] == "100 days"
    assert rows["signing keys in a process, until they are fetched again"] == "1 minute"
    assert rows["the result of a database check in a process"] == "not at all"
