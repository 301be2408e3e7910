"""Give a verdict the status that the app has configured, log it and send its signal."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from .. import signals
from ..errors import (
    CoreUnavailableError,
    InvalidClaimsError,
    SessionHTTPError,
    STSessionError,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)

if TYPE_CHECKING:
    from ..config.config import Config
    from ..sessions.session import Session

logger: logging.Logger = logging.getLogger("flask_stsession")

#: The verdicts on a client without a valid session.
WITHOUT_SESSION: Final = (UnauthorisedError, TryRefreshTokenError, TokenTheftError)


def configured_status(config: Config, error: STSessionError) -> int | None:
    """Return the status that the app has configured for this error; ``None`` if it is not configurable."""
    if isinstance(error, InvalidClaimsError):
        return config.invalid_claim_status_code
    if isinstance(error, WITHOUT_SESSION):
        return config.session_expired_status_code
    return None


def announce_verdict(
    config: Config,
    error: SessionHTTPError,
    *,
    sender: object,
    asked: str,
    session: Session | None,
    level: int = logging.INFO,
) -> None:
    """Set the configured status of a verdict, log the verdict and send its signal.

    :param sender: of the signals.
    :param asked: method and path of the request, for the log.
    :param session: the session that was refused, if it was verified before.
    :param level: of the log record; outages are always errors.
    """
    if isinstance(error, CoreUnavailableError):
        logger.error("503 for %s: %s (%s)", asked, error, error.reason)
        signals.core_unavailable.send(sender, error=error, reason=error.reason)
        return
    status = configured_status(config, error)
    if status is not None and error.code == type(error).code:  # ``status=`` was not given
        error.code = status
    logger.log(level, "%s for %s: %s (%s)", error.code, asked, error, error.reason)
    if isinstance(error, InvalidClaimsError):
        signals.claims_invalid.send(sender, session=session, error=error)
    elif isinstance(error, WITHOUT_SESSION):
        signals.verification_failed.send(sender, error=error, reason=error.reason)
