"""What `run` shows to people: bars on a terminal, lines in a pipe, a summary at the end."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner
from rich.console import Console

from edge_ser.cli import group
from edge_ser.cli.output import JsonLines, LiveView, PlainLines, open_output, window_view
from edge_ser.runtime.recognizer import Prediction
from edge_ser.runtime.sources import devices

LABELS = ("neutral", "happy", "angry")


def prediction(**changes: object) -> Prediction:
    values = {
        "source": "mic:[USB] array",
        "start_s": 1.0,
        "end_s": 4.0,
        "label": "angry",
        "probs": {"neutral": 0.25, "happy": 0.0, "angry": 0.75},
        "level_dbfs": -30.0,
        "clipped": 0.0,
        "compute_ms": 2.5,
    }
    return Prediction(**{**values, **changes})


def silence() -> Prediction:
    return prediction(label=None, probs={}, level_dbfs=-120.0)


def drawn(shown: Prediction) -> list[str]:
    console = Console(width=80, file=io.StringIO())
    console.print(window_view(shown, LABELS))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_bars_are_as_long_as_probabilities():
    head, neutral, happy, angry, level, *_ = drawn(prediction())

    assert head == "mic:[USB] array  1.0-4.0 s"
    assert (neutral.count("█"), happy.count("█"), angry.count("█")) == (8, 0, 24)
    assert angry.strip().startswith("> angry")
    assert [line.split()[-1] for line in (neutral, happy, angry)] == ["25%", "0%", "75%"]
    assert level.count("█") == 16
    assert level.endswith("-30 dB")


def test_silence_is_said_and_nothing_is_marked():
    lines = drawn(silence())

    assert lines[-1] == "silence"
    assert not any(">" in line or "█" in line for line in lines)
    assert lines[4].endswith("-120 dB"), "on one line"


def test_a_view_fits_a_narrow_terminal():
    assert max(map(len, drawn(prediction()))) <= 60


def test_plain_lines(capsys):
    with PlainLines(live=True) as output:
        output.window(prediction())
        output.window(silence())
    with PlainLines(live=False) as output:
        output.window(prediction())
        output.final(prediction(final=True))

    assert capsys.readouterr().out.splitlines() == [
        "    1.00-4.00 s  angry       75%   -30.0 dB",
        "    1.00-4.00 s  (silence)        -120.0 dB",
        "mic:[USB] array: angry       75%  (then neutral 25%, happy 0%; 4.0 s)",
    ]


def test_json_lines_of_silence_hold_nulls(capsys):
    JsonLines().window(silence())

    line = json.loads(capsys.readouterr().out)
    assert (line["label"], line["confidence"], line["probs"]) == (None, None, None)


def test_the_summary_counts_windows_and_orders_times(capsys):
    output = JsonLines()
    for ms in range(100):
        output.window(prediction(compute_ms=float(ms)))
    output.window(silence())
    capsys.readouterr()

    output.summary(28.0, 3, 0.5)

    errors = capsys.readouterr().err
    assert "heard 28.0 s, 101 windows: angry 100, (silence) 1" in errors
    assert "p50 49.00 ms, p99 98.00 ms over the last 100 windows" in errors
    assert "lost: 3 overruns, 0.50 s dropped" in errors


@pytest.mark.parametrize(
    ("form", "live", "kind"), [("jsonl", True, JsonLines), ("text", False, PlainLines)]
)
def test_the_output_for_a_pipe(form, live, kind):
    assert type(open_output(form, LABELS, live)) is kind


def test_names_with_brackets_are_shown_as_they_are(monkeypatch, capsys):
    """Rich takes [words] for styles; microphones are called so."""
    device = devices.InputDevice(3, "Array [USB]", "ALSA", 6, 48_000, is_default=True)
    monkeypatch.setattr(devices, "list_devices", lambda: (device,))
    listed = CliRunner().invoke(group, ["run", "--list-devices"])
    LiveView(LABELS).note("listening to 'Array [USB]'")

    assert "Array [USB]" in listed.output
    assert "Array [USB]" in capsys.readouterr().out


def test_a_terminal_gets_bars(example_clips):
    """In a real pseudo-terminal, because the choice hangs on it."""
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_ser", "run", "--wav", str(example_clips[0])],
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
    )
    os.close(other_end)
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)

    assert process.wait(timeout=30) == 0
    text = shown.decode()
    assert "█" in text
    assert "whole clip" in text
    assert "\x1b[" in text
    assert "Traceback" not in text
