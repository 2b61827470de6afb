"""Logits of a fold are unchanged by writing and reading."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ser.errors import TrainingError
from edge_ser.scores import Scores
from edge_ser.training.cross_validation.crossval import load_scores, save_scores


def scores(n, *, arousal):
    rng = np.random.default_rng(n)
    logits = tuple(rng.normal(size=(k % 3, 4)) for k in range(n))
    return Scores(logits, rng.integers(0, 4, n), arousal=rng.normal(size=n) if arousal else None)


@pytest.mark.parametrize("arousal", [True, False])
def test_round_trip(tmp_path, arousal):
    test, gate = scores(7, arousal=arousal), scores(3, arousal=arousal)
    save_scores(tmp_path / "fold.npz", test, {"crowd#held": gate})

    loaded, gates = load_scores(tmp_path / "fold.npz")

    for one, other in ((loaded, test), (gates["crowd#held"], gate)):
        for a, b in zip(one.logits, other.logits, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(one.truth, other.truth)
        assert (one.arousal is None) == (not arousal)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "fold.npz"
    save_scores(path, scores(4, arousal=False), {})
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(TrainingError, match="damaged"):
        load_scores(path)
