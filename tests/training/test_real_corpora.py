"""Command line on real speech, from the corpus to a recognised clip."""

from __future__ import annotations

import json

import pytest

from edge_ser.inference.onnxruntime import OnnxRunner

RUN_FILES = {"run.json", "best.safetensors", "last.safetensors", "metrics.json", "curves.png"}


def train_export_run(edge_ser, corpus, clip, folder, *options):
    """Train two epochs, export, recognise a clip; return the messages, the card and the lines."""
    run, model = folder / "run", folder / "model.onnx"
    once = ("--epochs", 2, "--threads", 1, "--device", "cpu")
    trained = edge_ser("train", "--corpus", corpus, "--out", run, *once, *options)
    assert {path.name for path in run.iterdir()} >= RUN_FILES
    assert len(list(run.glob("confusion-*.png"))) == 2
    exported = edge_ser("export", run, "--out", model)
    assert "parity with PyTorch over 32 clips" in exported.stderr
    result = edge_ser("run", "--wav", clip, "--model", model, "--format", "jsonl")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return trained.stderr, OnnxRunner(model).card, lines


def test_emo_db(edge_ser, corpora_dir, tmp_path):
    root = corpora_dir / "EMO-DB"
    (clip,) = root.rglob("03a01Fa.*")  # the corpus may be kept as FLAC

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
    assert card.weights_licence == "CC0 1.0"
    assert all(a.uar > 1 / 7 for a in card.accuracy)  # better than chance, after two epochs
    (verdict,) = (line for line in lines if line["event"] == "clip")
    assert verdict["label"] in card.labels


def test_five_actors_of_ravdess(edge_ser, corpora_dir, tmp_path):
    part = tmp_path / "five"
    part.mkdir()
    for actor in range(1, 6):
        name = f"Actor_{actor:02}"
        (part / name).symlink_to(corpora_dir / "RAVDESS" / name)
    (clip,) = (part / "Actor_01").glob("03-01-05-01-02-01-01.*")
    settings = tmp_path / "settings.json"
    settings.write_text('{"augment": {"speeds": [1.0]}}')  # a third of the features, for time

    messages, card, lines = train_export_run(
        edge_ser, f"RAVDESS={part}", clip, tmp_path, "--config", settings
    )

    assert "RAVDESS: 300 of 1440 clips, 5 speakers" in messages
    assert card.labels == (
        *("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
    )
    (use,) = card.corpora
    assert (use.n_clips, card.weights_licence) == (180, "CC BY-NC-SA 4.0")
    (verdict,) = (line for line in lines if line["event"] == "clip")
    assert sum(verdict["probs"].values()) == pytest.approx(1, abs=1e-3)
