"""`edge-ser compare` as text, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from support import make_card, write_conv_model

RATE = 16_000

GOLDEN = """\
   file          model  precision  SHA-256       bytes
──────────────────────────────────────────────────────
A  first.onnx    tiny   fp32       {a}  {size}
B  changed.onnx  tiny   fp32       {b}  {size}

clips: 2, recordings without labels

Difference from A
   largest logit  mean logit  same label: windows         clips
───────────────────────────────────────────────────────────────
"""


@pytest.fixture
def files(tmp_path):
    """first.onnx, changed.onnx with a larger second convolution, and audio with and without labels."""
    write_conv_model(tmp_path / "first.onnx")
    write_conv_model(tmp_path / "changed.onnx", changed={"conv2": 1.05})
    rng = np.random.default_rng(0)
    for label in ("low", "high"):
        for speaker in ("s1", "s2"):
            folder = tmp_path / "site" / label / speaker
            folder.mkdir(parents=True)
            soundfile.write(folder / "a.wav", rng.normal(size=RATE) / 9, RATE)
    (tmp_path / "wavs").mkdir()
    for name in "ab":
        soundfile.write(tmp_path / "wavs" / f"{name}.wav", rng.normal(size=2 * RATE) / 9, RATE)
    return tmp_path


@pytest.fixture
def compare(cli, files):
    def run(*arguments):
        return cli("compare", *arguments, env={**os.environ, "COLUMNS": "80"})

    return run


def lines(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    return [line.rstrip() for line in done.stdout.decode().splitlines()]


def test_text_output(compare, files):
    done = compare("first.onnx", "changed.onnx", "--wav", "wavs", "--json", "c.json")
    data = json.loads((files / "c.json").read_text())
    a, b = data["models"]
    (difference,) = data["differences"]

    assert done.returncode == 0, done.stderr.decode()
    text = "\n".join(lines(done))
    assert text.startswith(
        GOLDEN.format(a=a["sha256"][:12], b=b["sha256"][:12], size=f"{a['size_bytes']:,}")
    )
    assert f"B{difference['logits']['max']:>15.2g}" in text
    assert "100.00% of 2" in text
    assert "first above 1.0%: conv2 (Conv), 5%" in text
    assert re.search(r"^B .* A .* wavs/", text, re.MULTILINE)
    assert max(map(len, lines(done))) <= 80
    assert "\x1b" not in text
    assert done.stderr.decode() == "written: c.json\n"


def test_a_model_with_itself(compare):
    done = compare("first.onnx", "first.onnx", "--wav", "wavs", "--max-difference", 0)

    assert done.returncode == 0
    text = "\n".join(lines(done))
    assert "none diverges" in text
    assert " 1.0%" in text
    assert [line.split()[:3] for line in lines(done) if line.startswith("B  ")][1] == [
        "B", "0", "0",
    ]  # fmt: skip


def test_labelled_speech_gives_accuracy(compare):
    corpus = ("--corpus", "folder:site=site", "--speakers", "s1")
    done = compare("first.onnx", "changed.onnx", *corpus, "--json", "c.json")

    text = "\n".join(lines(done))
    assert "clips: 2, speakers named; " in text
    assert "left out: site, 2 clips " in text
    (a, b) = [line.split() for line in lines(done) if " site " in line and "%" in line]
    assert a[:5] == ["A", "site", "2", "1", "0"]
    assert b[-1] == "+0.0"


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (("--max-difference", "1e-6"), "--max-difference allows 1e-06"),
        (("--max-difference", "10"), ""),
        (("--min-agreement", "100"), ""),
    ],
)
def test_a_check_decides_the_exit_code_after_all_is_written(compare, files, check, says):
    done = compare("first.onnx", "changed.onnx", "--wav", "wavs", "--json", "c.json", *check)

    assert done.returncode == (1 if says else 0)
    assert says in done.stderr.decode()
    assert (files / "c.json").is_file()


def test_too_little_agreement(compare, files):
    write_conv_model(files / "negated.onnx", changed={"head": -1.0})

    done = compare("first.onnx", "negated.onnx", "--wav", "wavs", "--min-agreement", "50")

    assert done.returncode == 1
    assert "negated.onnx: " in done.stderr.decode()
    assert " 0.00% " in done.stderr.decode()


def test_impossible_checks_are_refused_with_a_reason(compare, files):
    write_conv_model(files / "other.onnx", make_card(hop_s=0.5, labels=("low", "high", "odd")))

    done = compare("first.onnx", "other.onnx", "--wav", "wavs", "--max-difference", "1")

    text = " ".join(done.stdout.decode().split())
    assert "common labels: low, high" in text
    assert "B: windows not " in text
    assert " 1 s every 0.5 s " in text
    assert done.returncode == 1
    assert "other.onnx: --max-difference " in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "code", "values"),
    [
        (("first.onnx", "--wav", "wavs"), 2, ("1 model",)),
        (("first.onnx", "first.onnx"), 2, ("--corpus", "--wav")),
        (
            ("first.onnx", "first.onnx", "--wav", "wavs", "--corpus", "folder:site=site"),
            2,
            ("--corpus", "--wav", "both"),
        ),
        (
            ("first.onnx", "first.onnx", "--wav", "wavs", "--speakers", "s1"),
            2,
            ("--speakers", "--include-trained", "--corpus"),
        ),
        (("first.onnx", "none.onnx", "--wav", "wavs"), 1, (" none.onnx",)),
        (("first.onnx", "bad.onnx", "--wav", "wavs"), 1, ("bad.onnx", "ONNX")),
        (("first.onnx", "first.onnx", "--wav", "gone.wav"), 1, (" gone.wav",)),
        (("first.onnx", "alien.onnx", "--wav", "wavs"), 2, (" 0 labels ",)),
        (("first.onnx", "first.onnx", "--wav", "wavs", "--json", "/proc/x/c"), 2, ("/proc/x/c",)),
    ],
)
def test_what_cannot_be_compared(compare, files, arguments, code, values):
    (files / "bad.onnx").write_bytes(b"text" * 99)
    write_conv_model(files / "alien.onnx", make_card(labels=("x", "y")))

    done = compare(*arguments)

    assert done.returncode == code, done.stderr.decode()
    assert [value for value in values if value not in done.stderr.decode()] == []
    assert done.stdout == b""


def test_without_onnx_all_but_the_layers_is_compared(files):
    code = (
        "import sys\nsys.modules['onnx'] = None\n"
        "sys.argv = ['edge-ser', 'compare', 'first.onnx', 'changed.onnx', '--wav', 'wavs']\n"
        "from edge_ser.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=files, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "layers not " in " ".join(done.stdout.split())
    assert "edge-ser[build]" in done.stdout
