"""AWS Lambda: serve a Flask app, guard functions without Flask, and authorize requests for API Gateway.

Nothing here imports Flask, so that a function that only verifies sessions starts sooner.
``docs/aws-lambda.md`` leads from an empty account to a working API.
"""

from __future__ import annotations

from .app import make_handler

__all__ = ["make_handler"]
