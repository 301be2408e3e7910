"""Values of single settings, from Python and from an environment: accepted and refused ones."""

from __future__ import annotations

import os
import re
import shlex
import string
from collections.abc import Mapping
from typing import Any

import flask
import pytest
from hypothesis import given, strategies as st

from flask_stsession.config.config import ROUTE_NAMES, SETTINGS, Config
from flask_stsession.config.domains import Sites
from flask_stsession.errors import ConfigError, Reason

KEYS = list(SETTINGS)
NO_LIST = Sites(lambda: None)
#: Empty text has a meaning here: the root, no prefix, no domain.
MAY_BE_EMPTY = {
    f"STSESSION_{key}"
    for key in (
        "API_BASE_PATH",
        "API_GATEWAY_PATH",
        "COOKIE_PREFIX",
        "OLDER_COOKIE_DOMAIN",
        "SUBDOMAIN",
        "WEBSITE_BASE_PATH",
    )
}


def read(settings: Mapping[str, Any]) -> Config:
    return Config.from_mapping({f"STSESSION_{key}": value for key, value in settings.items()})


def example(key: str, spelled: str, environment: str) -> str:
    """Return the end of a message, which shows a good value."""
    return (
        f"Write for example STSESSION_{key} = {spelled} (in the environment: "
        f"FLASK_STSESSION_{key}={environment})."
    )


