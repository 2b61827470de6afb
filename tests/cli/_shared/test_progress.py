"""The shared progress bars: on a terminal only, and gone afterwards."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from edge_ser.cli._shared.progress import counting_bar, progress_bars, stage_bars


def console(*, terminal: bool = True) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=60)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_only(terminal):
    shown = console(terminal=terminal)

    with counting_bar(shown, "listening", 2) as step:
        step()
        step()

    assert ("listening" in shown.file.getvalue()) == terminal


def test_each_stage_has_a_bar():
    shown = console()

    with stage_bars(shown) as on_progress:
        on_progress("features", 1.0)
        on_progress("teacher", 1.0)

    assert "features" in shown.file.getvalue()
    assert "teacher" in shown.file.getvalue()


def test_bars_can_be_hidden():
    assert progress_bars(console(), shown=False).disable
    assert not progress_bars(console()).disable
