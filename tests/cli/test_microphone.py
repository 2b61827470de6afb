"""`edge-ser run --mic` on a real, virtual microphone: PulseAudio's null sink and its monitor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.microphone


def labels_of(output: str) -> Counter[str]:
    return Counter(
        line["label"] for line in map(json.loads, output.splitlines()) if line["label"] is not None
    )


# The neutral clip is left out: where the windows happen to fall, its majority can hang on a single one.
@pytest.mark.parametrize("emotion", ["ANG", "DIS", "FEA", "HAP"])
def test_a_played_clip_is_heard_as_the_file_is(studio, example_clips, emotion):
    (clip,) = (path for path in example_clips if emotion in path.stem)
    process = studio.listen("--format", "jsonl")
    assert process.stdout
    first = process.stdout.readline()  # a microphone is open long before somebody speaks
    studio.play(clip)
    time.sleep(3.0)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    named = subprocess.run(
        [sys.executable, "-m", "edge_ser", "run", "--wav", str(clip), "--format", "jsonl"],
        capture_output=True,
        text=True,
        check=True,
    )
    final = json.loads(named.stdout.splitlines()[-1])

    assert process.returncode == 0, errors
    assert json.loads(first)["label"] is None, "silence until the clip is played"
    heard = labels_of(output)
    assert heard.most_common(1)[0][0] == final["label"], (heard, final)
    assert "windows:" in errors
    assert "p50" in errors
    assert "0 overruns" in errors


def test_the_stream_is_resampled_from_the_native_rate(studio):
    """48 kHz audio taken for 16 kHz would make windows last three times as long."""
    process = studio.listen("--format", "jsonl", "--seconds", "6", "--window", "1", "--hop", "0.5")
    output, errors = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "heard 6.0 s, 11 windows" in errors
    assert [json.loads(line)["start_s"] for line in output.splitlines()] == [
        0.5 * k for k in range(11)
    ]


def test_text_on_a_pipe_is_plain_lines(studio, example_clips):
    process = studio.listen("--seconds", "5")
    studio.play(example_clips[0])
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "\x1b" not in output
    lines = output.splitlines()
    assert lines[0].split()[0] == "0.00-3.00"
    assert len(lines) in {8, 9}, "the last window may still be in the resampler"
    assert all(line.rstrip().endswith("dB") for line in lines)


def test_sigterm_ends_it_cleanly_too(studio):
    process = studio.listen()
    time.sleep(0.5)
    process.terminate()
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "heard" in errors
    assert "Traceback" not in errors


def test_a_device_that_disappears_is_reported(studio):
    process = studio.listen("--format", "jsonl", "--window", "1")
    time.sleep(4.0)  # the null sink hands out its first audio after two seconds
    studio.kill()
    output, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "stopped delivering audio" in errors
    assert "Traceback" not in errors
    assert output.splitlines(), errors + "what was recognised before must not be lost"


def test_devices_are_listed(studio):
    listed = subprocess.run(
        [sys.executable, "-m", "edge_ser", "run", "--list-devices"],
        env=studio.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "* 1" in " ".join(listed.stdout.split())
    assert "44100 Hz" in listed.stdout


def test_an_unknown_device_lists_the_known_ones(studio):
    done = subprocess.run(
        [sys.executable, "-m", "edge_ser", "run", "--mic", "--device", "Röhre"],
        env=studio.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "no input fits --device 'Röhre'" in done.stderr
    assert "default" in done.stderr


def test_without_an_audio_server_there_is_no_microphone(tmp_path):
    """Where a real sound card exists, PortAudio finds it all the same: then nothing to test."""
    if (
        Path("/proc/asound/cards").exists()
        and "no soundcards" not in Path("/proc/asound/cards").read_text()
    ):
        pytest.skip("this machine has a sound card")
    done = subprocess.run(
        [sys.executable, "-m", "edge_ser", "run", "--mic"],
        env={**os.environ, "HOME": str(tmp_path), "PULSE_SERVER": f"unix:{tmp_path}/none"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "no microphone" in done.stderr


def test_portaudio_missing_names_the_package():
    code = (
        "import sys, ctypes.util\n"
        "ctypes.util.find_library = lambda name: None\n"
        "sys.argv = ['edge-ser', 'run', '--list-devices']\n"
        "from edge_ser.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "sudo apt install libportaudio2" in done.stderr


def test_the_doctor_hears_of_the_microphone_and_its_server(studio):
    """What `run --mic` uses here, `doctor` calls working, with the server and the device by name."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_ser", "doctor", "--json"],
        env=studio.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    report = json.loads(done.stdout)
    (group,) = (group for group in report["groups"] if group["name"] == "mic")
    found = {check["feature"]: check["found"] for check in group["checks"]}

    assert (done.returncode, done.stderr) == (0, "")
    assert report["asked"] == ["wav", "mic"]
    assert group["verdict"] == "works"
    assert found["audio server"].startswith("pulseaudio")
    assert " is taken" in found["microphones"]
