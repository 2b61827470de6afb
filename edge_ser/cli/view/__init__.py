"""Outputs of `run`: JSON lines, plain lines for a pipe, or a live view on a terminal."""

from __future__ import annotations

from edge_ser.cli.view.base import Output
from edge_ser.cli.view.lines import JsonLines, PlainLines

__all__ = ["JsonLines", "Output", "PlainLines", "open_output"]


def open_output(form: str, live: bool, *, utterances: bool = False) -> Output:
    """Return the output for `--format`; text is a view on a terminal, plain lines elsewhere.

    Args:
        form: `text` or `jsonl`.
        live: whether the source is a stream; files get a line, or bars, for each clip.
        utterances: whether to print a line for each utterance of a file, too.
    """
    if form == "jsonl":
        return JsonLines(live)
    from rich.console import Console

    console = Console()
    if not console.is_terminal or console.is_dumb_terminal or console.options.ascii_only:
        return PlainLines(live, utterances=utterances)
    if live:
        from edge_ser.cli.view.terminal import LiveView

        return LiveView(console)
    from edge_ser.cli.view.terminal import ClipView

    return ClipView(console, utterances=utterances)
