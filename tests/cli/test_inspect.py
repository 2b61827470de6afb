"""`edge-ser inspect` as text and as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import onnx
import pytest
from support import make_card, write_conv_model, write_engine, write_tiny_model

from edge_ser.card import Accuracy, CorpusUse
from edge_ser.precision import KEY, Precision

GOLDEN = """\
file           site.onnx
size           {size:,} bytes
SHA-256        {sha256}

Card
model          tiny: test, trained 2026-01-01, seed 0
labels         low, middle, high
window         1 s every 0.25 s, 0.25 s at least
front end      13 MFCCs of 26 mel bands, 20–7600 Hz, of audio at 16000 Hz; hann
               window 400, FFT 512, hop 160
baseline       none taken
arousal        not given
trained on     site: 6 clips of 1 speaker; own [c]
distilled      labels alone
temperature    1.25, already in the logits
abstain        below 0.35
licence        of the weights: CC BY 4.0

Accuracy
corpus  split  protocol             clips  speakers     WA    UAR
─────────────────────────────────────────────────────────────────
site    test   speaker-independent      6         1  50.0%  33.3%

Graph
opset          17 (IR 8), 5 nodes
written by     no name
input          features: float32 [batch, 13, frames]
output         logits: float32 [batch, 3]
parameters     682 numbers stored; 42 trained (card)
MACs           64,138 for one window of 1 s (1 x 13 x 97)

Precision
record         int8, entropy, per channel
made from      SHA-256 abababababab…
calibrated on  cdcdcdcdcdcd…
kept in float  head
gate           uar 0.709, uar_fp32 0.713
layers         FP32: 3, 100.0% of the MACs

Layers
layer  type  precision    MACs  stored
──────────────────────────────────────
conv1  Conv  FP32       50.4 k     520
conv2  Conv  FP32       13.7 k     144
head   Gemm  FP32           18      18
"""


@pytest.fixture
def model(tmp_path):
    """A model with every field of card and precision record."""
    card = make_card(
        corpora=(CorpusUse("site", 6, ("site/s1",), "own [c]", ""),),
        accuracy=(Accuracy("speaker-independent", "test", "site", ("site/s2",), 6, 0.5, 1 / 3),),
        abstain_below=0.35,
        temperature=1.25,
        weights_licence="CC BY 4.0",
    )
    path = write_conv_model(tmp_path / "site.onnx", card)
    record = Precision(
        kind="int8",
        source_sha256="ab" * 32,
        method="entropy",
        per_channel=True,
        calibration_digest="cd" * 32,
        excluded=("head",),
        gate={"uar_fp32": 0.713, "uar": 0.709},
    )
    proto = onnx.load(str(path))
    known = {entry.key: entry.value for entry in proto.metadata_props}
    onnx.helper.set_model_props(proto, {**known, KEY: record.to_json()})
    onnx.save(proto, str(path))
    return path


def shown(done: subprocess.CompletedProcess[bytes]) -> str:
    assert done.returncode == 0, done.stderr.decode()
    return "\n".join(line.rstrip() for line in done.stdout.decode().splitlines()) + "\n"


def test_text_output(cli, model):
    done = cli("inspect", model, env={**os.environ, "COLUMNS": "80"})

    data = model.read_bytes()
    assert shown(done) == GOLDEN.format(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    assert done.stderr == b""


def test_the_bundled_model_fits_80_columns_without_colours(cli):
    from edge_ser.inference.loader import bundled_model

    text = shown(cli("inspect", bundled_model(), env={**os.environ, "COLUMNS": "80"}))

    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "CC BY-NC-SA 4.0 (non-commercial)" in text
    assert "/blocks/blocks.0/body/body.5/mlp/mlp.0/Conv" in text


def test_json_output(cli, model):
    data = json.loads(shown(cli("inspect", model, "--json")))

    assert data["card"]["labels"] == ["low", "middle", "high"]
    assert data["precision"]["kind"] == "int8"
    assert data["macs"] == sum(layer["macs"] for layer in data["layers"]) == 64_138


def test_a_foreign_model_has_no_card(cli, tmp_path):
    text = shown(cli("inspect", write_tiny_model(tmp_path / "a.onnx", key="")))
    assert "`edge-ser run`" in text
    assert "MatMul" in text


def test_an_engine(cli, tmp_path):
    write_engine(tmp_path / "m.engine")

    text = shown(cli("inspect", "m.engine"))

    assert "built_by.compute_capabilities  8.7" in text
    assert "low, middle, high" in text
    assert "not read " in text
    (tmp_path / "m.engine").write_bytes(b"changed")
    done = cli("inspect", "m.engine")
    assert done.returncode == 1
    assert "m.engine " in done.stderr.decode()
    assert " 7 bytes" in done.stderr.decode()


@pytest.mark.parametrize(
    ("name", "content", "values"),
    [
        ("none.onnx", None, (" none.onnx",)),
        ("a.onnx", b"text" * 99, ("a.onnx ", "ONNX")),
        ("a.onnx", b"", ("a.onnx ", "ONNX")),
        ("a.txt", b"text", ("a.txt", ".txt", ".onnx", ".engine")),
        ("a.engine", b"engine", ("a.engine ", "manifest", "a.engine.json")),
    ],
)
def test_what_cannot_be_inspected_ends_with_exit_code_1(cli, tmp_path, name, content, values):
    if content is not None:
        (tmp_path / name).write_bytes(content)

    done = cli("inspect", name)

    assert done.returncode == 1
    assert [value for value in values if value not in done.stderr.decode()] == []
    assert done.stdout == b""


@pytest.mark.parametrize("name", ["m.onnx", "m.engine"])
def test_without_onnx_engines_are_inspected_and_the_extra_is_named_for_the_rest(tmp_path, name):
    write_tiny_model(tmp_path / "m.onnx")
    write_engine(tmp_path / "m.engine")
    code = (
        "import sys\nsys.modules['onnx'] = None\n"
        f"sys.argv = ['edge-ser', 'inspect', {name!r}]\n"
        "from edge_ser.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == (1 if name == "m.onnx" else 0), done.stderr
    assert ("pip install 'edge-ser[build]'" in done.stderr) == (name == "m.onnx")
