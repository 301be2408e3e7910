"""How long an invocation of a function may wait for the core."""

from __future__ import annotations

import math
from unittest.mock import MagicMock

import pytest

from flask_stsession.aws_lambda.invocations import time_for_core

from .conftest import with_time_left


@pytest.mark.parametrize(
    ("milliseconds", "limit_seconds", "seconds"),
    [(3000, math.inf, 2.5), (30_000, 9.0, 8.5), (3000, 9.0, 2.5), (200, math.inf, -0.3)],
)
def test_half_a_second_of_the_remaining_time_is_kept_for_the_response(
    milliseconds: int, limit_seconds: float, seconds: float
) -> None:
    context = with_time_left(milliseconds)
    assert time_for_core(context, limit_seconds=limit_seconds) == pytest.approx(seconds)


@pytest.mark.parametrize("context", [None, object(), MagicMock()])
def test_a_context_that_does_not_tell_the_remaining_time_sets_no_limit(context: object) -> None:
    assert time_for_core(context) == math.inf
    assert time_for_core(context, limit_seconds=9.0) == 8.5
