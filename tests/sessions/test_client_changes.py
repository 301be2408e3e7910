"""The changes of one request to the client's tokens, reduced to one final state."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, strategies as st
from support.plain_data import as_data

from flask_stsession.constants import BOTH_METHODS, TransferMethod
from flask_stsession.core.models import TokenInfo
from flask_stsession.sessions.client_changes import ClientChanges, TokensToSend
from flask_stsession.tokens.access_token import AccessToken, TokenHeader


def access_token(session: str = "one", number: int = 1) -> AccessToken:
    """Return an access token of a session; its raw form names both."""
    return AccessToken(
        raw=f"{session}-{number}",
        header=TokenHeader(algorithm="RS256", kid="d-1", version=5),
        user_id="alice",
        recipe_user_id="alice",
        tenant_id="public",
        session_handle=session,
        expires_at=2_000,
        refresh_token_hash1="ab",
        parent_refresh_token_hash1=None,
        anti_csrf_token=None,
        shared_payload={},
    )


def pair(session: str = "one", method: TransferMethod = "cookie", number: int = 1) -> TokensToSend:
    """Return the tokens that creating or refreshing a session issues."""
    refresh = TokenInfo(f"{session}-refresh-{number}", 2_000_000, 1_000_000)
    return TokensToSend(method, access_token(session, number), refresh, f"csrf-{session}")


def renewal(session: str = "one", method: TransferMethod = "cookie", number: int = 2) -> TokensToSend:
    """Return the token that a changed payload issues: an access token alone."""
    return TokensToSend(method, access_token(session, number))


def test_tokens_issued_after_a_clearing_take_its_place() -> None:
    changes = ClientChanges()
    changes.clear("cookie")
    changes.issue(pair())
    assert as_data(changes.issued) == as_data(pair())
    assert changes.cleared == set()


def test_a_clearing_of_the_other_method_stays_beside_the_tokens() -> None:
    changes = ClientChanges()
    changes.clear("header")
    changes.issue(pair(method="cookie"))
    assert as_data(changes.issued) == as_data(pair())
    assert changes.cleared == {"header"}


def test_a_clearing_after_the_tokens_takes_their_place() -> None:
    changes = ClientChanges()
    changes.issue(pair())
    changes.clear("cookie")
    assert changes.issued is None
    assert changes.cleared == {"cookie"}


def test_the_end_of_a_session_sends_no_valid_token() -> None:
    changes = ClientChanges()
    changes.issue(pair(method="header"))
    changes.end_session()
    assert changes.issued is None
    assert changes.cleared == {"cookie", "header"}


def test_a_changed_payload_keeps_the_refresh_token_that_is_on_its_way() -> None:
    changes = ClientChanges()
    changes.issue(pair())
    changes.issue(renewal())
    assert as_data(changes.issued) == as_data(
        TokensToSend("cookie", access_token(number=2), pair().refresh_token, "csrf-one")
    )


def test_the_last_of_several_new_sessions_is_the_clients() -> None:
    changes = ClientChanges()
    changes.issue(pair("one"))
    changes.issue(pair("two"))
    assert as_data(changes.issued) == as_data(pair("two"))


def test_a_late_change_of_the_session_before_never_mixes_with_the_new_one() -> None:
    changes = ClientChanges()
    changes.issue(pair("two"))
    changes.issue(renewal("one"))
    assert as_data(changes.issued) == as_data(pair("two"))


def test_ending_the_session_before_leaves_the_new_ones_tokens_alone() -> None:
    changes = ClientChanges()
    changes.issue(pair("two"))
    changes.clear("cookie", of_session="one")
    assert as_data(changes.issued) == as_data(pair("two"))
    assert changes.cleared == set()


def test_ending_the_session_that_was_issued_clears_it() -> None:
    changes = ClientChanges()
    changes.issue(pair("two"))
    changes.clear("cookie", of_session="two")
    assert changes.issued is None
    assert changes.cleared == {"cookie"}


def test_the_end_of_the_session_before_never_ends_a_new_one() -> None:
    changes = ClientChanges()
    changes.issue(pair("two"))
    changes.end_session(of_session="one")
    assert as_data(changes.issued) == as_data(pair("two"))
    assert changes.cleared == set()


def test_withdrawing_a_session_takes_back_its_tokens_and_clears_nothing() -> None:
    changes = ClientChanges()
    changes.issue(renewal("one"))
    changes.withdraw("one")
    assert vars(changes) == {"issued": None, "cleared": frozenset()}


def test_withdrawing_a_session_leaves_anothers_tokens() -> None:
    changes = ClientChanges()
    changes.issue(pair("two"))
    changes.withdraw("one")
    assert as_data(changes.issued) == as_data(pair("two"))


methods = st.sampled_from(BOTH_METHODS)
sessions = st.sampled_from(["one", "two"])
Step = Callable[[ClientChanges], None]
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda s, m: lambda changes: changes.issue(pair(s, m)), sessions, methods),
    st.builds(lambda s, m: lambda changes: changes.issue(renewal(s, m)), sessions, methods),
    st.builds(lambda m: lambda changes: changes.clear(m), methods),
    st.builds(lambda m, s: lambda changes: changes.clear(m, of_session=s), methods, sessions),
    st.builds(lambda s: lambda changes: changes.withdraw(s), sessions),
    st.just(lambda changes: changes.end_session()),
    st.builds(lambda s: lambda changes: changes.end_session(of_session=s), sessions),
)


@given(st.lists(steps, max_size=8))
def test_the_final_state_never_both_issues_and_clears_tokens(taken: list[Step]) -> None:
    changes = ClientChanges()
    for step in taken:
        step(changes)
    if changes.issued is not None:
        assert changes.issued.method not in changes.cleared
        refresh = changes.issued.refresh_token
        if refresh is not None:
            assert refresh.token.startswith(changes.issued.access_token.session_handle)


@given(st.lists(steps, max_size=8))
def test_the_end_of_a_session_clears_everything_whatever_came_before(taken: list[Step]) -> None:
    changes = ClientChanges()
    for step in taken:
        step(changes)
    changes.end_session()
    assert changes.issued is None
    assert changes.cleared == set(BOTH_METHODS)
