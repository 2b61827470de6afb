"""Which rails of a Jetson add up to the whole of it.

Only names that are documented are known here. Of others nobody can say whether one rail feeds another,
and adding those would count power twice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

_MODULE = "the module, without its carrier board"

_ALONE = {
    "VIN": "the module and its carrier board",
    "VDD_IN": _MODULE,
    "POM_5V_IN": _MODULE,
}
"""Rails that hold everything: AGX Thor's board; TX1, TX2, Xavier NX, Orin NX, Orin Nano; Nano."""

_SUMS = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
)
"""AGX Orin, AGX Xavier. VDDQ_VDD2_1V8AO is left out: AGX Orin makes it from VIN_SYS_5V0."""


@dataclass(frozen=True)
class Whole:
    """The rails that together are all that a machine takes, as far as it measures itself."""

    names: tuple[str, ...]
    covers: str
    """What is in it, to be printed beside the number."""
    whole_board: bool = True


def is_whole(name: str) -> bool:
    """Say whether this rail alone holds all that the board takes."""
    return name in _ALONE


def whole_of(names: Collection[str]) -> Whole | None:
    """Return which of a board's rails make the whole of it; None when that is not known."""
    for name, covers in _ALONE.items():
        if name in names:
            return Whole((name,), covers)
    for group in _SUMS:
        if all(name in names for name in group):
            return Whole(group, _MODULE)
    return None
