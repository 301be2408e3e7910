"""The e-mail addresses that apps of tests know."""

from __future__ import annotations

ADDRESSES = {
    ("alice", "public"): "alice@example.com",
    ("alice", "customer1"): "alice@customer1.example",
    ("bob", "public"): "bob@example.com",
}


def get_email(user_id: str, tenant_id: str) -> str | None:
    """Return a user's address in a tenant, or ``None``."""
    return ADDRESSES.get((user_id, tenant_id))
