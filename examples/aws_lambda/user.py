"""One function for one route, without Flask: ``GET /user`` returns the session of the request.

Handler ``user.handler``, behind a REST API, an HTTP API, a function URL or a load balancer. The settings come
from the environment: ``STSESSION_CONNECTION_URI`` and so on, with or without ``FLASK_`` before it.
"""

from __future__ import annotations

import json
from typing import Any

from flask_stsession.aws_lambda import verify_session_event


@verify_session_event()
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Return the session of the request."""
    session = event["session"]
    body = {
        "sessionHandle": session.get_handle(),
        "userId": session.get_user_id(),
        "accessTokenPayload": session.get_access_token_payload(),
    }
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
