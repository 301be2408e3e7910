"""The pages that we show before the target of a navigation: one renews the session, two only redirect.

An app's template ``stsession/refresh.html`` replaces the first. It gets these variables:

- ``stsession_head``: the elements that do the work; put them into ``<head>``;
- ``continue_url``: the URL of a link for browsers without script;
- ``login_url``: the login page, with its ``next``; ``None`` on the login page itself;
- ``csp_nonce``: the return value of ``@stsession.csp_nonce``; ``None`` without one.

The script uses the elements ``#message`` (it writes there), ``#retry`` and ``#back`` (hidden, with a button
in each) and ``#carry`` (the link, which it hides). Each may be missing. The texts of ``#message`` are its
attributes ``data-renewing``, ``data-renewed``, ``data-ended`` and ``data-unreachable``, or English.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from flask import Response, current_app, render_template
from jinja2 import TemplateNotFound
from markupsafe import Markup

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

TEMPLATE = "stsession/refresh.html"

# No inline code or style, and no other host: the page passes the strictest Content-Security-Policy.
_PAGE = Markup("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>One moment</title>
{stsession_head}</head>
<body>
<p id="message" role="status"></p>
<p id="retry" hidden><button type="button">Try again</button></p>
<p id="back" hidden><button type="button">Back</button></p>
<p id="carry"><a href="{continue_url}">Continue</a></p>
</body>
</html>
""")
_SCRIPT = Markup('<script src="{src}"{attributes} defer></script>\n')
_WITHOUT_SCRIPT = Markup('<noscript><meta http-equiv="refresh" content="0; url={url}"></noscript>\n')
# The URL is written out: without it, browsers would only scroll on a URL with a #.
_ASK_AGAIN = Markup('<meta http-equiv="refresh" content="0; url={url}">\n')
# The turbo-visit-control element makes Turbo load a whole page, and our header makes Unpoly replace the body.
# The browser then obeys the refresh element, even inside the body.
_LEAVE = Markup("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="turbo-visit-control" content="reload">
<title>One moment</title>
</head>
<body>
<meta http-equiv="refresh" content="0; url={url}">
<p><a href="{url}">Continue</a></p>
</body>
</html>
""")


def script() -> bytes:
    """Return the script of the page, also if the package is imported from a zip file."""
    return (files(__name__.rpartition(".")[0]) / "static" / "refresh.js").read_bytes()


def script_version() -> str:
    """Return a hash of the script, for its URL."""
    return hashlib.sha256(script()).hexdigest()[:16]


def renewing_page(
    *,
    status: int | None,
    script_url: str,
    renew_url: str,
    continue_url: str,
    login_url: str | None,
    nonce: str | None,
    goes_on_without_script: bool,
) -> BaseResponse:
    """Return the page that renews the session, then loads the requested page.

    :param status: of the response, that of the verdict; ``None``: 200.
    :param script_url: of :func:`script`.
    :param renew_url: the URL from which the script gets new tokens.
    :param continue_url: refreshes and redirects back, for browsers without script.
    :param login_url: where to go if there is no session to renew.
    :param nonce: of the request's Content-Security-Policy.
    :param goes_on_without_script: open ``continue_url`` without a click if scripts are disabled.
    """
    attributes = {
        "data-continue": renew_url,
        "data-link": continue_url,
        "data-login": login_url,
        "nonce": nonce,
    }
    given = (Markup(' {}="{}"').format(*each) for each in attributes.items() if each[1] is not None)
    head = _SCRIPT.format(src=script_url, attributes=Markup("").join(given))
    if goes_on_without_script:
        head = _WITHOUT_SCRIPT.format(url=continue_url) + head
    return _page(status, head, continue_url=continue_url, login_url=login_url, csp_nonce=nonce)


def asking_again_page(
    *, status: int | None, url: str, login_url: str | None, nonce: str | None
) -> BaseResponse:
    """Return a page that requests itself again, now as a request of our own site.

    :param url: of the page.
    """
    return _page(status, _ASK_AGAIN.format(url=url), continue_url=url, login_url=login_url, csp_nonce=nonce)


def leaving_page(*, status: int | None, url: str) -> BaseResponse:
    """Return a page that makes Turbo and Unpoly leave the current page instead of replacing a part of it.

    :param url: where to go.
    """
    response = _uncached(_LEAVE.format(url=url), status)
    response.headers["X-Up-Target"] = "body"
    return response


def _page(status: int | None, head: Markup, **variables: str | None) -> BaseResponse:
    try:
        template = current_app.jinja_env.get_template(TEMPLATE)
    except TemplateNotFound:
        body: str = _PAGE.format(stsession_head=head, **variables)
    else:
        body = render_template(template, stsession_head=head, **variables)
    return _uncached(body, status)


def _uncached(body: str, status: int | None) -> BaseResponse:
    response = Response(body, status, mimetype="text/html")
    response.headers["Cache-Control"] = "no-store"
    # The next requests carry a Referer, but not those to other sites.
    response.headers["Referrer-Policy"] = "same-origin"
    return response