WRONG_VALUES: list[tuple[dict[str, Any], str]] = [
    (
        {"COOKIE_SAMESITE": "lax"},
        "There is no setting 'STSESSION_COOKIE_SAMESITE'. Did you mean STSESSION_COOKIE_SAME_SITE?",
    ),
    (
        {"CONNECTION_URL": "http://core:3567"},
        "There is no setting 'STSESSION_CONNECTION_URL'. Did you mean STSESSION_CONNECTION_URI?",
    ),
    (
        {"API_\u041aEY": "hunter2"},  # a Cyrillic letter
        "There is no setting 'STSESSION_API_\\u041aEY'. Did you mean STSESSION_API_KEY?",
    ),
    (
        {"api_key": "hunter2"},
        "There is no setting 'STSESSION_api_key'. Did you mean STSESSION_API_KEY?",
    ),
    (
        {" API_KEY": "hunter2"},
        "There is no setting 'STSESSION_ API_KEY'. Did you mean STSESSION_API_KEY?",
    ),
    (
        {"GREETING": "hello"},
        "There is no setting 'STSESSION_GREETING'. The keys are " + ", ".join(KEYS) + ".",
    ),
    (
        {"CONNECTION_URI": 5},
        "STSESSION_CONNECTION_URI = 5: it must be text, not a number. Write for example "
        "STSESSION_CONNECTION_URI = 'https://core.example.com:3567' (in the environment: "
        "FLASK_STSESSION_CONNECTION_URI='\"https://core.example.com:3567\"').",
    ),
    (
        {"CONNECTION_URI": ""},
        "STSESSION_CONNECTION_URI = '': it must be printable text in one line, and not empty. Write for "
        "example STSESSION_CONNECTION_URI = 'https://core.example.com:3567' (in the environment: "
        "FLASK_STSESSION_CONNECTION_URI='\"https://core.example.com:3567\"').",
    ),
    (
        {"CONNECTION_URI": "localhost:3567"},
        "STSESSION_CONNECTION_URI = 'localhost:3567': it must be embedded:… or the URL of a core, but it "
        "does not begin with http:// or https://. Write for example STSESSION_CONNECTION_URI = "
        "'http://localhost:3567' (in the environment: "
        "FLASK_STSESSION_CONNECTION_URI='\"http://localhost:3567\"').",
    ),
    (
        {"CONNECTION_URI": "core.internal/appid-x"},
        "STSESSION_CONNECTION_URI = 'core.internal/appid-x': it must be embedded:… or the URL of a core, "
        "but it does not begin with http:// or https://. Write for example STSESSION_CONNECTION_URI = "
        "'https://core.internal' (in the environment: "
        "FLASK_STSESSION_CONNECTION_URI='\"https://core.internal\"').",
    ),
    (
        {"CONNECTION_URI": "http://user:hunter2@core"},
        "STSESSION_CONNECTION_URI = (not shown): it must be embedded:… or the URL of a core, but it has "
        "a user name or a password in it. Write for example STSESSION_CONNECTION_URI = "
        "'https://core.example.com:3567' (in the environment: "
        "FLASK_STSESSION_CONNECTION_URI='\"https://core.example.com:3567\"').",
    ),
    (
        {"CONNECTION_URI": "embedded:a.db;http://core"},
        "STSESSION_CONNECTION_URI = 'embedded:a.db;http://core': it must be the embedded core or URLs, "
        "not both. Write for example STSESSION_CONNECTION_URI = 'https://core.example.com:3567' (in the "
        "environment: FLASK_STSESSION_CONNECTION_URI='\"https://core.example.com:3567\"').",
    ),
    *(
        (
            {"CONNECTION_URI": written},
            f"STSESSION_CONNECTION_URI = {written!r}: {problem}. Write for example "
            f"STSESSION_CONNECTION_URI = {meant!r} (in the environment: "
            f"FLASK_STSESSION_CONNECTION_URI='\"{meant}\"').",
        )
        for written, problem, meant in (
            *(
                (written, "memory has a colon before it and one behind it", "embedded::memory:")
                for written in ("embedded::memory", "embedded:memory:", "embedded::Memory:")
            ),
            (
                "embedded:///srv/core.db",
                "embedded: is followed by a path, without the slashes of a URL",
                "embedded:/srv/core.db",
            ),
            ("embedded:~/core.db", "~ is not expanded, so write the whole path", "embedded:/path/to/core.db"),
        )
    ),
    (
        {"CONNECTION_URI": "http://core:99999"},
        "STSESSION_CONNECTION_URI = 'http://core:99999': it must be embedded:… or the URL of a core, but "
        "its port is not a number up to 65535. Write for example STSESSION_CONNECTION_URI = "
        "'https://core.example.com:3567' (in the environment: "
        "FLASK_STSESSION_CONNECTION_URI='\"https://core.example.com:3567\"').",
    ),
    (
        {"CONNECTION_URI": "http://core/?a=1"},
        "STSESSION_CONNECTION_URI = 'http://core/?a=1': it must be embedded:… or the URL of a core, but "
        "it has a query or a fragment. Write for example STSESSION_CONNECTION_URI = "
        "'https://core.example.com:3567' (in the environment: "
        "FLASK_STSESSION_CONNECTION_URI='\"https://core.example.com:3567\"').",
    ),
    (
        {"CONNECTION_URI": " ; "},
        "STSESSION_CONNECTION_URI = ' ; ': it names no host. Write for example STSESSION_CONNECTION_URI "
        "= 'https://core.example.com:3567' (in the environment: "
        "FLASK_STSESSION_CONNECTION_URI='\"https://core.example.com:3567\"').",
    ),
    (
        {"CONNECTION_URI": "http://[::1"},
        "STSESSION_CONNECTION_URI = 'http://[::1': it must be embedded:… or the URL of a core, but it is "
        "not a URL. Write for example STSESSION_CONNECTION_URI = 'https://core.example.com:3567' (in the "
        "environment: FLASK_STSESSION_CONNECTION_URI='\"https://core.example.com:3567\"').",
    ),
    (
        {"API_KEY": 12345678},
        "STSESSION_API_KEY = (not shown): it must be text, not a number. Write for example "
        "STSESSION_API_KEY = 'the-key-of-your-core' (in the environment: "
        "FLASK_STSESSION_API_KEY='\"the-key-of-your-core\"').",
    ),
    (
        {"API_KEY": b"hunter2"},
        "STSESSION_API_KEY = (not shown): it must be text, not bytes. "
        + example("API_KEY", "'the-key-of-your-core'", "'\"the-key-of-your-core\"'"),
    ),
    (
        {"API_KEY": ["hunter2"]},
        "STSESSION_API_KEY = (not shown): it must be text, not a list. "
        + example("API_KEY", "'the-key-of-your-core'", "'\"the-key-of-your-core\"'"),
    ),
    (
        {"LOGIN_URL": {"path": "/login"}},
        "STSESSION_LOGIN_URL = {'path': '/login'}: it must be text, not a dict. "
        + example("LOGIN_URL", "'/login'", "'\"/login\"'"),
    ),
    (
        {"API_GATEWAY_PATH": True},
        "STSESSION_API_GATEWAY_PATH = True: it must be text, not True or False. "
        + example("API_GATEWAY_PATH", "'/gateway'", "'\"/gateway\"'"),
    ),
    (
        {"API_KEY": "hunter2 hunter2"},
        "STSESSION_API_KEY = (not shown): it must be ASCII without spaces, as it goes into a header. "
        "Write for example STSESSION_API_KEY = 'the-key-of-your-core' (in the environment: "
        "FLASK_STSESSION_API_KEY='\"the-key-of-your-core\"').",
    ),
    (
        {"API_KEY": "hunter2\nX-A: b"},
        "STSESSION_API_KEY = (not shown): it must be printable text in one line, and not empty. Write "
        "for example STSESSION_API_KEY = 'the-key-of-your-core' (in the environment: "
        "FLASK_STSESSION_API_KEY='\"the-key-of-your-core\"').",
    ),
    (
        {"API_KEY": ""},
        "STSESSION_API_KEY = (not shown): it must be printable text in one line, and not empty. Write "
        "for example STSESSION_API_KEY = 'the-key-of-your-core' (in the environment: "
        "FLASK_STSESSION_API_KEY='\"the-key-of-your-core\"').",
    ),
    (
        {"EMBEDDED_CORE": "access_token_validity=30"},
        "STSESSION_EMBEDDED_CORE = (not shown): it must be a dict with text for keys. Write for example "
        "STSESSION_EMBEDDED_CORE = {'access_token_validity': 3600} (in the environment: "
        "FLASK_STSESSION_EMBEDDED_CORE='{\"access_token_validity\": 3600}').",
    ),
    (
        {"EMBEDDED_CORE": {1: 2}},
        "STSESSION_EMBEDDED_CORE = (not shown): it must be a dict with text for keys. Write for example "
        "STSESSION_EMBEDDED_CORE = {'access_token_validity': 3600} (in the environment: "
        "FLASK_STSESSION_EMBEDDED_CORE='{\"access_token_validity\": 3600}').",
    ),
    (
        {"CDI_VERSION": "3.1"},
        "STSESSION_CDI_VERSION = '3.1': it must be one of 4.0, 5.0, 5.1, 5.2, 5.3, 5.4, 5.5, 5.6. Write "
        "for example STSESSION_CDI_VERSION = '5.5' (in the environment: "
        "FLASK_STSESSION_CDI_VERSION='\"5.5\"').",
    ),
    (
        {"CDI_VERSION": 5},
        "STSESSION_CDI_VERSION = 5: it must be one of 4.0, 5.0, 5.1, 5.2, 5.3, 5.4, 5.5, 5.6. Write for "
        "example STSESSION_CDI_VERSION = '5.5' (in the environment: "
        "FLASK_STSESSION_CDI_VERSION='\"5.5\"').",
    ),
    (
        {"ISSUER": "https://id.example.com/?a=1"},
        "STSESSION_ISSUER = 'https://id.example.com/?a=1': it must be the URL of an issuer, but it has a "
        "query or a fragment. "
        + example("ISSUER", "'https://id.example.com'", "'\"https://id.example.com\"'"),
    ),
    (
        {"ISSUER": "my company"},
        "STSESSION_ISSUER = 'my company': it must be text without blanks. "
        + example("ISSUER", "'https://id.example.com'", "'\"https://id.example.com\"'"),
    ),
    (
        {"ISSUER": "id.example.com:8443"},
        "STSESSION_ISSUER = 'id.example.com:8443': it must be a URL, as there is a colon in it. "
        + example("ISSUER", "'https://id.example.com:8443'", "'\"https://id.example.com:8443\"'"),
    ),
    (
        {"AUDIENCE": []},
        "STSESSION_AUDIENCE = []: it must name at least one audience. "
        + example("AUDIENCE", "'https://api.example.com'", "'\"https://api.example.com\"'"),
    ),
    (
        {"AUDIENCE": ["shop", "the mill"]},
        "STSESSION_AUDIENCE = ['shop', 'the mill']: each must be printable text without blanks. "
        + example("AUDIENCE", "'https://api.example.com'", "'\"https://api.example.com\"'"),
    ),
    (
        {"AUDIENCE": ["shop", 5]},
        "STSESSION_AUDIENCE = 5: it must be text, not a number. "
        + example("AUDIENCE", "'https://api.example.com'", "'\"https://api.example.com\"'"),
    ),
    (
        {"API_DOMAIN": "api.example.com"},
        "STSESSION_API_DOMAIN = 'api.example.com': it must be scheme and host, but it does not begin "
        "with http:// or https://. Write for example STSESSION_API_DOMAIN = 'https://api.example.com' "
        "(in the environment: FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"API_DOMAIN": "localhost:5000"},
        "STSESSION_API_DOMAIN = 'localhost:5000': it must be scheme and host, but it does not begin with "
        "http:// or https://. Write for example STSESSION_API_DOMAIN = 'http://localhost:5000' (in the "
        "environment: FLASK_STSESSION_API_DOMAIN='\"http://localhost:5000\"').",
    ),
    (
        {"API_DOMAIN": "https://api.example.com/v1"},
        "STSESSION_API_DOMAIN = 'https://api.example.com/v1': it must be scheme and host only, without a "
        "path. Write for example STSESSION_API_DOMAIN = 'https://api.example.com' (in the environment: "
        "FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"API_DOMAIN": "ftp://api.example.com"},
        "STSESSION_API_DOMAIN = 'ftp://api.example.com': it must be scheme and host, but it does not "
        "begin with http:// or https://. Write for example STSESSION_API_DOMAIN = "
        "'https://api.example.com' (in the environment: "
        "FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"API_DOMAIN": "https://1.2.3"},
        "STSESSION_API_DOMAIN = 'https://1.2.3': it must be scheme and host, but '1.2.3' is not a host "
        "name. Write for example STSESSION_API_DOMAIN = 'https://api.example.com' (in the environment: "
        "FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"API_DOMAIN": "https://a..b"},
        "STSESSION_API_DOMAIN = 'https://a..b': it must be scheme and host, but 'a..b' is not a host name. "
        "Write for example STSESSION_API_DOMAIN = 'https://api.example.com' (in the environment: "
        "FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"API_DOMAIN": "https://x:hunter2@api.example.com"},
        "STSESSION_API_DOMAIN = (not shown): it must be scheme and host, but it has a user name or a "
        "password in it. Write for example STSESSION_API_DOMAIN = 'https://api.example.com' (in the "
        "environment: FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"API_DOMAIN": "https://api.example.com:port"},
        "STSESSION_API_DOMAIN = 'https://api.example.com:port': it must be scheme and host, but its port "
        "is not a number up to 65535. Write for example STSESSION_API_DOMAIN = 'https://api.example.com' "
        "(in the environment: FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"API_DOMAIN": 443},
        "STSESSION_API_DOMAIN = 443: it must be text, scheme and host. Write for example "
        "STSESSION_API_DOMAIN = 'https://api.example.com' (in the environment: "
        "FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"API_DOMAIN": "https://a.example b"},
        "STSESSION_API_DOMAIN = 'https://a.example b': it must be scheme and host, but it has spaces, "
        "backslashes or control characters in it. Write for example STSESSION_API_DOMAIN = "
        "'https://api.example.com' (in the environment: "
        "FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"API_DOMAIN": "https://a.example?"},
        "STSESSION_API_DOMAIN = 'https://a.example?': it must be scheme and host, but it has a query or "
        "a fragment. Write for example STSESSION_API_DOMAIN = 'https://api.example.com' (in the "
        "environment: FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"WEBSITE_DOMAIN": []},
        "STSESSION_WEBSITE_DOMAIN = []: it must name at least one website. Write for example "
        "STSESSION_WEBSITE_DOMAIN = 'https://www.example.com' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"https://www.example.com\"').",
    ),
    (
        {"WEBSITE_DOMAIN": ["https://a.example", "b.org"]},
        "STSESSION_WEBSITE_DOMAIN = ['https://a.example', 'b.org']: it must be scheme and host, but "
        "it does not begin with http:// or https://. Write for example STSESSION_WEBSITE_DOMAIN = "
        "'https://b.org' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"https://b.org\"').",
    ),
    (
        {"WEBSITE_DOMAIN": ["https://x:hunter2@a.example"]},
        "STSESSION_WEBSITE_DOMAIN = (not shown): it must be scheme and host, but it has a user name or a "
        "password in it. Write for example STSESSION_WEBSITE_DOMAIN = 'https://www.example.com' (in the "
        "environment: FLASK_STSESSION_WEBSITE_DOMAIN='\"https://www.example.com\"').",
    ),
    (
        {"WEBSITE_DOMAIN": True},
        "STSESSION_WEBSITE_DOMAIN = True: it must be text, scheme and host. Write for example "
        "STSESSION_WEBSITE_DOMAIN = 'https://www.example.com' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"https://www.example.com\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "Capacitor://localhost"},
        "STSESSION_WEBSITE_DOMAIN = 'Capacitor://localhost': the origin of an app shell must be written as "
        "the shell sends it: scheme in lower case and host, without a path. Write for example "
        "STSESSION_WEBSITE_DOMAIN = 'capacitor://localhost' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"capacitor://localhost\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "capacitor://localhost/index.html"},
        "STSESSION_WEBSITE_DOMAIN = 'capacitor://localhost/index.html': the origin of an app shell must be "
        "written as the shell sends it: scheme in lower case and host, without a path. Write for example "
        "STSESSION_WEBSITE_DOMAIN = 'capacitor://localhost' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"capacitor://localhost\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "chrome-extension://*"},
        "STSESSION_WEBSITE_DOMAIN = 'chrome-extension://*': the origin of an app shell must be written as "
        "the shell sends it: scheme in lower case and host, without a path. Write for example "
        "STSESSION_WEBSITE_DOMAIN = 'capacitor://localhost' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"capacitor://localhost\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "ionic://"},
        "STSESSION_WEBSITE_DOMAIN = 'ionic://': the origin of an app shell must be written as the shell "
        "sends it: scheme in lower case and host, without a path. Write for example "
        "STSESSION_WEBSITE_DOMAIN = 'capacitor://localhost' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"capacitor://localhost\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "tauri://a b"},
        "STSESSION_WEBSITE_DOMAIN = 'tauri://a b': the origin of an app shell must be written as the shell "
        "sends it: scheme in lower case and host, without a path. Write for example "
        "STSESSION_WEBSITE_DOMAIN = 'capacitor://localhost' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"capacitor://localhost\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "htps://www.example.com"},
        "STSESSION_WEBSITE_DOMAIN = 'htps://www.example.com': it must be scheme and host, but it does not "
        "begin with http:// or https://. Write for example STSESSION_WEBSITE_DOMAIN = "
        "'https://www.example.com' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"https://www.example.com\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "file:///srv/index.html"},
        "STSESSION_WEBSITE_DOMAIN = 'file:///srv/index.html': it must be scheme and host, but it does not "
        "begin with http:// or https://. Write for example STSESSION_WEBSITE_DOMAIN = "
        "'https://www.example.com' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"https://www.example.com\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "ws://www.example.com"},
        "STSESSION_WEBSITE_DOMAIN = 'ws://www.example.com': it must be scheme and host, but it does not "
        "begin with http:// or https://. Write for example STSESSION_WEBSITE_DOMAIN = "
        "'https://www.example.com' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"https://www.example.com\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "*"},
        "STSESSION_WEBSITE_DOMAIN = '*': it must be scheme and host, but it does not begin with http:// "
        "or https://. Write for example STSESSION_WEBSITE_DOMAIN = 'https://www.example.com' (in the "
        "environment: FLASK_STSESSION_WEBSITE_DOMAIN='\"https://www.example.com\"').",
    ),
    (
        {"API_DOMAIN": "capacitor://localhost"},
        "STSESSION_API_DOMAIN = 'capacitor://localhost': it must be scheme and host, but it does not begin "
        "with http:// or https://. Write for example STSESSION_API_DOMAIN = 'https://api.example.com' (in "
        "the environment: FLASK_STSESSION_API_DOMAIN='\"https://api.example.com\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "https://straße.example"},
        "STSESSION_WEBSITE_DOMAIN = 'https://straße.example' (in ASCII: "
        "'https://stra\\xdfe.example'): it must be scheme and host, but "
        "'straße.example' is 'xn--strae-oqa.example' by IDNA 2008, but 'strasse.example' by IDNA 2003; it "
        "must be written as the one that is meant. Write for example STSESSION_WEBSITE_DOMAIN = "
        "'https://www.example.com' (in the environment: "
        "FLASK_STSESSION_WEBSITE_DOMAIN='\"https://www.example.com\"').",
    ),
    (
        {"WEBSITE_DOMAIN": "https://a.org,https://me:hunter2@b.org"},
        "STSESSION_WEBSITE_DOMAIN = (not shown): several websites must be a list. "
        + example("WEBSITE_DOMAIN", "'https://www.example.com'", "'\"https://www.example.com\"'"),
    ),
    (
        {"WEBSITE_DOMAIN": "https://a.org, https://b.org"},
        "STSESSION_WEBSITE_DOMAIN = 'https://a.org, https://b.org': several websites must be a list. "
        + example(
            "WEBSITE_DOMAIN", "['https://a.org', 'https://b.org']", '\'["https://a.org", "https://b.org"]\''
        ),
    ),
    (
        {"API_BASE_PATH": "a//b"},
        "STSESSION_API_BASE_PATH = 'a//b': it must be a path of ASCII letters, digits and -._~@:+= "
        "between single slashes. Write for example STSESSION_API_BASE_PATH = '/auth' (in the "
        "environment: FLASK_STSESSION_API_BASE_PATH='\"/auth\"').",
    ),
    (
        {"API_BASE_PATH": "/auth?x"},
        "STSESSION_API_BASE_PATH = '/auth?x': it must be a path of ASCII letters, digits and -._~@:+= "
        "between single slashes. Write for example STSESSION_API_BASE_PATH = '/auth' (in the "
        "environment: FLASK_STSESSION_API_BASE_PATH='\"/auth\"').",
    ),
    (
        {"API_BASE_PATH": "/../auth"},
        "STSESSION_API_BASE_PATH = '/../auth': it must be a path of ASCII letters, digits and -._~@:+= "
        "between single slashes. Write for example STSESSION_API_BASE_PATH = '/auth' (in the "
        "environment: FLASK_STSESSION_API_BASE_PATH='\"/auth\"').",
    ),
    (
        {"API_BASE_PATH": 3},
        "STSESSION_API_BASE_PATH = 3: it must be text, not a number. Write for example "
        "STSESSION_API_BASE_PATH = '/auth' (in the environment: FLASK_STSESSION_API_BASE_PATH='\"/auth\"').",
    ),
    (
        {"API_GATEWAY_PATH": "/<name>"},
        "STSESSION_API_GATEWAY_PATH = '/<name>': it must be a path of ASCII letters, digits and -._~@:+= "
        "between single slashes. Write for example STSESSION_API_GATEWAY_PATH = '/gateway' (in the "
        "environment: FLASK_STSESSION_API_GATEWAY_PATH='\"/gateway\"').",
    ),
    (
        {"TOKEN_TRANSFER_METHOD": "cookies"},
        "STSESSION_TOKEN_TRANSFER_METHOD = 'cookies': it must be one of any, cookie, header, or a "
        "function. Write for example STSESSION_TOKEN_TRANSFER_METHOD = 'cookie' (in the environment: "
        "FLASK_STSESSION_TOKEN_TRANSFER_METHOD='\"cookie\"').",
    ),
    (
        {"TOKEN_TRANSFER_METHOD": 1},
        "STSESSION_TOKEN_TRANSFER_METHOD = 1: it must be one of any, cookie, header, or a function. "
        "Write for example STSESSION_TOKEN_TRANSFER_METHOD = 'cookie' (in the environment: "
        "FLASK_STSESSION_TOKEN_TRANSFER_METHOD='\"cookie\"').",
    ),
    (
        {"COOKIE_DOMAIN": "a b"},
        "STSESSION_COOKIE_DOMAIN = 'a b': it must be a domain, but it has spaces, backslashes or control "
        "characters in it. Write for example STSESSION_COOKIE_DOMAIN = '.example.com' (in the "
        "environment: FLASK_STSESSION_COOKIE_DOMAIN='\".example.com\"').",
    ),
    (
        {"COOKIE_DOMAIN": ""},
        "STSESSION_COOKIE_DOMAIN = '': it must be printable text in one line, and not empty. Write for "
        "example STSESSION_COOKIE_DOMAIN = '.example.com' (in the environment: "
        "FLASK_STSESSION_COOKIE_DOMAIN='\".example.com\"').",
    ),
    (
        {"COOKIE_DOMAIN": "[::1]"},
        "STSESSION_COOKIE_DOMAIN = '[::1]': it must be a domain, which an IPv6 address is not. Write for "
        "example STSESSION_COOKIE_DOMAIN = '.example.com' (in the environment: "
        "FLASK_STSESSION_COOKIE_DOMAIN='\".example.com\"').",
    ),
    (
        {"COOKIE_DOMAIN": "..example.com"},
        "STSESSION_COOKIE_DOMAIN = '..example.com': it must be a domain, but '.example.com' is not a host "
        "name. Write for example STSESSION_COOKIE_DOMAIN = '.example.com' (in the environment: "
        "FLASK_STSESSION_COOKIE_DOMAIN='\".example.com\"').",
    ),
    (
        {"COOKIE_DOMAIN": 7},
        "STSESSION_COOKIE_DOMAIN = 7: it must be text, not a number. Write for example "
        "STSESSION_COOKIE_DOMAIN = '.example.com' (in the environment: "
        "FLASK_STSESSION_COOKIE_DOMAIN='\".example.com\"').",
    ),
    (
        {"OLDER_COOKIE_DOMAIN": "-.example.com"},
        "STSESSION_OLDER_COOKIE_DOMAIN = '-.example.com': it must be a domain, but '-.example.com' is not a "
        "host name. Write for example STSESSION_OLDER_COOKIE_DOMAIN = '.example.com' (in the "
        "environment: FLASK_STSESSION_OLDER_COOKIE_DOMAIN='\".example.com\"').",
    ),
    (
        {"COOKIE_SECURE": "yes"},
        "STSESSION_COOKIE_SECURE = 'yes': it must be True or False. Write for example "
        "STSESSION_COOKIE_SECURE = True (in the environment: FLASK_STSESSION_COOKIE_SECURE=true).",
    ),
    (
        {"COOKIE_SECURE": 1},
        "STSESSION_COOKIE_SECURE = 1: it must be True or False. Write for example "
        "STSESSION_COOKIE_SECURE = True (in the environment: FLASK_STSESSION_COOKIE_SECURE=true).",
    ),
    (
        {"COOKIE_SAME_SITE": "l\u0430x"},  # a Cyrillic letter
        "STSESSION_COOKIE_SAME_SITE = 'l\u0430x' (in ASCII: 'l\\u0430x'): it must be one of lax, strict, "
        "none. " + example("COOKIE_SAME_SITE", "'lax'", "'\"lax\"'"),
    ),
    (
        {"COOKIE_SAME_SITE": "loose"},
        "STSESSION_COOKIE_SAME_SITE = 'loose': it must be one of lax, strict, none. Write for example "
        "STSESSION_COOKIE_SAME_SITE = 'lax' (in the environment: "
        "FLASK_STSESSION_COOKIE_SAME_SITE='\"lax\"').",
    ),
    (
        {"COOKIE_SAME_SITE": False},
        "STSESSION_COOKIE_SAME_SITE = False: it must be one of lax, strict, none. Write for example "
        "STSESSION_COOKIE_SAME_SITE = 'lax' (in the environment: "
        "FLASK_STSESSION_COOKIE_SAME_SITE='\"lax\"').",
    ),
    (
        {"ANTI_CSRF": "VIA_COOKIE"},
        "STSESSION_ANTI_CSRF = 'VIA_COOKIE': it must be one of VIA_TOKEN, VIA_CUSTOM_HEADER, VIA_ORIGIN, "
        "NONE. Write for example STSESSION_ANTI_CSRF = 'VIA_CUSTOM_HEADER' (in the environment: "
        "FLASK_STSESSION_ANTI_CSRF='\"VIA_CUSTOM_HEADER\"').",
    ),
    (
        {"ANTI_CSRF": False},
        "STSESSION_ANTI_CSRF = False: it must be one of VIA_TOKEN, VIA_CUSTOM_HEADER, VIA_ORIGIN, NONE. "
        "Write for example STSESSION_ANTI_CSRF = 'VIA_CUSTOM_HEADER' (in the environment: "
        "FLASK_STSESSION_ANTI_CSRF='\"VIA_CUSTOM_HEADER\"').",
    ),
    (
        {"COOKIE_PREFIX": "__Host-"},
        "STSESSION_COOKIE_PREFIX = '__Host-': browsers keep no refresh cookie of this prefix, since the "
        "cookie has a path. Write for example STSESSION_COOKIE_PREFIX = 'shop_' (in the environment: "
        "FLASK_STSESSION_COOKIE_PREFIX='\"shop_\"').",
    ),
    (
        {"COOKIE_PREFIX": " __hOST-shop_"},
        "STSESSION_COOKIE_PREFIX = ' __hOST-shop_': browsers keep no refresh cookie of this prefix, since "
        "the cookie has a path. Write for example STSESSION_COOKIE_PREFIX = 'shop_' (in the environment: "
        "FLASK_STSESSION_COOKIE_PREFIX='\"shop_\"').",
    ),
    (
        {"COOKIE_PREFIX": "my shop;"},
        "STSESSION_COOKIE_PREFIX = 'my shop;': it must be at most 64 ASCII letters, digits and -._. Write "
        "for example STSESSION_COOKIE_PREFIX = 'shop_' (in the environment: "
        "FLASK_STSESSION_COOKIE_PREFIX='\"shop_\"').",
    ),
    (
        {"COOKIE_PREFIX": 2},
        "STSESSION_COOKIE_PREFIX = 2: it must be text, not a number. Write for example "
        "STSESSION_COOKIE_PREFIX = 'shop_' (in the environment: FLASK_STSESSION_COOKIE_PREFIX='\"shop_\"').",
    ),
    (
        {"SESSION_EXPIRED_STATUS_CODE": 200},
        "STSESSION_SESSION_EXPIRED_STATUS_CODE = 200: it must be a whole number of at least 400 and at "
        "most 599. Write for example STSESSION_SESSION_EXPIRED_STATUS_CODE = 401 (in the environment: "
        "FLASK_STSESSION_SESSION_EXPIRED_STATUS_CODE=401).",
    ),
    (
        {"SESSION_EXPIRED_STATUS_CODE": 401.0},
        "STSESSION_SESSION_EXPIRED_STATUS_CODE = 401.0: it must be a whole number of at least 400 and at "
        "most 599. Write for example STSESSION_SESSION_EXPIRED_STATUS_CODE = 401 (in the environment: "
        "FLASK_STSESSION_SESSION_EXPIRED_STATUS_CODE=401).",
    ),
    (
        {"INVALID_CLAIM_STATUS_CODE": "forbidden"},
        "STSESSION_INVALID_CLAIM_STATUS_CODE = 'forbidden': it must be a whole number of at least 400 "
        "and at most 599. Write for example STSESSION_INVALID_CLAIM_STATUS_CODE = 403 (in the "
        "environment: FLASK_STSESSION_INVALID_CLAIM_STATUS_CODE=403).",
    ),
    (
        {"INVALID_CLAIM_STATUS_CODE": 600},
        "STSESSION_INVALID_CLAIM_STATUS_CODE = 600: it must be a whole number of at least 400 and at "
        "most 599. Write for example STSESSION_INVALID_CLAIM_STATUS_CODE = 403 (in the environment: "
        "FLASK_STSESSION_INVALID_CLAIM_STATUS_CODE=403).",
    ),
    (
        {"EXPOSE_ACCESS_TOKEN_TO_FRONTEND_IN_COOKIE_BASED_AUTH": "on"},
        "STSESSION_EXPOSE_ACCESS_TOKEN_TO_FRONTEND_IN_COOKIE_BASED_AUTH = 'on': it must be True or "
        "False. Write for example STSESSION_EXPOSE_ACCESS_TOKEN_TO_FRONTEND_IN_COOKIE_BASED_AUTH = True "
        "(in the environment: "
        "FLASK_STSESSION_EXPOSE_ACCESS_TOKEN_TO_FRONTEND_IN_COOKIE_BASED_AUTH=true).",
    ),
    (
        {"USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY": 0},
        "STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY = 0: it must be True or False. Write for example "
        "STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY = True (in the environment: "
        "FLASK_STSESSION_USE_DYNAMIC_ACCESS_TOKEN_SIGNING_KEY=true).",
    ),
    (
        {"CHECK_DATABASE": "1"},
        "STSESSION_CHECK_DATABASE = '1': it must be True or False. Write for example "
        "STSESSION_CHECK_DATABASE = True (in the environment: FLASK_STSESSION_CHECK_DATABASE=true).",
    ),
    (
        {"CHECK_DATABASE_TTL_SECONDS": -1},
        "STSESSION_CHECK_DATABASE_TTL_SECONDS = -1: it must be a number of at least 0 and at most "
        "315360000. Write for example STSESSION_CHECK_DATABASE_TTL_SECONDS = 5 (in the environment: "
        "FLASK_STSESSION_CHECK_DATABASE_TTL_SECONDS=5).",
    ),
    (
        {"JWKS_REFRESH_SECONDS": 0},
        "STSESSION_JWKS_REFRESH_SECONDS = 0: it must be a number above 0 and at most 315360000. Write "
        "for example STSESSION_JWKS_REFRESH_SECONDS = 60 (in the environment: "
        "FLASK_STSESSION_JWKS_REFRESH_SECONDS=60).",
    ),
    (
        {"JWKS_MAX_STALE_SECONDS": float("inf")},
        "STSESSION_JWKS_MAX_STALE_SECONDS = inf: it must be a number of at least 0 and at most "
        "315360000. Write for example STSESSION_JWKS_MAX_STALE_SECONDS = 86400 (in the environment: "
        "FLASK_STSESSION_JWKS_MAX_STALE_SECONDS=86400).",
    ),
    (
        {"JWKS_COOLDOWN_SECONDS": "10s"},
        "STSESSION_JWKS_COOLDOWN_SECONDS = '10s': it must be a number of at least 0 and at most "
        "315360000. Write for example STSESSION_JWKS_COOLDOWN_SECONDS = 10 (in the environment: "
        "FLASK_STSESSION_JWKS_COOLDOWN_SECONDS=10).",
    ),
    (
        {"CORE_TIMEOUT_SECONDS": [0, 1]},
        "STSESSION_CORE_TIMEOUT_SECONDS = [0, 1]: it must be two numbers of seconds, to connect and to "
        "read, above 0 and at most 3600. Write for example STSESSION_CORE_TIMEOUT_SECONDS = (2, 10) (in "
        "the environment: FLASK_STSESSION_CORE_TIMEOUT_SECONDS='[2, 10]').",
    ),
    (
        {"CORE_TIMEOUT_SECONDS": (1, 2, 3)},
        "STSESSION_CORE_TIMEOUT_SECONDS = (1, 2, 3): it must be two numbers of seconds, to connect and "
        "to read, above 0 and at most 3600. Write for example STSESSION_CORE_TIMEOUT_SECONDS = (2, 10) "
        "(in the environment: FLASK_STSESSION_CORE_TIMEOUT_SECONDS='[2, 10]').",
    ),
    (
        {"CORE_TIMEOUT_SECONDS": True},
        "STSESSION_CORE_TIMEOUT_SECONDS = True: it must be two numbers of seconds, to connect and to "
        "read, above 0 and at most 3600. Write for example STSESSION_CORE_TIMEOUT_SECONDS = (2, 10) (in "
        "the environment: FLASK_STSESSION_CORE_TIMEOUT_SECONDS='[2, 10]').",
    ),
    (
        {"CORE_TIMEOUT_SECONDS": "2,10"},
        "STSESSION_CORE_TIMEOUT_SECONDS = '2,10': it must be two numbers of seconds, to connect and to "
        "read, above 0 and at most 3600. Write for example STSESSION_CORE_TIMEOUT_SECONDS = (2, 10) (in "
        "the environment: FLASK_STSESSION_CORE_TIMEOUT_SECONDS='[2, 10]').",
    ),
    (
        {"CORE_TIMEOUT_SECONDS": 100000},
        "STSESSION_CORE_TIMEOUT_SECONDS = 100000: it must be two numbers of seconds, to connect and to "
        "read, above 0 and at most 3600. Write for example STSESSION_CORE_TIMEOUT_SECONDS = (2, 10) (in "
        "the environment: FLASK_STSESSION_CORE_TIMEOUT_SECONDS='[2, 10]').",
    ),
    (
        {"CORE_TLS": {"CA": "/etc/ca.pem"}},
        "STSESSION_CORE_TLS = {'CA': '/etc/ca.pem'}: it has the key 'CA', but may have only 'ca', 'cert' and "
        "'key'. Write for example STSESSION_CORE_TLS = {'ca': '/etc/ssl/core-ca.pem'} (in the environment: "
        'FLASK_STSESSION_CORE_TLS=\'{"ca": "/etc/ssl/core-ca.pem"}\').',
    ),
    (
        {"CORE_TLS": {"ca": 7}},
        "STSESSION_CORE_TLS = {'ca': 7}: 'ca' must be the name of a file. Write for example "
        "STSESSION_CORE_TLS = {'ca': '/etc/ssl/core-ca.pem'} (in the environment: "
        'FLASK_STSESSION_CORE_TLS=\'{"ca": "/etc/ssl/core-ca.pem"}\').',
    ),
    (
        {"CORE_TLS": {"key": __file__}},
        f"STSESSION_CORE_TLS = {{'key': {__file__!r}}}: 'key' is the key of a certificate, but there is no "
        "'cert'. Write for example STSESSION_CORE_TLS = {'ca': '/etc/ssl/core-ca.pem'} (in the environment: "
        'FLASK_STSESSION_CORE_TLS=\'{"ca": "/etc/ssl/core-ca.pem"}\').',
    ),
    (
        {"CORE_PROXY": "proxy:3128"},
        "STSESSION_CORE_PROXY = (not shown): it must be the URL of a proxy, but it does not begin with "
        "http:// or https://. Write for example STSESSION_CORE_PROXY "
        "= 'http://proxy.example.com:3128' (in the environment: "
        "FLASK_STSESSION_CORE_PROXY='\"http://proxy.example.com:3128\"').",
    ),
    (
        {"CORE_PROXY": "socks5://user:hunter2@proxy:1080"},
        "STSESSION_CORE_PROXY = (not shown): it must be the URL of a proxy, but it does not begin with "
        "http:// or https://. Write for example STSESSION_CORE_PROXY "
        "= 'http://proxy.example.com:3128' (in the environment: "
        "FLASK_STSESSION_CORE_PROXY='\"http://proxy.example.com:3128\"').",
    ),
    (
        {"CORE_PROXY": "http://user:hunter2/@proxy"},
        "STSESSION_CORE_PROXY = (not shown): user name and password must be percent-encoded. Write for "
        "example STSESSION_CORE_PROXY = 'http://proxy.example.com:3128' (in the environment: "
        "FLASK_STSESSION_CORE_PROXY='\"http://proxy.example.com:3128\"').",
    ),
    (
        {"CORE_PROXY": "http://proxy:3128/path"},
        "STSESSION_CORE_PROXY = (not shown): it must be scheme, host and port only, without a path. Write "
        "for example STSESSION_CORE_PROXY = 'http://proxy.example.com:3128' (in the environment: "
        "FLASK_STSESSION_CORE_PROXY='\"http://proxy.example.com:3128\"').",
    ),
    (
        {"CORE_MAX_RESPONSE_BYTES": "10MB"},
        "STSESSION_CORE_MAX_RESPONSE_BYTES = '10MB': it must be a whole number of at least 1024 and at most "
        "2147483647. Write for example STSESSION_CORE_MAX_RESPONSE_BYTES = 10485760 (in the environment: "
        "FLASK_STSESSION_CORE_MAX_RESPONSE_BYTES=10485760).",
    ),
    (
        {"CORE_CACHE_TTL_SECONDS": float("nan")},
        "STSESSION_CORE_CACHE_TTL_SECONDS = nan: it must be a number of at least 0 and at most 315360000. "
        + example("CORE_CACHE_TTL_SECONDS", "30", "30"),
    ),
    (
        {"CORE_CACHE_TTL_SECONDS": "NaN"},
        "STSESSION_CORE_CACHE_TTL_SECONDS = 'NaN': it must be a number of at least 0 and at most 315360000. "
        + example("CORE_CACHE_TTL_SECONDS", "30", "30"),
    ),
    (
        {"CORE_CACHE_TTL_SECONDS": "\uff13\uff10"},
        "STSESSION_CORE_CACHE_TTL_SECONDS = '\uff13\uff10' (in ASCII: '\\uff13\\uff10'): it must be a "
        "number of at least 0 and at most 315360000. " + example("CORE_CACHE_TTL_SECONDS", "30", "30"),
    ),
    (
        {"CORE_CACHE_TTL_SECONDS": True},
        "STSESSION_CORE_CACHE_TTL_SECONDS = True: it must be a number of at least 0 and at most "
        "315360000. Write for example STSESSION_CORE_CACHE_TTL_SECONDS = 30 (in the environment: "
        "FLASK_STSESSION_CORE_CACHE_TTL_SECONDS=30).",
    ),
    (
        {"VERIFIED_TOKEN_CACHE_SIZE": 2.5},
        "STSESSION_VERIFIED_TOKEN_CACHE_SIZE = 2.5: it must be a whole number of at least 0 and at most "
        "10000000. Write for example STSESSION_VERIFIED_TOKEN_CACHE_SIZE = 10000 (in the environment: "
        "FLASK_STSESSION_VERIFIED_TOKEN_CACHE_SIZE=10000).",
    ),
    (
        {"VERIFIED_TOKEN_CACHE_SIZE": -1},
        "STSESSION_VERIFIED_TOKEN_CACHE_SIZE = -1: it must be a whole number of at least 0 and at most "
        "10000000. Write for example STSESSION_VERIFIED_TOKEN_CACHE_SIZE = 10000 (in the environment: "
        "FLASK_STSESSION_VERIFIED_TOKEN_CACHE_SIZE=10000).",
    ),
    (
        {"MAX_ACCESS_TOKEN_BYTES": 0},
        "STSESSION_MAX_ACCESS_TOKEN_BYTES = 0: it must be a whole number of at least 1024 and at most "
        "1048576. Write for example STSESSION_MAX_ACCESS_TOKEN_BYTES = 8192 (in the environment: "
        "FLASK_STSESSION_MAX_ACCESS_TOKEN_BYTES=8192).",
    ),
    (
        {"CLAIM_MAX_AGE_SECONDS": -1},
        "STSESSION_CLAIM_MAX_AGE_SECONDS = -1: it must be a number of at least 0 and at most 315360000. "
        "Write for example STSESSION_CLAIM_MAX_AGE_SECONDS = 300 (in the environment: "
        "FLASK_STSESSION_CLAIM_MAX_AGE_SECONDS=300).",
    ),
    (
        {"CLAIM_MAX_AGE_SECONDS": "never"},
        "STSESSION_CLAIM_MAX_AGE_SECONDS = 'never': it must be a number of at least 0 and at most "
        "315360000. Write for example STSESSION_CLAIM_MAX_AGE_SECONDS = 300 (in the environment: "
        "FLASK_STSESSION_CLAIM_MAX_AGE_SECONDS=300).",
    ),
    (
        {"LOGIN_URL": "https://login.example.com"},
        "STSESSION_LOGIN_URL = 'https://login.example.com': it must be an endpoint or a path that begins "
        "with a single /. Write for example STSESSION_LOGIN_URL = '/login' (in the environment: "
        "FLASK_STSESSION_LOGIN_URL='\"/login\"').",
    ),
    (
        {"LOGIN_URL": "//login"},
        "STSESSION_LOGIN_URL = '//login': it must be an endpoint or a path that begins with a single /. "
        "Write for example STSESSION_LOGIN_URL = '/login' (in the environment: "
        "FLASK_STSESSION_LOGIN_URL='\"/login\"').",
    ),
    (
        {"LOGIN_URL": "/\\login"},
        "STSESSION_LOGIN_URL = '/\\\\login': it must be an endpoint or a path that begins with a single "
        "/. Write for example STSESSION_LOGIN_URL = '/login' (in the environment: "
        "FLASK_STSESSION_LOGIN_URL='\"/login\"').",
    ),
    (
        {"LOGIN_URL": ""},
        "STSESSION_LOGIN_URL = '': it must be printable text in one line, and not empty. Write for "
        "example STSESSION_LOGIN_URL = '/login' (in the environment: "
        "FLASK_STSESSION_LOGIN_URL='\"/login\"').",
    ),
    (
        {"LOGIN_URL": 5},
        "STSESSION_LOGIN_URL = 5: it must be text, not a number. Write for example STSESSION_LOGIN_URL = "
        "'/login' (in the environment: FLASK_STSESSION_LOGIN_URL='\"/login\"').",
    ),
    (
        {"ROUTES": "refresh,signout"},
        "STSESSION_ROUTES = 'refresh,signout': it must be True, False or a list of some of refresh, "
        "signout, jwks, openid-configuration, email-verify. Write for example STSESSION_ROUTES = "
        "('refresh', 'signout') (in the environment: FLASK_STSESSION_ROUTES='[\"refresh\", "
        '"signout"]\').',
    ),
    (
        {"ROUTES": ["refresh", "logout"]},
        "STSESSION_ROUTES = ['refresh', 'logout']: it must be True, False or a list of some of refresh, "
        "signout, jwks, openid-configuration, email-verify. Write for example STSESSION_ROUTES = "
        "('refresh', 'signout') (in the environment: FLASK_STSESSION_ROUTES='[\"refresh\", "
        '"signout"]\').',
    ),
    (
        {"ROUTES": 1},
        "STSESSION_ROUTES = 1: it must be True, False or a list of some of refresh, signout, jwks, "
        "openid-configuration, email-verify. Write for example STSESSION_ROUTES = ('refresh', "
        "'signout') (in the environment: FLASK_STSESSION_ROUTES='[\"refresh\", \"signout\"]').",
    ),
    (
        {"ROUTES": [[]]},
        "STSESSION_ROUTES = [[]]: it must be True, False or a list of some of refresh, signout, jwks, "
        "openid-configuration, email-verify. Write for example STSESSION_ROUTES = ('refresh', "
        "'signout') (in the environment: FLASK_STSESSION_ROUTES='[\"refresh\", \"signout\"]').",
    ),
]


