"""Records of cross-validations that tests make up."""

from __future__ import annotations

from edge_ser.evaluation.results import FoldResult, RunResult

LABELS = ("sad", "happy", "angry")


def make_fold(name="1", speakers="aabbb", truth=(0, 1, 2, 1, 0), predicted=(0, 1, 1, 1, 2)):
    return FoldResult.of(
        name,
        [f"X/{s}" for s in speakers],
        truth,
        predicted,
        3,
        n_train=20,
        n_validation=0,
        n_parameters=42,
        train_s=0.5,
        notes=(),
        declares="nothing is shared",
        shared=(),
        revision="abc",
    )


def make_run(folds=None, **changes):
    facts = {
        "system": "svm-egemaps",
        "settings": {"costs": [0.1], "kernel": "linear", "deep": {"a": None}},
        "labels": LABELS,
        "corpora": ("X",),
        "protocol": "speaker-independent",
        "folding": "5",
        "n_folds": 5,
        "seeds": (0,),
        "data_digest": "d",
        "notes": (),
        "versions": {"numpy": "2"},
        "command": "edge-ser cross-validate [x] {y}",
        "date": "2026-01-01",
    }
    folds = folds or [make_fold("1"), make_fold("2", "ccc", (0, 1, 2), (0, 1, 2))]
    return RunResult.of(folds, **{**facts, **changes})
