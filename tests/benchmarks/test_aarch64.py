"""Comparing two architectures: what counts as the same, and what must not."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def aarch64(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    sys.modules.pop("aarch64", None)
    import aarch64

    return aarch64


def measures():
    """Return what `measure` gives, of one clip and three models."""
    window = {"end_s": 3.0, "label": "happy", "probs": [0.6, 0.4]}
    tie = {"end_s": 6.0, "label": "happy", "probs": [0.503, 0.497]}
    return {
        "features": {"clip": [[1.0, 2.0], [3.0, 4.0]]},
        "windows": {f"{model}, files, clip": [window, tie] for model in ("fp32", "int8", "fp16")},
        "jitter": {"fp32": 1e-6, "int8": 0.02, "fp16": 1e-6},
        "voice": {"clip": [0.1, 0.9]},
    }


def changed(model, place, **values):
    there = copy.deepcopy(measures())
    there["windows"][f"{model}, files, clip"][place].update(values)
    return there


def row(aarch64, there, what):
    return next(r for r in aarch64.compare(measures(), there) if r["what"] == what)


def test_the_same_is_the_same(aarch64):
    rows = aarch64.compare(measures(), measures())
    assert [r["what"] for r in rows] == [
        "MFCCs, dB",
        "fp32, files",
        "int8, files",
        "fp16, files",
        "voice detector",
    ]
    assert all(r["ok"] for r in rows)
    assert aarch64.table(rows).count("same") == 5


@pytest.mark.parametrize(
    ("model", "within", "beyond"), [("fp32", 5e-4, 2e-3), ("fp16", 5e-3, 0.02)]
)
def test_probabilities_may_differ_by_so_much(aarch64, model, within, beyond):
    for by, ok in ((within, True), (beyond, False)):
        there = changed(model, 0, probs=[0.6 + by, 0.4 - by])
        assert row(aarch64, there, f"{model}, files")["ok"] is ok


def test_a_label_that_the_tolerance_cannot_turn_is_another(aarch64):
    found = row(aarch64, changed("fp16", 0, label="sad"), "fp16, files")
    assert (found["different_labels"], found["ties"], found["ok"]) == (1, 0, False)


def test_two_labels_that_are_as_good_as_equally_likely_are_a_tie(aarch64):
    there = changed("fp16", 1, label="sad", probs=[0.497, 0.503])
    found = row(aarch64, there, "fp16, files")
    assert (found["different_labels"], found["ties"], found["ok"]) == (0, 1, True)
    assert row(aarch64, changed("fp32", 1, label="sad"), "fp32, files")["different_labels"] == 1


@pytest.mark.parametrize(
    "values", [{"end_s": 6.25}, {"probs": [float("nan")] * 2}, {"probs": [0.5, 0.3, 0.2]}]
)
def test_other_windows_and_numbers_that_are_none_differ(aarch64, values):
    assert not row(aarch64, changed("fp32", 1, **values), "fp32, files")["ok"]


def test_a_window_more_differs(aarch64):
    there = copy.deepcopy(measures())
    there["windows"]["fp32, files, clip"].append({"end_s": 9.0, "label": None, "probs": []})
    found = row(aarch64, there, "fp32, files")
    assert (found["ok"], found["different_labels"]) == (False, 2)