@pytest.mark.parametrize(("settings", "message"), WRONG_VALUES)
def test_a_wrong_value_is_refused_with_the_remedy(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(settings)
    assert str(refused.value) == message
    assert refused.value.reason is Reason.MISCONFIGURED
    assert "hunter2" not in message


def test_a_number_too_long_to_print_is_refused_by_its_type() -> None:
    with pytest.raises(
        ConfigError, match=r"^STSESSION_CLAIM_MAX_AGE_SECONDS = <int>: it must be a number of "
    ):
        read({"CLAIM_MAX_AGE_SECONDS": 10**5000})


def test_json_nested_too_deep_is_refused_as_text() -> None:
    with pytest.raises(ConfigError, match=r"^STSESSION_ROUTES = '\[\[\["):
        read({"ROUTES": "[" * 100_000})


@pytest.mark.parametrize("key", KEYS)
def test_every_key_refuses_a_value_of_no_known_type(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} = ") as refused:
        Config.from_mapping({key: object()})
    assert f"(in the environment: FLASK_{key}=" in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("CONNECTION_URI", "embedded:", "embedded:"),
        ("CONNECTION_URI", "Embedded::memory:", "embedded::memory:"),
        ("CONNECTION_URI", "embedded:/srv/core.db", "embedded:/srv/core.db"),
        ("CONNECTION_URI", "embedded:data/core.db", "embedded:data/core.db"),
        ("CONNECTION_URI", "http://core:3567/", "http://core:3567"),
        ("CONNECTION_URI", " HTTPS://Core.Example/appid-x// ", "https://core.example/appid-x"),
        ("CONNECTION_URI", "http://a:1; http://b:2/x/;", "http://a:1;http://b:2/x"),
        ("CONNECTION_URI", "http://a:1;http://a:1/", "http://a:1"),
        ("CONNECTION_URI", "http://[::1]:3567", "http://[::1]:3567"),
        ("API_KEY", " key= ", "key="),
        ("EMBEDDED_CORE", {"access_token_validity": 30}, {"access_token_validity": 30}),
        ("EMBEDDED_CORE", '{"access_token_validity": 30}', {"access_token_validity": 30}),
        ("CDI_VERSION", "5.4", "5.4"),
        ("CDI_VERSION", 5.4, "5.4"),
        ("CDI_VERSION", " 5.4 ", "5.4"),
        ("ISSUER", "https://ID.example.com/", "https://ID.example.com/"),
        ("ISSUER", "my-company", "my-company"),
        ("ISSUER", "urn:example:id", "urn:example:id"),
        ("AUDIENCE", "https://API.example.com/", ("https://API.example.com/",)),
        ("AUDIENCE", '["shop", "mill", "shop"]', ("shop", "mill")),
        ("API_DOMAIN", "https://api.example.com/", "https://api.example.com"),
        ("API_DOMAIN", "HTTPS://API.Example.com:443", "https://api.example.com"),
        ("API_DOMAIN", "http://localhost:5000", "http://localhost:5000"),
        ("API_DOMAIN", "http://[::1]:5000", "http://[::1]:5000"),
        ("API_DOMAIN", "https://bücher.example", "https://xn--bcher-kva.example"),
        ("WEBSITE_DOMAIN", "https://a.example/", ("https://a.example",)),
        ("WEBSITE_DOMAIN", ["https://a.example", "https://A.example"], ("https://a.example",)),
        ("WEBSITE_DOMAIN", '["https://a.example", "http://b:1"]', ("https://a.example", "http://b:1")),
        *(
            ("WEBSITE_DOMAIN", shell, (shell.strip().removesuffix("/"),))
            for shell in (
                "capacitor://localhost",
                "ionic://localhost",
                "tauri://localhost",
                "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
                "moz-extension://0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f",
                "safari-web-extension://0A1B2C3D-0A1B-2C3D-4E5F-0A1B2C3D4E5F",
                "my.app+shell://Local.Host:8080",
                " capacitor://localhost/ ",
            )
        ),
        ("API_BASE_PATH", "auth/", "/auth"),
        ("API_BASE_PATH", "/", ""),
        ("WEBSITE_BASE_PATH", "/account/", "/account"),
        ("WEBSITE_BASE_PATH", "", ""),
        ("API_BASE_PATH", "", ""),
        ("API_BASE_PATH", "/api/v1/session-auth", "/api/v1/session-auth"),
        ("API_GATEWAY_PATH", "gateway/", "/gateway"),
        ("API_GATEWAY_PATH", "", ""),
        ("TOKEN_TRANSFER_METHOD", "Header", "header"),
        ("TOKEN_TRANSFER_METHOD", isinstance, isinstance),
        ("COOKIE_DOMAIN", "https://API.Example.com:8443/x", "api.example.com"),
        ("COOKIE_DOMAIN", ".Example.com", ".example.com"),
        ("OLDER_COOKIE_DOMAIN", "example.com", "example.com"),
        ("COOKIE_SECURE", "True", True),
        ("COOKIE_SECURE", " True ", True),
        ("COOKIE_SAME_SITE", " Lax ", "lax"),
        ("COOKIE_SECURE", False, False),
        ("COOKIE_SAME_SITE", "None", "none"),
        ("COOKIE_PARTITIONED", "False", False),
        ("ANTI_CSRF", "via_origin", "VIA_ORIGIN"),
        ("COOKIE_PREFIX", " shop-2_ ", "shop-2_"),
        ("COOKIE_PREFIX", "", ""),
        ("SESSION_EXPIRED_STATUS_CODE", "440", 440),
        ("CHECK_DATABASE", "true", True),
        ("JWKS_REFRESH_SECONDS", "0.5", 0.5),
        ("CORE_TIMEOUT_SECONDS", 3, (3, 3)),
        ("CORE_TIMEOUT_SECONDS", [1, 2.5], (1, 2.5)),
        ("CORE_TIMEOUT_SECONDS", "[2, 10]", (2, 10)),
        ("CORE_PROXY", "HTTP://Proxy.example:3128/", "http://proxy.example:3128"),
        ("CORE_PROXY", "http://me:p%40ss@[::1]:3128", "http://me:p%40ss@[::1]:3128"),
        ("CORE_MAX_RESPONSE_BYTES", "65536", 65536),
        ("CORE_CACHE_TTL_SECONDS", 0, 0),
        ("VERIFIED_TOKEN_CACHE_SIZE", "0", 0),
        ("MAX_ACCESS_TOKEN_BYTES", "16384", 16384),
        ("CLAIM_MAX_AGE_SECONDS", "null", None),
        ("CLAIM_MAX_AGE_SECONDS", 0, 0),
        ("LOGIN_URL", "/login?from=app", "/login?from=app"),
        ("LOGIN_URL", "auth.log-in", "auth.log-in"),
        ("ROUTES", True, ROUTE_NAMES),
        ("ROUTES", "false", ()),
        ("ROUTES", [], ()),
        ("ROUTES", "refresh", ("refresh",)),
        ("ROUTES", {"signout", "refresh"}, ("refresh", "signout")),
        ("ROUTES", '["jwks", "jwks"]', ("jwks",)),
    ],
)
def test_a_good_value_is_accepted(key: str, value: object, expected: object) -> None:
    config = read({key: value})
    assert getattr(config, key.lower()) == expected
    assert config.keys_set == {f"STSESSION_{key}"}


