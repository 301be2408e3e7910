"""The lists of ``settings.md``, made from the code: ``python docs/tables.py`` writes them into the page."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from flask_stsession.config.config import SETTINGS, Config
from flask_stsession.constants import ACCESS_COOKIE_LIFETIME_SECONDS
from flask_stsession.embedded.settings import Settings

PAGE = Path(__file__).with_name("settings.md")

_UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


def settings_list() -> str:
    """Return every key of ``app.config`` with its meaning and its default, as a list of definitions."""
    return "\n".join(
        f"[`{each.key}`]{{#{each.key}}}\n: {each.doc}\n\n  Default: {_default(each.otherwise)}\n"
        for each in SETTINGS.values()
    )


def embedded_table() -> str:
    """Return every setting of the embedded core, with its default."""
    return _table(
        ("key", "default"),
        ((f"`{each.name}`", _shown(each.default)) for each in fields(Settings)),
    )


def lifetimes_table() -> str:
    """Return how long each thing lives by default, and the setting that changes it."""
    config, core = Config(), Settings()
    claims = config.claim_max_age_seconds or 0
    jitter = f"{core.access_token_validity_jitter:.0%}".replace("%", " %")
    of_core = "of the core"
    rows = [
        (
            "access token",
            f"{_time(core.access_token_validity)}, at random up to {jitter} less",
            f"`access_token_validity` (s) and `access_token_validity_jitter` {of_core}",
        ),
        (
            "refresh token; a session that is not used",
            _time(core.refresh_token_validity * 60),
            f"`refresh_token_validity` (min) {of_core}",
        ),
        (
            "the cookie of the access token; the token in it expires earlier",
            _time(ACCESS_COOKIE_LIFETIME_SECONDS),
            "`remember=False` at the login: until the browser closes",
        ),
        (
            "the cookie of the refresh token",
            "as long as the token",
            "`remember=False` at the login: until the browser closes",
        ),
        (
            "a previous refresh token, with CDI 5.6",
            _time(core.refresh_token_rotation_grace_period),
            f"`refresh_token_rotation_grace_period` (s) {of_core}",
        ),
        (
            "a dynamic signing key, until the next one signs",
            _time(core.access_token_dynamic_signing_key_update_interval * 3600),
            f"`access_token_dynamic_signing_key_update_interval` (h) {of_core}",
        ),
        (
            "signing keys in a process, until they are fetched again",
            _time(config.jwks_refresh_seconds),
            "`STSESSION_JWKS_REFRESH_SECONDS`",
        ),
        (
            "signing keys in a process while the core does not respond",
            _time(config.jwks_max_stale_seconds),
            "`STSESSION_JWKS_MAX_STALE_SECONDS`",
        ),
        (
            "roles, permissions and other built-in claims in a token, until a check fetches them again",
            _time(claims),
            "`STSESSION_CLAIM_MAX_AGE_SECONDS`, or `max_age_in_sec=` of a check",
        ),
        (
            "a response of the core in a process, for the permissions of a role for example",
            _time(config.core_cache_ttl_seconds),
            "`STSESSION_CORE_CACHE_TTL_SECONDS`",
        ),
        (
            "the result of a database check in a process",
            _time(config.check_database_ttl_seconds),
            "`STSESSION_CHECK_DATABASE_TTL_SECONDS`",
        ),
        (
            "the token in a link that verifies an e-mail address",
            _time(core.email_verification_token_lifetime / 1000),
            f"`email_verification_token_lifetime` (ms) {of_core}",
        ),
    ]
    return _table(("what", "lives for", "set by"), rows)


TABLES = {"settings": settings_list, "embedded": embedded_table, "lifetimes": lifetimes_table}


def with_tables(text: str) -> str:
    """Return the page with each table between its two comments made anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}{table()}{end}{after}"
    return text


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head_row, *body = (f"| {' | '.join(row)} |\n" for row in (head, *rows))
    return head_row + "|" + "---|" * len(head) + "\n" + "".join(body)


def _time(seconds: float) -> str:
    """Return a time in its largest whole unit."""
    if seconds == 0:
        return "not at all"
    unit, size = next((name, size) for name, size in _UNITS if seconds % size == 0 and seconds >= size)
    count = f"{seconds / size:g}"
    return f"{count} {unit[:-1] if count == '1' else unit}"


def _default(text: str) -> str:
    """Return a default as code, unless it is a description."""
    try:
        ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
    return f"`{text}`"


def _shown(value: object) -> str:
    return f"`{value!r}`" if value or value == 0 else "none"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
