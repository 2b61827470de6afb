"""Who is measured on: nobody that the model was trained on, unless that is said everywhere."""

from __future__ import annotations

import pytest
from support import absent, make_card

from edge_ser.errors import ConfigError
from edge_ser.evaluation.report import TRAINED_CAVEAT
from edge_ser.evaluation.selection import missing_labels, select


def test_trained_speakers_and_foreign_emotions_are_left_out_and_counted(site, card):
    selection = select(site, card)

    assert {clip.speaker for clip in selection.clips} == {"site/s2", "site/s3", "site/s4"}
    assert {clip.emotion for clip in selection.clips} == {"low", "middle", "high"}
    odd, trained = selection.left_out
    assert [(part.corpus, part.n_clips) for part in (odd, trained)] == [("site", 8), ("site", 6)]
    assert absent(odd.reason, "odd") == []
    assert absent(trained.reason, "trained") == []
    assert len(selection.clips) + 14 == len(site)
    assert selection.trained == ()
    assert selection.validation == ("site/s2",)
    assert selection.protocol.startswith("all speakers, ")
    assert absent(selection.protocol, "training", TRAINED_CAVEAT, "overlap") == [
        TRAINED_CAVEAT,
        "overlap",
    ]


def test_trained_speakers_are_named_when_they_are_included(site, card):
    selection = select(site, card, include_trained=True)

    assert selection.trained == ("site/s1",)
    assert TRAINED_CAVEAT in selection.protocol
    assert len({clip.speaker for clip in selection.clips}) == 4


def test_a_choice_of_clips(site, card):
    third = [clip for clip in site if clip.speaker == "site/s3"]
    selection = select(site, card, chosen=third, choice="speakers named")

    assert {clip.speaker for clip in selection.clips} == {"site/s3"}
    assert [
        (part.corpus, part.n_clips)
        for part in selection.left_out
        if not absent(part.reason, "speakers named")
    ] == [("site", 19)]


def test_a_card_without_speakers_shows_no_overlap_and_says_so(site):
    selection = select(site, make_card())
    assert absent(selection.protocol, "card", "overlap") == []
    assert len({clip.speaker for clip in selection.clips}) == 4


def test_nothing_left(site, card):
    first = [clip for clip in site if clip.speaker == "site/s1"]
    with pytest.raises(ConfigError, match=r"\bsite \d+ .* --include-trained\b"):
        select(first, card)
    with pytest.raises(ConfigError, match=r"\bcat, dog\b"):
        select(site, make_card(labels=("cat", "dog")))


def test_labels_that_a_corpus_lacks(site):
    assert missing_labels(site, ("low", "high", "cold", "odd")) == {"site": ("cold",)}
    assert missing_labels(site, ("low", "high")) == {}
