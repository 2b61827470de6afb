"""What training knew of a corpus."""

from __future__ import annotations

import pytest
from support import clips_of, make_card

from edge_ser.card import Accuracy, CorpusUse
from edge_ser.evaluation.selection import (
    MEANINGS,
    NEW_SPEAKERS,
    NOTES,
    SCOPES,
    TITLES,
    TRAINED,
    UNKNOWN,
    UNSEEN,
    scope_of,
)

CARD = make_card(
    corpora=(
        CorpusUse("site", 6, ("site/a",), "own", ""),
        CorpusUse("crowd#train", 6, ("crowd#train/?",), "own", ""),
    ),
    accuracy=(Accuracy("x", "validation", "tuned", ("tuned/a",), 6, 0.5, 0.5),),
)


@pytest.mark.parametrize(
    ("corpus", "speakers", "scope"),
    [
        ("elsewhere", ("a", "b"), UNSEEN),
        ("elsewhere", ("?",), UNSEEN),
        ("site", ("b", "c"), NEW_SPEAKERS),
        ("Site", ("b",), NEW_SPEAKERS),
        ("site", ("a", "b"), TRAINED),
        ("site", ("b", "?"), UNKNOWN),
        ("tuned", ("b",), NEW_SPEAKERS),
        ("crowd#held", ("?",), UNKNOWN),
    ],
)
def test_scopes(corpus, speakers, scope):
    assert scope_of(clips_of(corpus, *speakers), CARD) == scope


def test_a_card_without_corpora_tells_nothing():
    assert scope_of(clips_of("site", "a"), make_card()) == UNKNOWN


def test_every_scope_has_its_words():
    assert set(SCOPES) == set(TITLES) == set(NOTES) == set(MEANINGS)
