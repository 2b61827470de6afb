"""`edge-ser run --mic` on a real, virtual microphone: PulseAudio's null sink and its monitor."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from support import ROOT

pytestmark = pytest.mark.microphone

RATE = 16_000


def events_of(output: str, *kinds: str) -> list[dict]:
    return [e for e in map(json.loads, output.splitlines()) if not kinds or e["event"] in kinds]


def of_corpus(clips: list, name: str) -> list:
    return [clip for clip in clips if clip.corpus == name]


def likeliest(utterance: dict) -> str | None:
    """Return the label, also where the model would rather give none."""
    probs = utterance["probs"]
    return max(probs, key=probs.__getitem__) if probs else None


def found_at(part: np.ndarray, whole: np.ndarray) -> int:
    """Return the sample of `whole` that matches `part` best, by cross-correlation."""
    n = len(part) + len(whole)
    product = np.fft.rfft(whole, n) * np.conj(np.fft.rfft(part, n))
    return int(np.argmax(np.fft.irfft(product, n)[: len(whole)]))


@pytest.mark.timeout(240)
def test_a_minute_of_speech_is_recorded_as_it_was_played(
    studio, corpora_dir, tmp_path, monkeypatch
):
    """Real clips with pauses, from a speaker to a microphone, against the truth and the file itself."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    scenes = importlib.import_module("voice_scenes")
    clips, _ = scenes.choose(corpora_dir, seed=3)
    # Breath and sobs of RAVDESS' actors are loud: energy is no truth about speech there.
    chosen = [c for name in ("EMO-DB", "TESS") for c in of_corpus(clips, name)[:10]]
    scene = scenes.scene(chosen, seed=3)
    assert len(scene.samples) > 60 * RATE
    soundfile.write(tmp_path / "scene.wav", scene.samples, RATE)
    record = tmp_path / "kept"

    with (tmp_path / "events.jsonl").open("wb") as out:
        process = studio.listen("--format", "jsonl", "--record", str(record), out=out)
    time.sleep(3.0)  # the null sink hands out its first audio after two seconds
    subprocess.run(
        ["paplay", "scene.wav"], cwd=tmp_path, env=studio.environment, check=True, timeout=120
    )
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    output = (tmp_path / "events.jsonl").read_text()
    assert process.returncode == 0, errors
    assert "0 overruns" in errors

    # Where in the stream the scene began: the recording says it to the sample.
    (wav,) = record.glob("*.wav")
    recorded, rate = soundfile.read(wav, dtype="float32")
    begin_s = found_at(soxr.resample(scene.samples, RATE, rate), recorded) / rate

    bounds = events_of(output, "speech_start", "speech_end")
    assert [e["event"] for e in bounds] == ["speech_start", "speech_end"] * len(scene.spans_s)
    for start, end, (start_s, end_s) in zip(bounds[::2], bounds[1::2], scene.spans_s, strict=True):
        assert start["at_s"] - begin_s == pytest.approx(start_s, abs=0.3)
        assert end["at_s"] - begin_s == pytest.approx(end_s, abs=0.3)
        assert 0 < start["latency_ms"] < 5_000

    named = subprocess.run(
        [
            *(sys.executable, "-m", "edge_ser", "run"),
            "--wav",
            "scene.wav",
            "--vad",
            "--format=jsonl",
        ],
        cwd=tmp_path,
        env={**studio.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = list(zip(bounds[1::2], events_of(named.stdout, "speech_end"), strict=True))
    # None where the model is not sure: two equally likely classes give no label.
    labels = [(live["label"], offline["label"]) for live, offline in pairs]
    same = np.mean([live == offline for live, offline in labels])
    likely = np.mean([likeliest(live) == likeliest(offline) for live, offline in pairs])
    print(f"{same:.1%} of {len(pairs)} utterances have the label that the file gives")
    print(f"{likely:.1%} the likeliest class, reported or not")
    assert sum(label is not None for label, _ in labels) >= 0.75 * len(labels), labels
    # Near the threshold one of both may have no label; two labels must not contradict each other.
    assert same >= 0.85, labels
    assert all(None in pair or pair[0] == pair[1] for pair in labels), labels
    assert likely >= 0.85, pairs


def test_the_stream_is_resampled_from_the_native_rate(studio):
    """48 kHz audio taken for 16 kHz would make windows last three times as long."""
    process = studio.listen(
        *("--format", "jsonl", "--seconds", "6", "--window", "1", "--hop", "0.5", "--no-vad")
    )
    output, errors = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "audio received: 6.0 s, 11 windows" in errors
    assert [e["start_s"] for e in events_of(output, "window")] == [0.5 * k for k in range(11)]
    assert all(e["label"] is None for e in events_of(output, "window"))


def test_text_on_a_pipe_is_plain_lines(studio, example_clips):
    process = studio.listen("--seconds", "7")
    time.sleep(2)
    studio.play(example_clips[0])
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "\x1b" not in output
    kinds = [line.split()[2] for line in output.splitlines()]
    assert kinds[0] == "speech_start"
    assert kinds[-1] == "speech_end"
    assert set(kinds[1:-1]) == {"emotion"}


def test_sigterm_ends_it_cleanly_too(studio):
    process = studio.listen()
    time.sleep(0.5)
    process.terminate()
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "audio received" in errors
    assert "Traceback" not in errors


@pytest.mark.timeout(120)
def test_a_device_that_goes_and_comes_back(studio, example_clips):
    """The audio server is killed for five seconds, and listening goes on when it is back."""
    process = studio.listen("--format", "jsonl", "--heartbeat", "1")
    assert process.stdout
    time.sleep(3.0)
    studio.play(example_clips[0])
    studio.kill()
    time.sleep(5.0)
    studio.start()
    lines: list[str] = []
    while not lines or json.loads(lines[-1])["event"] != "device_back":
        lines.append(process.stdout.readline())
        assert lines[-1], "it ended by itself"
    time.sleep(2.5)
    studio.play(example_clips[0])
    time.sleep(1.5)
    process.terminate()
    output, errors = process.communicate(timeout=20)
    events = events_of("".join(lines) + output)

    assert process.returncode == 0, errors
    kinds = [e["event"] for e in events]
    lost, back = kinds.index("device_lost"), kinds.index("device_back")
    assert lost < back
    assert events[back]["away_s"] > 4
    assert kinds[:lost].count("speech_start") == kinds[:lost].count("speech_end")
    assert "speech_end" in kinds[back:]
    states = [e["state"] for e in events[lost:back] if e["event"] == "heartbeat"]
    assert states
    assert set(states) == {"device_lost"}
    assert kinds[-1] == "end"
    assert [e["seq"] for e in events] == list(range(len(events)))


def test_a_kill_leaves_nothing_that_hinders_the_next_start(studio, tmp_path, example_clips):
    record = tmp_path / "kept"
    process = studio.listen("--format", "jsonl", "--record", str(record))
    time.sleep(2.5)
    studio.play(example_clips[0])
    process.kill()
    process.communicate(timeout=20)

    again = studio.listen("--format", "jsonl", "--record", str(record), "--seconds", "1")
    output, errors = again.communicate(timeout=30)

    assert again.returncode == 0, errors
    assert events_of(output)[-1]["event"] == "end"
    wavs = sorted(record.glob("*.wav"))
    assert len(wavs) == 2
    assert soundfile.info(str(wavs[0])).duration > 2


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
    assert "--device 'Röhre'" in done.stderr
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
    assert "libportaudio2" in done.stderr


def test_the_doctor_reports_the_microphone_and_its_server(studio):
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
