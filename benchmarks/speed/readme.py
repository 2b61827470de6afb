"""The README's few lines of what RESULTS.md holds: the same rows, whether they flatter or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from report import Part, Table

from edge_ser._util.files import with_section
from edge_ser.errors import ConfigError

LIBROSA = "librosa, window of 3 s again"
PAPERS_NETWORK = "paper's network, ONNX Runtime FP32"
PYTORCH, WAKEWORD = "librosa and PyTorch", "openWakeWord"
CHAINS = {
    WAKEWORD: f"{WAKEWORD}, one model",
    f"{PYTORCH} as the paper has them": f"the paper's features and network, {PYTORCH}",
    f"{PYTORCH} with our network": f"our network, {PYTORCH}",
}
"""Rows of the whole chain, by what the README calls them."""


def with_speed(readme: str, parts: Sequence[Part]) -> str:
    """Return the README with the table between its markers.

    Raises:
        ConfigError: no markers, or a row that no benchmark wrote.
    """
    return with_section(readme, "speed", summary(parts), name="the README")


def summary(parts: Sequence[Part]) -> str:
    """Return the table: what of ours, and how many times as much others take."""
    hop_ms, network_ms, chain_ms, start_ms = (
        float(_cell(parts, title, name, column))
        for title, name, column in (
            ("Features", "edge-ser, new hop", 1),
            ("Inference", "ONNX Runtime INT8", 1),
            ("Whole chain", "edge-ser, chunks of 20 ms", 6),
            ("Footprint", "edge-ser", 1),
        )
    )
    networks = {"paper's network": PAPERS_NETWORK, "ours in PyTorch": "PyTorch"}
    processes = {PYTORCH: PYTORCH, WAKEWORD: WAKEWORD}
    rows = [
        [
            "features of a new hop of 250 ms, 10 in a row",
            f"{hop_ms:.3f} ms",
            _times(parts, "Features", {"librosa, 3 s again": LIBROSA}),
        ],
        [
            "INT8 network, a window of 3 s, 10 in a row",
            f"{network_ms:.2f} ms",
            _times(parts, "Inference", networks),
        ],
        [
            "whole chain, CPU time for 1 s of speech",
            f"{chain_ms:.1f} ms",
            _times(parts, "Whole chain", CHAINS),
        ],
        [
            "cold start to the first label",
            f"{start_ms:.0f} ms",
            _times(parts, "Footprint", processes),
        ],
        ["resident memory", *_megabytes(parts, 2)],
        ["install", *_megabytes(parts, 1)],
    ]
    chain = next(part for part in parts if part.title == "Whole chain")
    cpu, day = chain.machine.partition(",")[0], chain.date.partition(" ")[0]
    heads = ["", "edge-ser", "others, × as much"]
    return f"{Table(heads, rows).markdown()}\n\nOne core of {cpu}, {day}."


def _times(parts: Sequence[Part], title: str, rows: Mapping[str, str]) -> str:
    """Return how many times as much others take, which is a row's last cell."""
    found = {name: float(_cell(parts, title, row, -1)) for name, row in rows.items()}
    return "; ".join(f"{name}: {times:.3g}×" for name, times in found.items())


def _megabytes(parts: Sequence[Part], column: int) -> list[str]:
    ours, *others = (
        f"{float(_cell(parts, 'Footprint', name, column, table=1)):.0f} MB"
        for name in ("edge-ser", PYTORCH, WAKEWORD)
    )
    return [ours, f"{PYTORCH}: {others[0]}; {WAKEWORD}: {others[1]}"]


def _cell(parts: Sequence[Part], title: str, name: str, column: int, table: int = 0) -> str:
    """Return a cell of the row of this name, of the first table from `table` on that has it."""
    for part in parts:
        for each in part.tables[table:] if part.title == title else ():
            for row in each.rows:
                if row[0] == name:
                    return row[column]
    raise ConfigError(f"no row {name!r} in {title}; run: make bench")
