"""What the comparison of voice detectors counts, and the truth it is compared with."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
from support import ROOT

from edge_ser.vad.segmenter import SegmenterConfig


@pytest.fixture(scope="module")
def modules():
    names = ("voice_scenes", "voice_scores")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield tuple(importlib.import_module(name) for name in names)
    for name in names:
        sys.modules.pop(name)


def test_every_way_to_be_wrong_is_counted(modules):
    _, scores = modules
    true = [(1.0, 2.0), (4.0, 5.0), (7.0, 8.0), (9.0, 10.0), (12.0, 13.0)]
    found = [(1.1, 2.1), (4.0, 4.3), (4.7, 5.0), (6.9, 10.0), (15.0, 16.0)]
    pairs, counts = scores.match(true, found)

    assert pairs == [((1.0, 2.0), (1.1, 2.1))]
    assert counts == {"missed": 1, "split": 1, "merged": 1, "invented": 1}


def test_the_truth_of_a_clip_is_where_it_is_loud(modules):
    scenes, _ = modules
    t = np.arange(3 * scenes.RATE) / scenes.RATE
    tone = 0.1 * np.sin(2 * np.pi * 300 * t)
    hum = 0.1 * np.sin(2 * np.pi * 50 * t)
    inside = ((t >= 1.0) & (t < 1.5)) | ((t >= 1.7) & (t < 2.2))
    part = scenes.spoken((hum + np.where(inside, tone, 0)).astype(np.float32))

    # The pause of 0.2 s is filled, mains hum is none, and 50 ms of smoothing widen both ends.
    assert part.span_s == pytest.approx((1.0, 2.2), abs=0.04)
    assert part.active[100:220].all()


def test_a_detector_that_knows_the_truth_is_right(modules):
    scenes, scores = modules
    active = np.zeros(1_000, dtype=bool)
    active[200:400] = active[600:700] = True
    samples = np.repeat(active, 160).astype(np.float32)
    scene = scenes.Scene(samples, active, ((2.0, 4.0), (6.0, 7.0)))

    class Knows:
        name, sample_rate, frame_samples = "knows", scenes.RATE, 160

        def push(self, frame):
            return float(frame[0])

        def reset(self):
            pass

    score = scores.score(Knows(), scene, SegmenterConfig(pre_roll_s=0, search_s=0))

    assert (score.miss, score.false_alarm, score.within) == (0, 0, 1)
    assert (score.missed, score.split, score.merged, score.invented) == (0, 0, 0, 0)
    assert score.start_p95_ms == pytest.approx(0, abs=1e-6)
    assert score.end_p95_ms == pytest.approx(0, abs=1e-6)
