"""The frontend SDKs in a browser that keeps no cookies of other sites, with the API on another site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.authority import Authority
from support.chromium_browser import chromium_at_home

from .conftest import TO_THIS_MACHINE, SiteFactory, VisitorFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a browser that blocks the cookies of third parties."""
    home = tmp_path_factory.mktemp("home")
    authority.trusted_by(home)
    with chromium_at_home(home, TO_THIS_MACHINE, blocks_third_parties=True) as chromium:
        yield chromium


def test_cookies_are_lost(make_https_site: SiteFactory, make_visitor: VisitorFactory) -> None:
    visitor = make_visitor(make_https_site())
    visitor.tab.sign_in()
    assert visitor.tab.call("/api/me") == (401, {"message": "unauthorised"})
    assert visitor.tab.is_signed_in() is False


@pytest.mark.parametrize(("transfer", "settings"), [("header", {}), ("cookie", {"cookie_partitioned": True})])
def test_headers_and_partitioned_cookies_work(
    make_https_site: SiteFactory, make_visitor: VisitorFactory, transfer: str, settings: dict[str, Any]
) -> None:
    visitor = make_visitor(make_https_site(**settings), transfer=transfer)
    visitor.tab.sign_in_with_an_expired_token()
    assert visitor.tab.call("/api/me", "POST")[0] == 200
    visitor.tab.load()
    assert visitor.tab.is_signed_in() is True
    visitor.tab.run("await sdk.signOut()")
    assert visitor.tab.is_signed_in() is False