def test_values_from_an_environment_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FLASK_STSESSION_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FLASK_STSESSION_CDI_VERSION", "5.4")
    monkeypatch.setenv("FLASK_STSESSION_CHECK_DATABASE", "True")
    monkeypatch.setenv("FLASK_STSESSION_CORE_TIMEOUT_SECONDS", "[1, 5]")
    monkeypatch.setenv("FLASK_STSESSION_ANTI_CSRF", "NONE")
    monkeypatch.setenv("FLASK_STSESSION_API_DOMAIN", '"https://api.example.com"')
    settings = flask.Config("")
    settings.from_prefixed_env()
    config = Config.from_mapping(settings)
    assert (config.cdi_version, config.check_database, config.core_timeout_seconds) == ("5.4", True, (1, 5))
    assert (config.anti_csrf, config.api_domain) == ("NONE", "https://api.example.com")


@pytest.mark.parametrize("key", KEYS)
def test_the_value_advised_for_an_environment_is_accepted(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as refused:
        Config.from_mapping({key: object()})
    advised = re.search(r"\(in the environment: (FLASK_\S+?=.*)\)\.$", str(refused.value))
    assert advised is not None
    name, _, value = shlex.split(advised[1])[0].partition("=")
    monkeypatch.setenv(name, value)
    settings = flask.Config("")
    settings.from_prefixed_env()
    assert Config.from_mapping(settings).keys_set >= {key}


@pytest.mark.parametrize("key", sorted(set(KEYS) - MAY_BE_EMPTY))
@pytest.mark.parametrize("blank", ["", " ", "\t", "\u3000"])
def test_blank_text_is_refused_where_it_has_no_meaning(key: str, blank: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} = "):
        Config.from_mapping({key: blank})


@pytest.mark.parametrize("key", ["stsession_api_key", "StSession_API_KEY", "S\u0422SESSION_API_KEY"])
def test_a_key_of_ours_in_another_spelling_is_named(key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Config.from_mapping({key: "hunter2"})
    assert str(refused.value) == f"There is no setting {key!a}. Did you mean STSESSION_API_KEY?"


@pytest.mark.parametrize(
    "prefix",
    ["STSESION_", "ST_SESSION_", "STSESSIONS_", "STSESSSION_", "TSSESSION_", "stsesion_", "FLASK_STSESSION_"],
)
@pytest.mark.parametrize("name", ["LOGIN_URL", "API_KEY", "COOKIE_DOMAIN"])
def test_a_key_of_ours_with_a_misspelt_prefix_is_named(prefix: str, name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Config.from_mapping({prefix + name: "hunter2"})
    hint = f"Did you mean STSESSION_{name}?"
    assert str(refused.value) == f"There is no setting {prefix + name!r}. {hint}"


def test_keys_of_other_packages_are_left_alone() -> None:
    theirs = dict(flask.Flask(__name__).config)
    for name in KEYS:
        bare = name.removeprefix("STSESSION_")
        theirs.update(dict.fromkeys((f"SESSION_{bare}", f"JWT_{bare}", f"SUPERTOKENS_{bare}", bare), "x"))
    assert Config.from_mapping(theirs).keys_set == frozenset()


def test_a_function_that_cannot_be_given_the_request_and_its_purpose_is_refused() -> None:
    for function in (lambda request: "cookie", len):
        with pytest.raises(ConfigError) as caught:
            read({"TOKEN_TRANSFER_METHOD": function})
        assert str(caught.value).startswith("STSESSION_TOKEN_TRANSFER_METHOD = <")
        assert "Give it the parameters (request, for_create_new_session). Write for" in str(caught.value)


def test_an_async_function_cannot_choose_the_transfer_method() -> None:
    async def choose(request: object, for_create_new_session: bool) -> str:
        return "cookie"

    class Chooser:
        async def __call__(self, request: object, for_create_new_session: bool) -> str:
            return "cookie"

    for function in (choose, Chooser()):
        with pytest.raises(
            ConfigError, match=r": the function must not be async, as its result is not awaited\."
        ):
            read({"TOKEN_TRANSFER_METHOD": function})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=5,
)


ALMOST = st.builds(
    "".join,
    st.lists(
        st.sampled_from(["http://", "https://", "embedded:", "localhost", "a.b", "[::1]", ":80", *"/;@[]"])
        | st.text(string.printable, max_size=3)
        | st.characters(),
        max_size=6,
    ),
)


@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING | ALMOST, min_size=1, max_size=3))
def test_any_value_raises_a_config_error_or_nothing(settings: dict[str, Any]) -> None:
    try:
        config = Config.from_mapping(settings, sites=NO_LIST)
    except ConfigError:
        return
    config.decisions("http://localhost:5000/")


@given(st.text().map("STSESSION_".__add__))
def test_an_unknown_key_is_always_a_config_error(key: str) -> None:
    if key not in KEYS:
        with pytest.raises(ConfigError, match=r"^There is no setting "):
            Config.from_mapping({key: "hunter2"})
