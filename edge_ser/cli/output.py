"""What `run` shows: JSON lines, plain lines for a pipe, or live bars on a terminal."""

from __future__ import annotations

import json
import sys
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edge_ser.runtime.prediction import Prediction

_BAR = 32
"""Characters of a full bar."""

_METER_FLOOR_DBFS = -60.0

_COLOURS = {
    "neutral": "white",
    "calm": "cyan",
    "happy": "yellow",
    "sad": "blue",
    "angry": "red",
    "fearful": "magenta",
    "disgust": "green",
    "surprised": "bright_yellow",
    "bored": "bright_black",
}


class Output:
    """Where predictions go. Subclasses say how a window and a clip look."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._compute_ms: list[float] = []

    def __enter__(self) -> Output:
        """Start showing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop showing."""

    def window(self, prediction: Prediction) -> None:
        """Take one window."""
        self._counts[prediction.label or "(silence)"] += 1
        if prediction.label is not None:
            self._compute_ms.append(prediction.compute_ms)
            del self._compute_ms[:-10_000]

    def final(self, prediction: Prediction) -> None:
        """Take the whole clip."""

    def note(self, text: str) -> None:
        """Say something that is no result."""
        click.echo(text, err=True)

    def problem(self, text: str) -> None:
        """Say that one input failed."""
        click.echo(f"edge-ser: {text}", err=True)

    def summary(self, heard_s: float, overruns: int, dropped_s: float) -> None:
        """Close a live session: what was heard, how fast, what was lost."""
        n = sum(self._counts.values())
        labels = ", ".join(f"{label} {count}" for label, count in self._counts.most_common())
        self.note(f"heard {heard_s:.1f} s, {n} windows: {labels or 'none'}")
        if self._compute_ms:
            ordered = sorted(self._compute_ms)
            p50, p99 = (ordered[int(q * (len(ordered) - 1))] for q in (0.5, 0.99))
            self.note(
                f"features and inference per window: p50 {p50:.2f} ms, p99 {p99:.2f} ms "
                f"over the last {len(ordered)} windows that were not silent"
            )
        self.note(f"lost: {overruns} overruns, {dropped_s:.2f} s dropped")


class JsonLines(Output):
    """One JSON object a line on stdout, flushed at once."""

    def window(self, prediction: Prediction) -> None:
        """Write a window."""
        super().window(prediction)
        self._write(prediction, {})

    def final(self, prediction: Prediction) -> None:
        """Write the clip, with `final` true."""
        self._write(prediction, {"final": True})

    def _write(self, p: Prediction, more: dict[str, Any]) -> None:
        heard = p.label is not None
        line = {
            "source": p.source,
            "start_s": round(p.start_s, 4),
            "end_s": round(p.end_s, 4),
            "label": p.label,
            "confidence": p.confidence,
            "probs": dict(p.probs) if heard else None,
            "level_dbfs": round(p.level_dbfs, 1),
            "clipped": round(p.clipped, 4),
            "compute_ms": round(p.compute_ms, 3),
            **more,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


class PlainLines(Output):
    """Lines to read or to grep: a line a window for streams, a line a clip for files."""

    def __init__(self, live: bool) -> None:
        super().__init__()
        self._live = live

    def window(self, prediction: Prediction) -> None:
        """Write a window of a stream; those of files are summed up by `final`."""
        super().window(prediction)
        if self._live:
            click.echo(
                f"{prediction.start_s:8.2f}-{prediction.end_s:.2f} s  {_verdict(prediction)}"
                f"  {prediction.level_dbfs:6.1f} dB"
            )

    def final(self, prediction: Prediction) -> None:
        """Write a clip."""
        ranking = sorted(prediction.probs.items(), key=lambda item: -item[1])[1:3]
        others = ", ".join(f"{label} {p:.0%}" for label, p in ranking)
        click.echo(
            f"{prediction.source}: {_verdict(prediction)}  (then {others}; {prediction.end_s:.1f} s)"
        )


class LiveView(Output):
    """Bars for the classes and the level, redrawn in place."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__()
        from rich.console import Console
        from rich.live import Live

        self._labels = labels
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> LiveView:
        """Take over the lower part of the terminal."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the terminal back."""
        self._live.stop()

    def window(self, prediction: Prediction) -> None:
        """Redraw for a window."""
        super().window(prediction)
        self._live.update(window_view(prediction, self._labels), refresh=True)

    def final(self, prediction: Prediction) -> None:
        """Print a clip's bars for good."""
        self._live.update("", refresh=True)
        self._console.print(window_view(prediction, self._labels))

    def note(self, text: str) -> None:
        """Print above the bars."""
        self._console.print(text, style="dim", highlight=False, markup=False)

    def problem(self, text: str) -> None:
        """Print above the bars, on stderr when that is not this terminal."""
        if sys.stderr.isatty():
            self._console.print(f"edge-ser: {text}", style="red", highlight=False, markup=False)
        else:
            super().problem(text)


def open_output(form: str, labels: tuple[str, ...], live: bool) -> Output:
    """Return the output for `--format`: text is bars on a terminal and lines in a pipe."""
    if form == "jsonl":
        return JsonLines()
    return LiveView(labels) if sys.stdout.isatty() else PlainLines(live)


def window_view(prediction: Prediction, labels: tuple[str, ...]) -> RenderableType:
    """Draw a prediction: where it is from, a bar for each class, the level of the input."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text()
    head.append(prediction.source, style="bold")
    head.append(f"  {prediction.start_s:.1f}-{prediction.end_s:.1f} s", style="dim")
    head.append("  whole clip" if prediction.final else "", style="dim")
    table = Table.grid(padding=(0, 1))
    table.add_column(width=10, justify="right")
    table.add_column(width=_BAR)
    table.add_column(width=7, justify="right")
    for label in labels:
        p = prediction.probs.get(label, 0.0)
        top = label == prediction.label
        style = _COLOURS.get(label, "white") + (" bold" if top else "")
        marker = "> " if top else ""
        table.add_row(
            Text(marker + label, style="bold" if top else "dim"),
            Text(_bar(p), style=style),
            Text(f"{p:.0%}", style="bold" if top else "dim"),
        )
    share = 1 - max(0.0, min(1.0, prediction.level_dbfs / _METER_FLOOR_DBFS))
    table.add_row(
        Text("level", style="dim"),
        Text(_bar(share), style="red" if prediction.level_dbfs > -6 else "green"),
        Text(f"{prediction.level_dbfs:.0f} dB", style="dim"),
    )
    silent = Text("silence" if prediction.label is None else "", style="dim italic")
    return Group(head, table, silent)


def _bar(share: float) -> str:
    """Return a bar of blocks in eighths of a character, padded with light dots."""
    eighths = round(share * _BAR * 8)
    full, part = divmod(eighths, 8)
    bar = "█" * full + ("▏▎▍▌▋▊▉"[part - 1] if part else "")
    return bar.ljust(_BAR, "·")


def _verdict(prediction: Prediction) -> str:
    if prediction.label is None:
        return f"{'(silence)':<10}     "
    return f"{prediction.label:<10} {prediction.confidence or 0:4.0%}"
