"""The reference: everything public is in it."""

from __future__ import annotations

import inspect
import re

from support.documentation import page

import flask_stsession
from flask_stsession import aws_lambda, claims, signals, testing

TEXT = page("reference.md").text
#: What is named after ``:members:``.
MEMBERS = set(re.findall(r"\w+", " ".join(re.findall(r":members:((?: .+\n)+)", TEXT))))
NAMED = set(re.findall(r"^\.\. (?:auto\w+|py:\w+):: ([\w.]+)", TEXT, re.MULTILINE))


def test_every_name_of_the_package_is_described() -> None:
    assert set(flask_stsession.__all__) - NAMED == set()


def test_every_claim_is_described() -> None:
    assert set(claims.__all__) - NAMED == set()


def test_every_hook_of_the_extension_is_described() -> None:
    """Hooks are the methods that take a function and return it."""
    hooks = {
        name
        for name, method in inspect.getmembers(flask_stsession.STSession, inspect.isfunction)
        if inspect.signature(method).return_annotation == "F"
    }
    assert hooks >= {"user_loader", "before_core_request"}
    assert hooks - MEMBERS == set()


def test_what_can_be_done_with_a_session_is_described() -> None:
    methods = {
        name for name in dir(flask_stsession.Session) if re.match("(get|set|update|merge|complete)_", name)
    }
    assert methods - MEMBERS == set()


def test_the_validators_of_every_claim_are_described() -> None:
    exported = (getattr(claims, name) for name in claims.__all__)
    kinds = {
        type(getattr(each, "validators", None)).__name__
        for each in exported
        if isinstance(each, claims.SessionClaim)
    }
    assert len(kinds) > 3
    assert kinds - NAMED == set()


def test_every_signal_is_described() -> None:
    names = [name for name, value in vars(signals).items() if type(value).__name__ == "NamedSignal"]
    assert set(names) - NAMED == set()


def test_every_name_for_tests_is_described() -> None:
    assert set(testing.__all__) - NAMED == set()


def test_every_name_for_aws_lambda_is_described() -> None:
    assert set(aws_lambda.__all__) - NAMED == set()
