"""Clips of the small corpus, split by an honest protocol and by that of the paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import skip_or_fail

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent == HERE:
            item.add_marker("torch")


@pytest.fixture(scope="session")
def clips(corpus):
    """Two clips of each label by three speakers."""
    from edge_ser.corpora import load_corpus

    chosen = [c for c in load_corpus(corpus) if c.speaker[-1] in "123" and c.path.stem in "01"]
    if len(chosen) != 24:
        skip_or_fail(f"expected 24 clips, got {len(chosen)}")
    return tuple(chosen)


@pytest.fixture(scope="session")
def labels():
    return ("neutral", "happy", "sad", "angry")


@pytest.fixture(scope="session")
def honest_fold(clips):
    from edge_ser.splits.fold import Fold

    train = tuple(c for c in clips if not c.speaker.endswith("3"))
    test = tuple(c for c in clips if c.speaker.endswith("3"))
    return Fold("speaker-independent", "synth/s3", train, (), test)


@pytest.fixture(scope="session")
def paper_fold(clips):
    from edge_ser.splits.other import paper_split

    return paper_split(clips)[0]


@pytest.fixture(scope="session")
def small():
    """Settings with which the rows are learned in a few seconds."""
    from edge_ser.training.baselines.paper.settings import PaperConfig

    return PaperConfig(channels=8, stride=2, epochs=3, learning_rate=3e-3, batch_size=8)
