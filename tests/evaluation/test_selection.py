"""Who is measured on: nobody that the model was trained on, unless that is said everywhere."""

from __future__ import annotations

import pytest
from support import make_card

from edge_ser.errors import ConfigError
from edge_ser.evaluation.selection import LeftOut, missing_labels, select


def test_trained_speakers_and_foreign_emotions_are_left_out_and_counted(site, card):
    selection = select(site, card)

    assert {clip.speaker for clip in selection.clips} == {"site/s2", "site/s3", "site/s4"}
    assert {clip.emotion for clip in selection.clips} == {"low", "middle", "high"}
    assert selection.left_out == (
        LeftOut("site", "labelled odd, which the model does not know", 8),
        LeftOut("site", "of speakers that the model was trained on", 6),
    )
    assert len(selection.clips) + 14 == len(site)
    assert selection.trained == ()
    assert selection.validation == ("site/s2",)
    assert selection.protocol == "all speakers, without those of the training data"


def test_trained_speakers_are_named_when_they_are_included(site, card):
    selection = select(site, card, include_trained=True)

    assert selection.trained == ("site/s1",)
    assert "includes speakers of the training data" in selection.protocol
    assert len({clip.speaker for clip in selection.clips}) == 4


def test_a_choice_of_clips(site, card):
    third = [clip for clip in site if clip.speaker == "site/s3"]
    selection = select(site, card, chosen=third, choice="speakers named")

    assert {clip.speaker for clip in selection.clips} == {"site/s3"}
    assert LeftOut("site", "not of the speakers named", 19) in selection.left_out


def test_a_card_without_speakers_shows_no_overlap_and_says_so(site):
    selection = select(site, make_card())
    assert "overlap cannot be seen" in selection.protocol
    assert len({clip.speaker for clip in selection.clips}) == 4


def test_nothing_left(site, card):
    first = [clip for clip in site if clip.speaker == "site/s1"]
    with pytest.raises(ConfigError, match="add --include-trained"):
        select(first, card)
    with pytest.raises(ConfigError, match="the model's labels are cat, dog"):
        select(site, make_card(labels=("cat", "dog")))


def test_labels_that_a_corpus_lacks(site):
    assert missing_labels(site, ("low", "high", "cold", "odd")) == {"site": ("cold",)}
    assert missing_labels(site, ("low", "high")) == {}
