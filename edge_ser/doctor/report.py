"""Report of all checks, grouped by use."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_ser.doctor import board, engines, files, microphone
from edge_ser.doctor.check import MISSING, UNKNOWN, WARNING, Check, Examine, Probes
from edge_ser.machine.facts import MachineFacts, read_facts
from edge_ser.machine.reading import ROOT, Run, commands_of

FORMAT = 1
"""Version of the JSON. It changes when a key is removed or changes its meaning, not for new keys."""

WORKS = "works"
WORKS_NOT = "does not work"


@dataclass(frozen=True)
class Use:
    """Use of edge-ser that a group of checks covers."""

    name: str
    title: str
    checks: tuple[Examine, ...]
    subject: str
    """Subject of the verdict as a sentence."""
    works: str = "works"
    works_not: str = "does not work"


USES = (
    Use("machine", "This machine", board.CHECKS, "nothing", "was found that slows it down"),
    Use("wav", "Files", files.CHECKS, "`edge-ser run --wav`"),
    Use("mic", "Live microphone", microphone.CHECKS, "`edge-ser run --mic`"),
    Use("gpu", "Engines on the GPU", engines.CHECKS, "engines", "run here", "do not run here"),
    Use("build", "Building engines", engines.BUILD_CHECKS, "`edge-ser build-engine`"),
    Use("train", "Training", engines.TRAIN_CHECKS, "`edge-ser train`"),
)

CHOICES = tuple(use.name for use in USES if use.name != "machine")
"""Groups that can be requested."""


@dataclass(frozen=True)
class Group:
    """Checks of one use, and the verdict on it."""

    name: str
    """machine, or one of CHOICES."""
    title: str
    verdict: str
    """`works`, `does not work`, or `unknown` if a check is not conclusive."""
    says: str
    """The verdict as a sentence."""
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Report:
    """Result of all checks."""

    works: bool
    """Whether all requested groups work."""
    asked: tuple[str, ...]
    """Names of the requested groups."""
    groups: tuple[Group, ...]
    facts: MachineFacts
    format: int = FORMAT

    def to_json(self) -> str:
        """Return all of it as indented JSON.

        Keys: format, works, asked, groups (each with name, title, verdict, says and checks, and each
        of these with feature, found, state and remedy) and facts (see `MachineFacts`).
        """
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False)


def examine(
    asked: str | None = None,
    *,
    with_self_test: bool = True,
    root: Path = ROOT,
    run: Run | None = None,
) -> Report:
    """Run all checks.

    Args:
        asked: the group that has to work, one of CHOICES; None for files and, if present, the
            microphone.
        with_self_test: whether to run the bundled model.
        root: root folder of the machine's files.
        run: function that runs commands there; see `machine.reading.commands_of`.
    """
    run = run or commands_of(root)
    here = Probes(root, run, read_facts(root, run), with_self_test)
    groups = tuple(_examine(use, here) for use in USES)
    needed = (asked,) if asked else ("wav", "mic") if has_input(here) else ("wav",)
    works = all(group.verdict == WORKS for group in groups if group.name in needed)
    return Report(works, needed, groups, here.facts)


def has_input(here: Probes) -> bool:
    """Return whether this machine has a microphone."""
    try:
        return bool(here.inputs)
    except Exception:  # noqa: BLE001 (the check `microphones` reports the error)
        return False


def _examine(use: Use, here: Probes) -> Group:
    checks = tuple(check for function in use.checks if (check := _try(function, here)))
    verdict, sentence = _verdict(use, checks)
    return Group(use.name, use.title, verdict, sentence, checks)


def _try(function: Examine, here: Probes) -> Check | None:
    """Run a check; an exception becomes its result and does not stop the others."""
    try:
        return function(here)
    except Exception as error:  # noqa: BLE001 (any error of a check is a finding)
        name = function.__name__.replace("_", " ")
        found = f"this check failed with {type(error).__name__}: {error}"
        return Check(name, found, UNKNOWN, "report it with the output of: edge-ser doctor --json")


def _verdict(use: Use, checks: Iterable[Check]) -> tuple[str, str]:
    states = {check.state for check in checks}
    if use.name == "machine":
        slower = "latency may be higher or less steady than it could be"
        return WORKS, slower if WARNING in states else f"{use.subject} {use.works}"
    if MISSING in states:
        return WORKS_NOT, f"{use.subject} {use.works_not}"
    if UNKNOWN in states:
        return UNKNOWN, f"it is not known whether {use.subject} {use.works}"
    return WORKS, f"{use.subject} {use.works}"
