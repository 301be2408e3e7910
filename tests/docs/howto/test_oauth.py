"""The how-to about other login providers (oauth.md), with responses as GitHub's."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from authlib.integrations.base_client import MismatchingStateError
from support.documentation import Namespace, page_fixture

pytestmark = [
    pytest.mark.embedded_core,  # the page configures no core
    # Authlib warns of parts of its own.
    pytest.mark.filterwarnings("ignore::authlib.deprecate.AuthlibDeprecationWarning"),
]

NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
BY_THE_PROVIDER = {**NAVIGATES, "Sec-Fetch-Site": "cross-site"}

namespace = page_fixture("howto/oauth.md")


def test_the_callback_signs_in_by_cookie_and_goes_where_the_visitor_wanted(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    to_login = client.get("/?page=2", headers=NAVIGATES)
    away = urlsplit(client.get(to_login.headers["Location"], headers=NAVIGATES).headers["Location"])
    assert away.netloc == "github.com"
    sent = {key: values[0] for key, values in parse_qs(away.query).items()}
    back = urlsplit(sent["redirect_uri"])
    with responses.RequestsMock() as provider:
        provider.post("https://github.com/login/oauth/access_token", json={"access_token": "x"})
        provider.get("https://api.github.com/user", json={"id": 7, "login": "alice"})
        returned = client.get(
            f"{back.path}?{back.query}&code=y&state={sent['state']}", headers=BY_THE_PROVIDER
        )
    assert (returned.status_code, returned.headers["Location"]) == (303, "/?page=2")
    assert client.get("/?page=2", headers=NAVIGATES).text == "Hello github-7"
    with namespace["app"].app_context():
        (session,) = namespace["stsession"].list_sessions("github-7")
    assert session.session_data_in_database == {"name": "alice"}


def test_a_callback_with_a_state_of_others_signs_nobody_in(namespace: Namespace) -> None:
    client = namespace["app"].test_client()
    client.get("/login", headers=NAVIGATES)
    namespace["app"].testing = True
    with pytest.raises(MismatchingStateError):
        client.get("/callback?code=y&state=forged", headers=BY_THE_PROVIDER)
    assert client.get_cookie("sAccessToken") is None
