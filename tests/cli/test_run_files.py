"""`edge-ser run --wav` and `--stdin`: output, and errors for bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import make_card, skip_or_fail, write_tiny_model

from edge_ser.card import CARD_KEY
from edge_ser.inference.loader import bundled_model, open_runner

RATE = 16_000


def speech_like(seconds: float = 1.5, rate: int = RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * 180 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    return (0.2 * tone + 0.01 * np.random.default_rng(0).normal(size=len(t))).astype(np.float32)


def lines(output: bytes) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def windows_of(output: bytes) -> list[dict]:
    return [line for line in lines(output) if line["event"] == "window"]


def clip_of(output: bytes) -> dict:
    (clip,) = (line for line in lines(output) if line["event"] == "clip")
    return clip


def test_jsonl_has_windows_and_a_verdict_for_each_file(cli, example_clips):
    done = cli(
        *("run", "--wav", *example_clips, "--format", "jsonl", "--window", "1", "--hop", "0.5"),
        "--no-vad",
    )

    assert done.returncode == 0
    labels = set(open_runner().card.labels)
    for path in example_clips:
        own = [line for line in lines(done.stdout) if line["source"] == str(path)]
        windows = [line for line in own if line["event"] == "window"]
        (clip,) = (line for line in own if line["event"] == "clip")
        duration = soundfile.info(str(path)).duration
        assert [line["seq"] for line in own] == list(range(len(own)))
        assert (own[0]["event"], own[-1]["event"]) == ("start", "end")
        assert [w["start_s"] for w in windows] == [0.5 * k for k in range(len(windows))]
        assert len(windows) == int((duration - 1) / 0.5) + 1
        assert clip["duration_s"] == windows[-1]["end_s"]
        for line in (*windows, clip):
            assert set(line["probs"]) == labels
            assert sum(line["probs"].values()) == pytest.approx(1, abs=1e-3)
            likeliest = line.get("likeliest", line["label"])
            assert line["confidence"] == max(line["probs"].values()) == line["probs"][likeliest]
        mean = np.mean([[w["probs"][label] for label in sorted(labels)] for w in windows], axis=0)
        assert [clip["probs"][label] for label in sorted(labels)] == pytest.approx(mean, abs=1e-4)


def test_piped_text_is_one_plain_line_a_clip(cli, example_clips):
    done = cli("run", "--wav", example_clips[0].parent)

    assert done.returncode == 0
    text = done.stdout.decode()
    assert "\x1b" not in text
    assert [line.split(":")[0] for line in text.splitlines()] == [str(c) for c in example_clips]


def test_files_need_no_option(cli, example_clips):
    assert cli("run", example_clips[0]).stdout == cli("run", "--wav", example_clips[0]).stdout


def test_stdin_gives_what_the_file_gives(cli, example_clips):
    samples, rate = soundfile.read(str(example_clips[0]), dtype="int16")
    piped = cli(
        *("run", "--stdin", "--rate", rate, "--format", "jsonl", "--window", "1", "--no-vad"),
        stdin=samples.tobytes(),
    )
    named = cli(
        *("run", "--wav", example_clips[0], "--format", "jsonl", "--window", "1", "--no-vad")
    )

    assert piped.returncode == 0
    assert len(lines(piped.stdout)) == len(lines(named.stdout))
    for a, b in zip(lines(piped.stdout), lines(named.stdout), strict=True):
        assert a["event"] == b["event"]
        assert a.get("probs", {}) == pytest.approx(b.get("probs", {}), abs=1.1e-4)
        assert a["source"] == "stdin"


@pytest.mark.parametrize("source", ["--wav", "--stdin"])
def test_utterances_of_files_and_pipes(cli, tmp_path, example_clips, source):
    """Both are cut into utterances; a file also gets a verdict on the whole."""
    clips = [soundfile.read(str(path), dtype="int16")[0] for path in example_clips[:2]]
    pause = np.zeros(24_000, dtype=np.int16)
    samples = np.concatenate([pause, clips[0], pause, clips[1], pause])
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    arguments = ["--wav", "a.wav", "--vad"] if source == "--wav" else [source, "--rate", RATE]

    done = cli("run", *arguments, "--format", "jsonl", stdin=samples.tobytes())
    text = cli("run", *arguments, stdin=samples.tobytes())

    ends = [e for e in lines(done.stdout) if e["event"] in {"speech_start", "speech_end", "clip"}]
    whole = ["clip"] if source == "--wav" else []
    assert [e["event"] for e in ends] == ["speech_start", "speech_end"] * 2 + whole
    first, second = ends[1], ends[3]
    assert 1.5 < first["start_s"] < first["at_s"] < 1.5 + len(clips[0]) / RATE
    assert 3 + len(clips[0]) / RATE < second["start_s"] < second["at_s"]
    assert first["label"] == "angry"
    assert done.returncode == text.returncode == 0
    assert "angry" in text.stdout.decode()


def test_options_of_the_stream_are_passed_on(cli, example_clips):
    done = cli(
        *("run", "--wav", example_clips[0], "--vad", "--format", "jsonl", "--runner", "cpu"),
        *("--smoothing", 0, "--abstain-below", 0.99, "--window", 1, "--hop", 0.1),
    )
    start, *rest = lines(done.stdout)
    assert (start["abstain_below"], start["window_s"], start["hop_s"]) == (0.99, 1.0, 0.1)
    assert "cpu" in start["runner"]
    assert start["vad"].startswith("silero")
    (end,) = (e for e in rest if e["event"] == "speech_end")
    assert (end["label"], end["abstained"]) == (None, True)


@pytest.mark.parametrize("encoding", ["s16le", "s32le", "f32le"])
def test_stdin_encodings_and_channels_agree(cli, tmp_path, encoding):
    mono = speech_like()
    stereo = np.stack([mono, np.zeros_like(mono)], axis=1)
    scale = {"s16le": ("<i2", 32767), "s32le": ("<i4", 2147483520), "f32le": ("<f4", 1)}[encoding]
    soundfile.write(tmp_path / "mono.wav", mono, RATE, subtype="FLOAT")
    done = cli(
        *("run", "--stdin", "--rate", RATE, "--encoding", encoding, "--channels", 2),
        *("--channel", 0, "--format", "jsonl", "--no-vad"),
        stdin=(stereo * scale[1]).astype(scale[0]).tobytes(),
    )
    named = cli("run", "--wav", "mono.wav", "--format", "jsonl", "--no-vad")
    expected = clip_of(named.stdout)

    assert clip_of(done.stdout)["probs"] == pytest.approx(expected["probs"], abs=2e-3)


def test_stdin_from_ffmpeg(cli, example_clips):
    if shutil.which("ffmpeg") is None:
        skip_or_fail("ffmpeg is not installed")
    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(example_clips[1]), "-f", "s16le", "-ar", "16000", "-"],
        capture_output=True,
        check=True,
    )
    done = cli(
        *("run", "--stdin", "--rate", 16000, "--format", "jsonl", "--no-vad"), stdin=decoded.stdout
    )
    named = cli("run", "--wav", example_clips[1], "--format", "jsonl", "--no-vad")

    assert clip_of(done.stdout)["label"] == clip_of(named.stdout)["label"]


@pytest.mark.parametrize("form", ["waveform", "features"])
def test_both_kinds_of_model_run(cli, tmp_path, example_clips, form):
    model = write_tiny_model(tmp_path / "m.onnx", make_card(input=form))

    done = cli("run", "--wav", example_clips[0], "--model", model, "--format", "jsonl")

    assert clip_of(done.stdout)["likeliest"] in {"low", "middle", "high"}


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_rate_and_channel_count_is_recognised(cli, tmp_path, rate, channels):
    samples = np.repeat(speech_like(1.0, rate)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "a.wav", samples, rate)

    done = cli("run", "--wav", "a.wav", "--format", "jsonl")

    assert done.returncode == 0, done.stderr
    assert clip_of(done.stdout)["duration_s"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_width_gives_the_same_label(cli, tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", speech_like(), RATE, subtype=subtype)
    soundfile.write(tmp_path / "b.wav", speech_like(), RATE, subtype="FLOAT")

    first, second = (clip_of(cli("run", "--wav", n, "--format", "jsonl").stdout)
                     for n in ("a.wav", "b.wav"))  # fmt: skip

    assert first["label"] == second["label"]


def bad_files(folder: Path) -> None:
    good = folder / "good.wav"
    soundfile.write(good, speech_like(), RATE)
    (folder / "text.wav").write_text("this is no audio\n" * 50)
    (folder / "nothing.wav").write_bytes(b"")
    (folder / "truncated.wav").write_bytes(good.read_bytes()[:20_000])
    soundfile.write(folder / "empty.wav", np.zeros(0), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "one.wav", np.ones(1) / 2, RATE)
    nan = speech_like()
    nan[100:103] = np.nan
    soundfile.write(folder / "nan.wav", nan, RATE, subtype="FLOAT")
    soundfile.write(folder / "slow.wav", speech_like(2, 2000), 2000)
    (folder / "folder").mkdir()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("missing.wav", [" missing.wav", "directory"]),
        ("folder", [" folder ", ".wav"]),
        ("text.wav", ["text.wav ", "convert"]),
        ("nothing.wav", ["nothing.wav ", "convert"]),
        ("truncated.wav", ["1.50 s", "holds 0.62 s", "again"]),
        ("empty.wav", ["empty.wav ", "no samples"]),
        ("one.wav", ["6.25e-05 s", "at least 0.5 s"]),
        ("nan.wav", ["3 sample(s)"]),
        ("slow.wav", ["2000 Hz", "4000 to"]),
    ],
)
def test_bad_audio_is_named_with_exit_code_1(cli, tmp_path, name, values):
    bad_files(tmp_path)

    done = cli("run", "--wav", name)

    assert done.returncode == 1
    assert done.stdout == b""
    assert [value for value in values if value not in done.stderr.decode()] == []


def test_silence_and_noise_are_no_speech(cli, tmp_path):
    bad_files(tmp_path)
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(size=RATE) / 10, RATE)

    for name in ("silent.wav", "noise.wav"):
        done = cli("run", "--wav", name, "--format", "jsonl")
        clip = clip_of(done.stdout)
        assert done.returncode == 0
        assert (clip["label"], clip["likeliest"], clip["confidence"]) == (None, None, None)
        assert (clip["no_speech"], clip["abstained"], clip["probs"]) == (True, False, {})
        assert cli("run", "--wav", name).stdout.decode().strip() == f"{name}: no speech  (1.0 s)"

    without = cli("run", "--wav", "silent.wav", "--no-vad")
    assert without.returncode == 1
    assert b"silent.wav is silent" in without.stderr


def test_a_prior_shifts_the_probabilities(cli, example_clips):
    plain, shifted = (
        clip_of(cli("run", example_clips[0], "--format", "jsonl", *more).stdout)["probs"]
        for more in (["--prior", "none"], ["--prior", "neutral=1000"])
    )
    assert shifted["neutral"] > plain["neutral"]
    assert sum(shifted.values()) == pytest.approx(1, abs=1e-3)


def test_one_bad_file_does_not_stop_the_others(cli, tmp_path):
    bad_files(tmp_path)
    soundfile.write(tmp_path / "other.wav", speech_like(), RATE)

    done = cli("run", "--wav", "good.wav", "text.wav", "other.wav", "--format", "jsonl")

    assert done.returncode == 1
    finals = [line["source"] for line in lines(done.stdout) if line["event"] == "clip"]
    assert finals == ["good.wav", "other.wav"]
    assert b"text.wav" in done.stderr


def test_clipped_audio_is_recognised_with_a_warning(cli, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.clip(speech_like() * 50, -1, 1), RATE)

    done = cli("run", "--wav", "a.wav", "--format", "jsonl", "--no-vad")

    assert done.returncode == 0
    assert clip_of(done.stdout)["likeliest"]
    assert "clipped" in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (["run"], ("--wav FILE..., --mic, --stdin, --url",)),
        (["run", "--wav"], ("edge-ser run --wav ",)),
        (
            ["run", "--mic", "--stdin", "--rate", "16000"],
            ("--mic and --stdin", "--wav FILE..., --mic, --stdin, --url"),
        ),
        (["run", "--mic", "a.wav"], ("--mic ", " a.wav")),
        (["run", "--wav", "a.wav", "--record", "d"], ("--record", "--wav")),
        (["run", "--url", "-i"], ("'-i'", " URL,")),
        (["run", "--wav", "a.wav", "--abstain-below", "1"], ("abstain-below",)),
        (["run", "--stdin"], ("--stdin", "--rate")),
        (["run", "--wav", "a.wav", "--prior", "bored=2"], ("--prior neutral=3,happy=0.5",)),
        (["run", "--wav", "a.wav", "--prior", "neutral=0"], (" 0 for neutral",)),
        (["run", "--wav", "a.wav", "--format", "xml"], ("xml",)),
        (["run", "--wav", "a.wav", "--threads", "0"], ("threads",)),
        (["run", "--wav", "a.wav", "--window", "0.01"], (" window ", " 0.01 s")),
        (["run", "--wav", "a.wav", "--window", "nan"], (" window ", " nan s")),
        (["run", "--wav", "a.wav", "--hop", "0"], ("hop ", " 0 s")),
        (["run", "--stdin", "--rate", "16000", "--channels", "0"], ("got 0",)),
        (["walk"], ("'walk'",)),
        (["run", "--wavv"], ("--wavv",)),
    ],
)
def test_usage_errors_end_with_exit_code_2(cli, arguments, values):
    done = cli(*arguments)

    assert done.returncode == 2
    assert [value for value in values if value not in done.stderr.decode()] == []
    assert done.stdout == b""


def foreign_models(folder: Path) -> None:
    (folder / "text.onnx").write_text("not a model")
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "model.txt").write_text("x")
    (folder / "cut.onnx").write_bytes(bundled_model().read_bytes()[:100_000])
    write_tiny_model(folder / "bare.onnx", key="")
    write_tiny_model(folder / "other.onnx", key="somebody.else")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("missing.onnx", (" missing.onnx",)),
        ("model.txt", ("model.txt", ".onnx", ".engine", ".plan")),
        ("text.onnx", ("text.onnx ", "ONNX")),
        ("empty.onnx", ("empty.onnx ", "ONNX")),
        ("cut.onnx", ("cut.onnx ", "ONNX")),
        ("bare.onnx", ("bare.onnx", "ModelCard", "keys: none")),
        ("other.onnx", ("other.onnx", "ModelCard", "keys: somebody.else")),
    ],
)
def test_bad_models_are_named(cli, tmp_path, example_clips, name, values):
    foreign_models(tmp_path)

    done = cli("run", "--wav", example_clips[0], "--model", name)

    assert done.returncode == 1
    assert [value for value in values if value not in done.stderr.decode()] == []


def test_a_foreign_card_is_refused(cli, tmp_path, example_clips):
    import onnx

    path = write_tiny_model(tmp_path / "m.onnx")
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {CARD_KEY: '{"labels": ["cat", "dog"]}'})
    onnx.save(model, str(path))

    done = cli("run", "--wav", example_clips[0], "--model", path)

    assert done.returncode == 1
    assert "ModelCard" in done.stderr.decode()
    assert "'format'" in done.stderr.decode()


def test_nothing_on_stdin(cli):
    done = cli("run", "--stdin", "--rate", 16000)

    assert done.returncode == 1
    assert "stdin" in done.stderr.decode()
    assert "PCM" in done.stderr.decode()


def test_a_reader_that_leaves_ends_it_quietly(example_clips):
    """As `| head -1` does: nothing went wrong."""
    command = [sys.executable, "-m", "edge_ser", "run", "--format", "jsonl"]
    command += ["--window", "0.5", "--hop", "0.01", "--wav", *([str(example_clips[0].parent)] * 4)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        first = process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert len(lines(first)) == 1
    assert errors == b""
    assert process.returncode == 0
