"""The how-to about tenants (tenants.md)."""

from __future__ import annotations

import pytest
from support.documentation import Namespace, page_fixture

pytestmark = pytest.mark.embedded_core  # the page configures no core

namespace = page_fixture("howto/tenants.md")


def test_a_session_of_one_tenant_does_not_pass_at_another(namespace: Namespace) -> None:
    app = namespace["app"]
    with app.app_context():
        for tenant in ("acme", "globex"):
            namespace["add_customer"](tenant)
    client = app.test_client()
    signed_in = client.post("/login", base_url="http://acme.localhost", json={"userId": "alice"})
    bearer = {"Authorization": f"Bearer {signed_in.headers['st-access-token']}"}
    own = client.get("/orders", base_url="http://acme.localhost", headers=bearer)
    assert own.json == {"orders_of": "alice", "tenant": "acme"}
    foreign = client.get("/orders", base_url="http://globex.localhost", headers=bearer)
    assert foreign.status_code == 403
    assert foreign.json is not None
    assert foreign.json["claimValidationErrors"][0]["id"] == "st-tenant"
