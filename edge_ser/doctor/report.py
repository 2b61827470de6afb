"""All checks, group by group, and what they mean for each use."""

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
"""Of the JSON. It grows by 1 when a key goes or changes its meaning; new keys may come at any time."""

WORKS = "works"
WORKS_NOT = "does not work"


@dataclass(frozen=True)
class Use:
    """What a group of checks is for."""

    name: str
    title: str
    checks: tuple[Examine, ...]
    what: str
    """What works or does not."""
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
"""What may be asked for."""


@dataclass(frozen=True)
class Group:
    """The checks of one use, and what follows from them."""

    name: str
    """machine, or one of CHOICES."""
    title: str
    verdict: str
    """`works`, `does not work`, or `unknown` where a check could not tell."""
    says: str
    """The verdict as a sentence."""
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Report:
    """Everything that was found."""

    works: bool
    """Whether all that was asked for works."""
    asked: tuple[str, ...]
    """Names of the groups that had to work."""
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
        asked: what has to work, one of CHOICES; None for files and, where there is one, the
            microphone.
        with_self_test: whether the bundled model is run.
        root: where the machine's files are.
        run: how to run commands there; see `machine.reading.commands_of`.
    """
    run = run or commands_of(root)
    here = Probes(root, run, read_facts(root, run), with_self_test)
    groups = tuple(_examine(use, here) for use in USES)
    needed = (asked,) if asked else ("wav", "mic") if has_input(here) else ("wav",)
    works = all(group.verdict == WORKS for group in groups if group.name in needed)
    return Report(works, needed, groups, here.facts)


def has_input(here: Probes) -> bool:
    """Return whether this machine has anything to listen with."""
    try:
        return bool(here.inputs)
    except Exception:  # noqa: BLE001 (the check `microphones` tells what it was)
        return False


def _examine(use: Use, here: Probes) -> Group:
    checks = tuple(check for function in use.checks if (check := _try(function, here)))
    verdict, says = _judge(use, checks)
    return Group(use.name, use.title, verdict, says, checks)


def _try(function: Examine, here: Probes) -> Check | None:
    """Run a check; one that fails must neither hide that nor take the others with it."""
    try:
        return function(here)
    except Exception as error:  # noqa: BLE001 (a doctor does not fall ill with the patient)
        name = function.__name__.replace("_", " ")
        found = f"this check failed with {type(error).__name__}: {error}"
        return Check(name, found, UNKNOWN, "report it with the output of: edge-ser doctor --json")


def _judge(use: Use, checks: Iterable[Check]) -> tuple[str, str]:
    states = {check.state for check in checks}
    if use.name == "machine":
        slower = "latency may be higher or less steady than it could be"
        return WORKS, slower if WARNING in states else f"{use.what} {use.works}"
    if MISSING in states:
        return WORKS_NOT, f"{use.what} {use.works_not}"
    if UNKNOWN in states:
        return UNKNOWN, f"it could not be told whether {use.what} {use.works}"
    return WORKS, f"{use.what} {use.works}"
