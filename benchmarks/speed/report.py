"""What one benchmark found: tables and targets, as JSON for later and as Markdown for people."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness import Timing, machine

from edge_ser._util.files import write_text


@dataclass(frozen=True)
class Target:
    """What was wanted, and what came."""

    what: str
    wanted: str
    figure: str
    met: bool

    @classmethod
    def at_most(
        cls, what: str, limit: float, figure: float, unit: str = "", digits: int = 2
    ) -> Target:
        """Return a target that is met by a figure up to `limit`."""
        return cls(what, f"≤ {limit:g}{unit}", f"{figure:.{digits}f}{unit}", figure <= limit)

    @classmethod
    def at_least(cls, what: str, limit: float, figure: float, unit: str = "×") -> Target:
        """Return a target that is met by a figure from `limit` on."""
        return cls(what, f"≥ {limit:g}{unit}", f"{figure:.3g}{unit}", figure >= limit)


@dataclass(frozen=True)
class Table:
    """Cells as they are shown; the first column is text, the others are figures."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""

    def markdown(self) -> str:
        """Return the table.

        Raises:
            ValueError: a row that is longer or shorter than the heads.
        """
        rules = ["---", *["--:"] * (len(self.heads) - 1)]
        lines = []
        for row in (self.heads, rules, *self.rows):
            if len(row) != len(self.heads):
                raise ValueError(f"a row of {len(row)} cells, {len(self.heads)} heads: {row}")
            lines.append(f"| {' | '.join(row)} |")
        table = "\n".join(lines)
        return f"**{self.title}**\n\n{table}" if self.title else table


@dataclass(frozen=True)
class Part:
    """One benchmark."""

    title: str
    method: str
    versions: dict[str, str]
    tables: Sequence[Table]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()
    machine: str = field(default_factory=machine)
    date: str = field(default_factory=lambda: datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"))

    def markdown(self) -> str:
        """Return the part as a section."""
        run = f"{self.date} UTC. {self.machine}."
        packages = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        blocks = [f"## {self.title}", self.method, *(table.markdown() for table in self.tables)]
        if self.targets:
            rows = [
                [t.what, t.wanted, t.figure, "met" if t.met else "**missed**"] for t in self.targets
            ]
            blocks.append(Table(["target", "wanted", "measured", ""], rows).markdown())
        if self.notes:
            blocks.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join([*blocks, f"{run} {packages}."])

    def to_json(self) -> str:
        """Return the part as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Part:
        """Read what `to_json` wrote."""
        said: dict[str, Any] = json.loads(text)
        said["tables"] = [Table(**table) for table in said["tables"]]
        said["targets"] = [Target(**target) for target in said["targets"]]
        return cls(**said)


def timing_table(timings: Sequence[Timing], base: Timing, title: str = "") -> Table:
    """Return medians, quartiles and ratios to `base`."""
    rows = []
    for timing in timings:
        low, high = timing.quartiles_ms
        rows.append(
            [
                timing.name,
                f"{timing.median_ms:.3f}",
                f"{low:.3f}–{high:.3f}",
                f"{timing.ratio(base):.2f}",
            ]
        )
    return Table(["", "median, ms", "quartiles, ms", f"times {base.name}"], rows, title)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows `--json`."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--json", type=Path, help="write what was found to this file")
    return result


def deliver(part: Part, json_file: Path | None) -> int:
    """Print a part, keep it if asked, and return the exit code: a missed target is no error."""
    print(part.markdown())
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_text(json_file, part.to_json())
    return 0
