"""The exceptions of the embedded core."""

from __future__ import annotations

from flask_stsession.embedded.errors import (
    DatabaseBusyError,
    DatabaseLostError,
    DatabaseUnavailableError,
    EmbeddedCoreError,
    RequestRefusedError,
)


def test_an_outage_of_the_database_is_one_of_the_core_and_a_refusal_is_not() -> None:
    for kind in (DatabaseBusyError, DatabaseLostError):
        assert issubclass(kind, DatabaseUnavailableError)
        assert issubclass(kind, EmbeddedCoreError)
    assert not issubclass(RequestRefusedError, EmbeddedCoreError)


def test_a_refusal_carries_status_and_body() -> None:
    refusal = RequestRefusedError(400, "Invalid Json Input")
    assert (refusal.status, refusal.text, str(refusal)) == (400, "Invalid Json Input", "Invalid Json Input")
