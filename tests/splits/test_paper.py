"""The notebooks' split, row for row as scikit-learn makes it."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split
from support import clips_of

from edge_ser.corpora import PaperAugmentation, load_corpus
from edge_ser.errors import ConfigError
from edge_ser.splits import SplitConfig, make_folds, refuse_leaks
from edge_ser.splits.other import paper_rows

PAPER = SplitConfig("paper")


@settings(deadline=None)
@given(st.integers(1, 400))
def test_rows_stand_where_scikit_learn_puts_them(n):
    clips = clips_of("own", "ann", n=n)
    rows = paper_rows(clips)

    (fold,) = make_folds(clips, PAPER)

    train, test = train_test_split(list(rows), test_size=0.2, random_state=42, shuffle=True)
    assert (fold.train, fold.validation, fold.test) == (tuple(train), (), tuple(test))


def test_the_test_rows_are_the_first_fifth_of_the_permutation():
    clips = clips_of("own", "ann", n=17)
    rows, order = paper_rows(clips), np.random.RandomState(42).permutation(68)

    (fold,) = make_folds(clips, PAPER)

    assert len(fold.test) == math.ceil(0.2 * 68) == 14
    assert list(fold.test) == [rows[place] for place in order[:14]]


def test_every_clip_becomes_four_rows():
    clips = clips_of("own", "ann", "bob", n=3)

    (fold,) = make_folds(clips, PAPER)

    assert (fold.protocol, fold.name) == ("paper", "rows")
    assert Counter((clip.path, clip.copy) for clip in fold.clips) == Counter(
        (clip.path, copy) for clip in clips for copy in PaperAugmentation
    )
    assert [row.copy.value for row in paper_rows(clips)[:4]] == [
        "original",
        "noise",
        "pitch",
        "pitch+noise",
    ]


@pytest.mark.parametrize(
    ("corpus", "n_rows", "n_test", "touched"),
    [("EMO-DB", 2140, 428, 428), ("TESS", 11_200, 2240, 2212), ("RAVDESS", 5760, 1152, 1136)],
)
def test_number_of_test_rows_with_a_copy_in_training(corpora_dir, corpus, n_rows, n_test, touched):
    """100% of EMO-DB and 98.75% of TESS, as counted in the notebooks' own split."""
    (fold,) = make_folds(load_corpus(f"{corpus}={corpora_dir / corpus}"), PAPER)

    (copies,) = (o for o in refuse_leaks(fold).overlaps if o.kind == "copies")

    assert (len(fold.clips), len(fold.test)) == (n_rows, n_test)
    assert (copies.n_rows, copies.share) == (touched, touched / n_test)


def test_no_clip_is_refused():
    with pytest.raises(ConfigError, match="--corpus"):
        make_folds([], PAPER)
