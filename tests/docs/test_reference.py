"""The reference: everything public is in it."""

from __future__ import annotations

import re

from support.documentation import page

import flask_stsession
from flask_stsession import aws_lambda, claims, signals, testing

TEXT = page("reference.md").text
NAMED = set(re.findall(r"^\.\. (?:auto\w+|py:\w+):: ([\w.]+)", TEXT, re.MULTILINE))


def test_every_name_of_the_package_is_described() -> None:
    assert set(flask_stsession.__all__) - NAMED == set()


def test_every_claim_is_described() -> None:
    assert set(claims.__all__) - NAMED == set()


def test_every_signal_is_described() -> None:
    names = [name for name, value in vars(signals).items() if type(value).__name__ == "NamedSignal"]
    assert set(names) - NAMED == set()


def test_every_name_for_tests_is_described() -> None:
    assert set(testing.__all__) - NAMED == set()


def test_every_name_for_aws_lambda_is_described() -> None:
    assert set(aws_lambda.__all__) - NAMED == set()
