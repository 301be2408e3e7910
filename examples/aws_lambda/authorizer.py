"""Lambda authorizers, one for each kind of API. The settings come from the environment, as in ``user.py``."""

from __future__ import annotations

from flask_stsession.aws_lambda import make_authorizer

#: A REST API whose authorizer has no identity source and no cache: sessions by cookie and by header, also
#: optional ones. Changed cookies are in ``context.authorizer.setCookie``, failed claims in
#: ``context.authorizer.body``.
rest_handler = make_authorizer(session_required=False, result_caching=False)

#: A REST API that caches results for at most 60 s. Identity source: ``method.request.header.Authorization``.
cached_rest_handler = make_authorizer()

#: An HTTP API with simple responses, which caches results for at most 60 s. Identity source:
#: ``$request.header.Authorization``.
http_handler = make_authorizer(simple_responses=True)

#: A WebSocket API, asked at ``$connect``. Browsers send cookies with it, and an ``Origin`` that must be ours.
websocket_handler = make_authorizer(transfer_method="cookie", result_caching=False)
