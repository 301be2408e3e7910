"""Agreeing with a core on a version of its interface."""

from __future__ import annotations

from ..constants import CDI_VERSIONS
from ..errors import CoreError
from .http import CoreRequest, CoreTransport
from .parsing import Answer
from .sharing import SharedCalls


def parse_version(version: str) -> tuple[int, int]:
    """``"5.4"`` as numbers, so that versions compare as they should.

    :raises ValueError: it is no version.
    """
    major, minor = version.split(".")
    return int(major), int(minor)


class VersionNegotiator:
    """Knows the version to speak, and finds it out at first need.

    Whoever needs the version while another thread is asking waits for that answer and shares it,
    failure included; once it is known, nobody takes a lock.

    :param transport: carries the question.
    :param pinned: the version to speak without asking.
    :param api_domain: told to the core with the question.
    :param website_domain: likewise.
    """

    def __init__(
        self,
        transport: CoreTransport,
        *,
        pinned: str | None = None,
        api_domain: str | None = None,
        website_domain: str | None = None,
    ) -> None:
        self._transport = transport
        self._known = pinned
        self._query = {
            key: value
            for key, value in (("apiDomain", api_domain), ("websiteDomain", website_domain))
            if value
        }
        self._asking: SharedCalls[str] = SharedCalls("asking the core for its versions")
        self.pinned = pinned is not None

    def current(self) -> str:
        """The version to speak.

        :raises CoreUnavailableError: the core cannot be asked.
        :raises CoreError: there is no version that both sides know.
        """
        known = self._known
        return self._asking.run(None, self._ask)[0] if known is None else known

    def renegotiate(self, refused: str) -> str:
        """The version to speak now that the core has refused one.

        :param refused: that one; if it is not the current one any more, somebody has asked already.
        """
        if self._known == refused:
            self._known = None
        return self.current()

    def _ask(self) -> str:
        request = CoreRequest("GET", "/apiversion", query=self._query, repeatable=True)
        reply = self._transport.send(request)
        answer = Answer(reply.json_object(), reply.source)
        theirs = answer.texts("versions")
        common = [version for version in CDI_VERSIONS if version in theirs]
        if not common:
            raise CoreError(
                f"{reply.source} was answered with the CDI versions {', '.join(theirs) or '(none)'}; this "
                f"package speaks {', '.join(CDI_VERSIONS)}. Run a core whose versions overlap with these."
            )
        self._known = max(common, key=parse_version)
        return self._known
