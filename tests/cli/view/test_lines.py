"""Plain lines and JSON lines: output to a pipe, and a broken pipe."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_events import made, silent

from edge_ser.cli.view import JsonLines, PlainLines, open_output
from edge_ser.recognition.events import (
    KINDS,
    Clip,
    DeviceBack,
    DeviceLost,
    Emotion,
    Ended,
    Heartbeat,
    Overrun,
    SpeechEnd,
    SpeechStart,
    Started,
    Window,
    from_json,
    to_json,
)

NOTHING = {"label": None, "likeliest": None, "confidence": None, "probs": {}}
TESTS = Path(__file__).resolve().parents[2]


def test_the_arousal_stands_behind_the_label(capsys):
    with PlainLines(live=True) as output:
        for event in (made(Emotion, 4.0, arousal=0.734), made(SpeechEnd, 7.125, arousal=0.5)):
            output.write(event)
    with PlainLines(live=False) as output:
        output.write(made(Clip, 4.0, arousal=0.25))
    assert capsys.readouterr().out.splitlines() == [
        "     4.00 s  emotion       angry       75%  arousal 0.73",
        "     7.12 s  speech_end    angry       71%  arousal 0.50  (5.6 s, 12 windows)",
        "mic:[USB] array: angry       75%  arousal 0.25  (then neutral 25%, happy 0%; 4.0 s)",
    ]


def test_a_stream_is_a_line_for_each_change(capsys):
    with PlainLines(live=True) as output:
        for event in (
            made(Started, 0.0),
            made(SpeechStart, 1.5),
            made(Window, 4.0),
            made(Emotion, 4.0),
            made(Emotion, 5.25, label=None, confidence=0.41, abstained=True),
            silent(5.5),
            made(SpeechEnd, 7.125),
            made(SpeechEnd, 9.0, label=None, confidence=0.3, abstained=True, start_s=8.0),
            made(SpeechEnd, 9.5, **NOTHING, n_windows=0, start_s=9.3),
            made(SpeechEnd, 9.5, **NOTHING, no_speech=True, start_s=9.3),
            made(Overrun, 10.0),
            made(Overrun, 10.0, lost_s=None, reason="device"),
            made(Heartbeat, 11.0),
            made(DeviceLost, 12.0),
            made(DeviceBack, 12_345.0),
        ):
            output.write(event)
            output.level(-30.0, 0.5)
            output.tick()

    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "overrun" not in line] == [
        "     1.50 s  speech_start",
        "     4.00 s  emotion       angry       75%",
        "     5.25 s  emotion       not sure    41%",
        "     7.12 s  speech_end    angry       71%  (5.6 s, 12 windows)",
        "     9.00 s  speech_end    not sure    30%  (1.0 s, 12 windows)",
        "     9.50 s  speech_end    too short        (0.2 s, 0 windows)",
        "     9.50 s  speech_end    no speech        (0.2 s, 12 windows)",
        "    12.00 s  device_lost   USB [array]: unplugged",
        " 12345.00 s  device_back   USB [array], after 3.0 s",
    ]
    backlog, device = (line for line in lines if "overrun" in line)
    assert backlog.startswith("    10.00 s  overrun       0.25 s lost: recognition ")
    assert device.startswith("    10.00 s  overrun       some audio ")
    assert "system" in device
    assert lines.index(device) == lines.index(backlog) + 1 == 8


def test_a_file_is_a_line(capsys):
    with PlainLines(live=False) as output:
        output.write(made(Window))
        output.write(made(Clip))
        output.write(made(Clip, label=None, abstained=True))
        output.write(made(Clip, **NOTHING, no_speech=True))
        output.write(made(Clip, **NOTHING))
        output.write(made(SpeechStart, 1.5))
        output.write(made(Emotion, 4.0))
        output.write(made(SpeechEnd, 7.125))
        output.write(made(Overrun, 8.0, reason="not_finite"))
        output.write(made(Ended))

    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "mic:[USB] array: angry       75%  (then neutral 25%, happy 0%; 4.0 s)",
        "mic:[USB] array: not sure    75%  (angry, then neutral 25%, happy 0%; 4.0 s)",
        "mic:[USB] array: no speech  (4.0 s)",
        "mic:[USB] array: too short  (4.0 s)",
        "mic:[USB] array: 8.00 s  0.25 s lost: samples were NaN or infinite",
    ]
    assert err == ""


def test_utterances_of_a_file_are_lines_where_they_are_asked_for(capsys):
    with PlainLines(live=False, utterances=True) as output:
        output.write(made(SpeechEnd, 7.125))
        output.write(made(SpeechEnd, 9.5, **NOTHING, start_s=9.3))
        output.write(made(SpeechEnd, 9.5, **NOTHING, no_speech=True, start_s=9.3))

    assert capsys.readouterr().out.splitlines() == [
        "mic:[USB] array: 1.50-7.12 s  angry       71%",
        "mic:[USB] array: 9.30-9.50 s  too short",
        "mic:[USB] array: 9.30-9.50 s  no speech",
    ]


def test_json_lines_are_the_events(capsys):
    events = [made(kind) for kind in KINDS.values()]
    with JsonLines(live=True) as output:
        for event in events:
            output.write(event)

    lines = capsys.readouterr().out.splitlines()
    assert lines == [to_json(event) for event in events]
    assert [from_json(line) for line in lines] == events


def test_the_end_of_a_session_sums_it_up_on_stderr(capsys):
    with JsonLines(live=True) as output:
        for ms in range(100):
            output.write(made(Window, compute_ms=float(ms), latency_ms=2.0 * ms))
        output.write(silent())
        output.write(made(Ended))

    times = (
        "features and inference per window: p50 49.00 ms, p99 98.00 ms; from capture to decision: "
        "p50 98.00 ms, p99 196.00 ms; over the last 100 windows that were not silent"
    )
    assert capsys.readouterr().err.splitlines() == [
        "audio received: 28.0 s, 101 windows: angry 100, (silence) 1; 2 utterances",
        times,
        "lost: 3 overruns, 0.50 s dropped",
    ]


def test_messages_go_to_stderr(capsys):
    with JsonLines(live=False) as output:
        output.note("listening to 'Array [USB]'")
        output.problem("no model.onnx")

    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["listening to 'Array [USB]'", "edge-ser: no model.onnx"]


@pytest.mark.parametrize(
    ("form", "live", "kind"),
    [("jsonl", True, JsonLines), ("text", False, PlainLines), ("text", True, PlainLines)],
)
def test_the_output_for_a_pipe(form, live, kind):
    assert type(open_output(form, live)) is kind


def endless(form: str, **streams: object) -> subprocess.Popen[bytes]:
    """Start a process that writes events without end, through the command line's main."""
    code = f"""
import click
from made_events import made
from edge_ser import cli
from edge_ser.cli.view import open_output
from edge_ser.recognition.events import Emotion

@click.command()
def command():
    with open_output({form!r}, True) as output:
        output.note("started")
        while True:
            output.write(made(Emotion))
            output.problem("failed")

cli.group = command
cli.main()
"""
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, **streams)


@pytest.mark.parametrize("form", ["jsonl", "text"])
def test_a_reader_that_leaves_ends_it_quietly(form):
    """As `| head -1` does; this is no error."""
    with endless(form, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert b"angry" in process.stdout.readline()
        process.stdout.close()
        errors = set(process.stderr.read().splitlines())

    assert process.returncode == 0
    assert errors == {b"started", b"edge-ser: failed"}


def test_a_reader_of_messages_that_leaves_changes_nothing():
    with endless("jsonl", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stderr.readline()
        process.stderr.close()
        lines = [process.stdout.readline() for _ in range(20_000)]
        process.stdout.close()

    assert process.returncode == 0
    assert len(set(lines)) == 1


def test_a_full_disk_behind_stdout_is_an_error():
    with Path("/dev/full").open("wb") as full:
        process = endless("jsonl", stdout=full, stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    note, problem = errors.decode().splitlines()
    assert note == "started"
    assert problem.startswith("edge-ser: standard output ")
    assert f"({os.strerror(errno.ENOSPC)})" in problem
