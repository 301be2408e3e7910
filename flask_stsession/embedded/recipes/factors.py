"""The login factors of a tenant, in the two forms that the interface defines.

The older form switches three kinds of login on and off; the newer one lists factors. A core keeps both and
converts each into the other. This module does the same, as measured; the factors have no effect here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..errors import RequestRefusedError
from ..request import CoreRequest

#: The switches of the older form, their keys in a description, and the factors that they stand for.
_SWITCHES: Final = {
    "emailPasswordEnabled": ("emailPassword", ("emailpassword",)),
    "thirdPartyEnabled": ("thirdParty", ("thirdparty",)),
    "passwordlessEnabled": ("passwordless", ("otp-email", "otp-phone", "link-email", "link-phone")),
}
_ALL_ON: Final = dict.fromkeys(_SWITCHES, True)
_ALL_OFF: Final = dict.fromkeys(_SWITCHES, False)
#: The lists of the newer form.
_LISTS: Final = frozenset({"firstFactors", "requiredSecondaryFactors"})
_FACTOR: Final = re.compile(r"[0-9A-Za-z_.-]+")
#: Before this version the older form has only the switches.
_CDI_LISTS_FACTORS: Final = (5, 0)


@dataclass(frozen=True, slots=True)
class LoginFactors:
    """The factors of one tenant.

    :param switches: the older form.
    :param first: the listed first factors; None leaves the decision to the switches.
    :param required_secondary: the required secondary factors, None if there are none.
    """

    switches: Mapping[str, bool] = field(default_factory=lambda: dict(_ALL_OFF))
    first: list[str] | None = None
    required_secondary: list[str] | None = None

    @classmethod
    def all_on(cls) -> LoginFactors:
        """Return the factors of the ``public`` tenant: no restriction."""
        return cls(dict(_ALL_ON))

    @classmethod
    def none_listed(cls) -> LoginFactors:
        """Return the factors of a tenant created with the newer form: none."""
        return cls(dict(_ALL_ON), [])

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> LoginFactors:
        """Create the factors from the JSON object of :meth:`to_stored`."""
        switches = {name: bool(stored.get(name, False)) for name in _SWITCHES}
        return cls(switches, stored.get("firstFactors"), stored.get("requiredSecondaryFactors"))

    def to_stored(self) -> dict[str, Any]:
        """Return a JSON object to store."""
        stored: dict[str, Any] = dict(self.switches)
        if self.first is not None:
            stored["firstFactors"] = self.first
        if self.required_secondary is not None:
            stored["requiredSecondaryFactors"] = self.required_secondary
        return stored

    def updated(self, request: CoreRequest) -> LoginFactors:
        """Return the factors with the changes of a request in the newer form."""
        if _LISTS.isdisjoint(request.body):
            return self
        required = self.required_secondary
        if "requiredSecondaryFactors" in request.body:
            required = _factors(request, "requiredSecondaryFactors") or None
        first = _factors(request, "firstFactors") if "firstFactors" in request.body else self._listed()
        return LoginFactors(dict(_ALL_ON), first, required)

    def updated_by_switches(self, request: CoreRequest) -> LoginFactors:
        """Return the factors with the changes of a request in the older form."""
        switched = {name: request.flag(name) for name in _SWITCHES if name in request.body}
        factors = self._switched(switched)
        lists = (
            _LISTS.intersection(request.body) if request.cdi_version >= _CDI_LISTS_FACTORS else frozenset()
        )
        if "firstFactors" in lists:
            factors = replace(factors, first=_not_empty(request, "firstFactors"))
        if "requiredSecondaryFactors" in lists:
            required = _not_empty(request, "requiredSecondaryFactors")
            factors = replace(factors, required_secondary=required)
        # A listed factor switches its kind of login on.
        on = _switches_of([*(factors.first or ()), *(factors.required_secondary or ())])
        for name in on:
            if not switched.get(name, True):
                raise RequestRefusedError(400, f"Invalid core config: {name} switches a listed factor off")
        new = not all(map(factors.switches.get, on))
        if new and lists == {"requiredSecondaryFactors"}:
            # That alone does not make a secondary factor a first factor.
            factors = replace(factors, first=factors._listed())
        return replace(factors, switches={**factors.switches, **dict.fromkeys(on, True)})

    def describe(self) -> dict[str, Any]:
        """Return the newer form, without the lists that restrict nothing."""
        return _without_none(
            {"firstFactors": self._listed(), "requiredSecondaryFactors": self.required_secondary}
        )

    def describe_switches(self, version: tuple[int, int]) -> dict[str, Any]:
        """Return the older form.

        :param version: the version of the interface in use.
        """
        listed = self._listed()
        if version < _CDI_LISTS_FACTORS:
            on = list(_SWITCHES) if listed is None else _switches_of(listed)
            return {key: {"enabled": name in on} for name, (key, _) in _SWITCHES.items()}
        switches = _ALL_OFF if self.first == [] else self.switches
        described: dict[str, Any] = {key: {"enabled": switches[name]} for name, (key, _) in _SWITCHES.items()}
        lists = {"firstFactors": self.first or None, "requiredSecondaryFactors": self.required_secondary}
        return {**described, **_without_none(lists)}

    def _switched(self, switched: Mapping[str, bool]) -> LoginFactors:
        """Return the factors with these switches set, without the factors that they turn off."""
        off = {factor for name, on in switched.items() if not on for factor in _SWITCHES[name][1]}
        required = [factor for factor in self.required_secondary or () if factor not in off] or None
        if self.first == [] and any(switched.values()):
            return LoginFactors({**_ALL_OFF, **switched}, None, required)
        first = self.first and [factor for factor in self.first if factor not in off]
        return LoginFactors({**self.switches, **switched}, first, required)

    def _listed(self) -> list[str] | None:
        if self.first is not None or all(self.switches.values()):
            return self.first
        return [factor for name, on in self.switches.items() if on for factor in _SWITCHES[name][1]]


def _factors(request: CoreRequest, name: str) -> list[str] | None:
    """Return a list of factors of a request; ``null`` removes the restriction."""
    if request.body[name] is None:
        return None
    factors = request.optional_texts(name) or []
    if len(set(factors)) < len(factors):
        raise RequestRefusedError(400, f"{name} input should not contain duplicate values")
    if not all(map(_FACTOR.fullmatch, factors)):
        raise RequestRefusedError(400, f"{name} should contain only 0-9,a-z,A-Z,_,.,- characters")
    return factors


def _not_empty(request: CoreRequest, name: str) -> list[str] | None:
    factors = _factors(request, name)
    if factors == []:
        raise RequestRefusedError(400, f"{name} cannot be empty. Set null instead.")
    return factors


def _switches_of(factors: list[str]) -> list[str]:
    return [name for name, (_, own) in _SWITCHES.items() if not set(own).isdisjoint(factors)]


def _without_none(described: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in described.items() if value is not None}
