"""Output on a real pseudo-terminal, on which the choice of the output depends."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]

SCRIPT = """
import os, sys, time
from made_events import made, silent
from edge_ser.cli.view import open_output
from edge_ser.recognition.events import *

with open_output("text", live=LIVE) as output:
    print("an", type(output).__name__, file=sys.stderr)
    BODY
"""

STREAM = """
    output.write(made(Started, 0.0, source="mic:[USB] array"))
    output.write(made(SpeechStart, 1.0))
    output.write(made(Emotion, 4.0))
    output.note("listening to 'Array [USB]'")
    output.problem("one thing failed [here]")
    for i in range(300):
        output.level(-30.0, 0.9, 4.0 + i / 100)
        time.sleep(0.002)
    print("redraws", output.n_redraws, file=sys.stderr)
    RESIZE
    time.sleep(0.11)
    output.write(made(DeviceLost, 8.0))
    output.write(made(DeviceBack, 9.0))
    output.write(made(Ended, 10.0))
"""


def on_a_terminal(
    body: str, size: tuple[int, int] = (24, 80), live: bool = True, **environment: str
) -> str:
    """Run a script whose streams are a terminal; return all that it wrote."""
    terminal, other_end = pty.openpty()
    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    code = SCRIPT.replace("BODY", body.strip()).replace("LIVE", str(live))
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    inherited = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES", "NO_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        env={**inherited, "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(paths)}
        | environment,
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
    assert process.wait(timeout=30) == 0, shown.decode()
    return shown.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-8]|4[0-8])[0-9;]*m")


def test_a_stream_on_a_terminal():
    shown = on_a_terminal(STREAM.replace("RESIZE", ""))

    assert "an LiveView" in shown
    for words in ("mic:[USB] array", "listening to 'Array [USB]'", "one thing failed [here]"):
        assert words in shown
    for words in ("█▀█", "● speech", "A angry", "no device since", "unplugged"):
        assert words in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert COLOUR.search(shown)
    assert shown.rindex("audio received: 28.0 s") > shown.rindex("█"), (
        "the summary stays, the view goes"
    )
    redraws = int(re.search(r"redraws (\d+)", shown)[1])
    assert 2 <= redraws <= 60, "0.6 s and more were asked for 300 times; ten a second are drawn"


def test_no_colour_is_no_colour():
    shown = on_a_terminal(STREAM.replace("RESIZE", ""), NO_COLOR="1")

    assert "an LiveView" in shown
    assert not COLOUR.search(shown)
    assert "AAAAA" in re.sub(r"\x1b\[[0-9;]*m", "", shown), "the timeline is letters"


@pytest.mark.parametrize(
    "environment",
    [{"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}, {"TERM": "unknown"}],
    ids=str,
)
def test_a_terminal_that_cannot_gets_plain_lines(environment):
    body = STREAM.replace("RESIZE", "").replace('print("redraws", output.n_redraws,', "print(")
    shown = on_a_terminal(body, **environment)

    assert "an PlainLines" in shown
    assert "\x1b" not in shown
    assert "     4.00 s  emotion       angry       75%" in shown


def test_resizing_draws_anew():
    """Wrapped lines of the old size must not stay: everything is cleared, and nothing is too wide."""
    resize = """
    import fcntl, struct, termios
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    print("now smaller", file=sys.stderr)
    """
    shown = on_a_terminal(STREAM.replace("RESIZE", resize.strip()))
    _, after = re.sub(r"\x1b\[[0-9;]*m", "", shown).split("now smaller")
    view, _ = after.split("\x1b[H")[-1].split("audio received: 28.0 s")
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", view))

    assert "\x1b[2J\x1b[H" in after
    assert len(lines) > 15
    assert 55 < max(map(len, lines)) <= 60


CLIPS = """
    output.write(made(Started, 0.0, vad="none"))
    output.write(made(Window, source="[a].wav"))
    output.write(made(Clip, source="[a].wav"))
    output.write(made(Clip, source="b.wav", label=None, abstained=True, clipped=0.02))
    output.write(made(Clip, source="[e].wav", label=None, likeliest=None, confidence=None, probs={},
                      no_speech=True))
    output.problem("c.wav [odd] failed")
    output.write(made(Ended))
"""


def test_files_on_a_terminal():
    shown = on_a_terminal(CLIPS, live=False)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)

    assert "an ClipView" in text
    assert "[a].wav  1.0-4.0 s" in text
    assert "[a].wav  whole clip, 4.0 s" in text
    assert "b.wav  whole clip, 4.0 s  not sure" in text
    assert "clipped 2.0%" in text
    assert "[e].wav  whole clip, 4.0 s  no speech" in text
    assert "c.wav [odd] failed" in text
    assert re.search(r">   angry █{40,}·+  75%", text)
    assert "audio received" not in text
