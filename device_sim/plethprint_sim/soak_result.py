"""What became of one personality in one fault of a soak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

__all__ = ["SoakResult"]


@dataclass(frozen=True)
class SoakResult:
    """One personality through one fault."""

    personality: str
    fault: str
    minutes: float
    """Virtual minutes of wearing."""
    outcome: str
    """How the session ended: ``"streamed"``, ``"gave up"``, ``"refused: ..."``; or
    ``"raised: ..."``, an error that should not be."""
    sent: int = 0
    """Samples that the wearable took while its stream was received; see `Witness`."""
    received: int = 0
    missing: int | None = 0
    """Samples counted missing; None where the protocol has nothing to see losses by."""
    fingerprints: int = 0
    failures: tuple[str, ...] = ()
    """What was not as it should be; empty when all was."""
    statistics: dict[str, Any] = field(default_factory=dict)
    objects_grown: int = 0
    """Python objects at the end more than after the first fifth."""
    wall_s: float = 0.0
    """Seconds that it took to compute."""

    @property
    def passed(self) -> bool:
        """Whether all was as it should be."""
        return not self.failures

    @property
    def cell(self) -> tuple[str, str]:
        """Its place in the table: personality and fault."""
        return self.personality, self.fault

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {**asdict(self), "passed": self.passed}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> SoakResult:
        """Read what `to_dict` wrote, also after it went through JSON.

        Parameters
        ----------
        told : mapping
            Fields; what is no field of a result is passed over.

        Raises
        ------
        ValueError
            A field without a default is missing, or one is of another type.

        Examples
        --------
        >>> result = SoakResult("open", "clean", 1.0, "streamed", failures=("2 lost",))
        >>> SoakResult.from_dict(result.to_dict()) == result
        True
        """
        known = {f.name: told[f.name] for f in fields(cls) if f.name in told}
        for name, types in _TYPES.items():
            if name in known and not isinstance(known[name], types):
                raise ValueError(f"{name} of a soak's result is {known[name]!r}")
        known["failures"] = tuple(str(what) for what in known.get("failures", ()))
        try:
            return cls(**known)
        except TypeError as error:
            raise ValueError(f"not the result of a soak: {error}") from error


_TYPES: dict[str, Any] = {
    **dict.fromkeys(("personality", "fault", "outcome"), str),
    **dict.fromkeys(("minutes", "wall_s"), (int, float)),
    **dict.fromkeys(("sent", "received", "fingerprints", "objects_grown"), int),
    "missing": (int, type(None)),
    "failures": (list, tuple),
    "statistics": dict,
}
