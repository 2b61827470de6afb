"""Real speech, from the corpus to a recognised clip, through the command line."""

from __future__ import annotations

import json

import pytest

from edge_ser.runtime.onnx_runner import OnnxRunner

RUN_FILES = {"run.json", "best.safetensors", "last.safetensors", "metrics.json", "curves.png"}


def train_export_run(edge_ser, corpus, clip, folder):
    """Train two epochs, export, recognise a clip; return the messages, the card and the lines."""
    run, model = folder / "run", folder / "model.onnx"
    trained = edge_ser("train", "--corpus", corpus, "--out", run, "--epochs", 2, "--threads", 1)
    assert RUN_FILES <= {path.name for path in run.iterdir()}
    assert len(list(run.glob("confusion-*.png"))) == 2
    exported = edge_ser("export", run, "--out", model)
    assert "parity with PyTorch over 32 clips" in exported.stderr
    heard = edge_ser("run", "--wav", clip, "--model", model, "--format", "jsonl")
    lines = [json.loads(line) for line in heard.stdout.splitlines()]
    return trained.stderr, OnnxRunner(model).card, lines


def test_emo_db(edge_ser, corpora_dir, tmp_path):
    root = corpora_dir / "EMO-DB"
    clip = root / "wav" / "03a01Fa.wav"

    messages, card, lines = train_export_run(edge_ser, f"EMO-DB={root}", clip, tmp_path)

    assert "EMO-DB: 535 clips, 10 speakers" in messages
    assert card.labels == ("neutral", "happy", "sad", "angry", "fearful", "disgust", "bored")
    (use,) = card.corpora
    assert use.name == "EMO-DB"
    assert use.n_clips + sum(a.n_clips for a in card.accuracy) == 535
    assert len(use.speakers) + sum(len(a.speakers) for a in card.accuracy) == 10
    assert {(a.protocol, a.split) for a in card.accuracy} == {
        ("speaker-independent", "validation"),
        ("speaker-independent", "test"),
    }
    assert "ask its authors" in card.weights_licence
    assert all(a.uar > 1.3 / 7 for a in card.accuracy)
    assert lines[-1]["final"]
    assert lines[-1]["label"] in card.labels


@pytest.mark.skipif("os.name != 'posix'", reason="links folders")
def test_five_actors_of_ravdess(edge_ser, corpora_dir, tmp_path):
    part = tmp_path / "five"
    part.mkdir()
    for actor in range(1, 6):
        name = f"Actor_{actor:02}"
        (part / name).symlink_to(corpora_dir / "RAVDESS" / name)
    clip = part / "Actor_01" / "03-01-05-01-02-01-01.wav"

    messages, card, lines = train_export_run(edge_ser, f"RAVDESS={part}", clip, tmp_path)

    assert "RAVDESS: 300 of 1440 clips, 5 speakers" in messages
    assert card.labels == (
        *("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
    )
    (use,) = card.corpora
    assert (use.n_clips, card.weights_licence) == (180, "CC BY-NC-SA 4.0")
    assert len(lines) > 1
    assert sum(lines[-1]["probs"].values()) == pytest.approx(1)
