"""Corpora of one label or none: which they are, and that training did not have their files."""

from __future__ import annotations

import dataclasses

import pytest
from support import absent, clips_of, make_card

from edge_ser.card import CorpusUse
from edge_ser.corpora import Half, load_corpora
from edge_ser.corpora.crowd import half_of
from edge_ser.errors import AudioError, ConfigError
from edge_ser.evaluation.selection import noise_clips, plain_corpora, select_all

CARD = make_card(labels=("neutral", "sad", "happy"))


@pytest.fixture
def crowd(tmp_path):
    (tmp_path / "crowd").mkdir()
    for number in range(16):
        (tmp_path / "crowd" / f"{number}.wav").write_bytes(bytes([number]))
    return tmp_path / "crowd"


def trained_on(*names: str):
    uses = tuple(CorpusUse(name, 9, (f"{name}/?",), "own", "") for name in names)
    return dataclasses.replace(CARD, corpora=uses)


def test_one_label_makes_a_plain_corpus():
    clips = [
        *clips_of("X", "a"),
        *clips_of("Y", "a", emotions=("sad",)),
        *clips_of("Z", "a", emotions=("unlabelled",)),
    ]
    assert plain_corpora(clips) == {"Y", "Z"}

    selection = select_all(clips, CARD)
    assert {clip.corpus for clip in selection.clips} == {"X"}
    assert {clip.corpus for clip in selection.plain} == {"Y", "Z"}
    assert selection.protocol.startswith("all speakers")


def test_a_choice_is_one_among_labelled_clips():
    labelled, plain = clips_of("X", "a", "b"), clips_of("Y", "a", emotions=("neutral",))
    selection = select_all([*labelled, *plain], CARD, chosen=labelled[:2], choice="speakers named")
    assert [clip.speaker for clip in selection.clips] == ["X/a", "X/a"]
    assert len(selection.plain) == 2
    (part,) = selection.left_out
    assert (part.corpus, part.n_clips) == ("X", 2)
    assert absent(part.reason, "speakers named") == []


def test_plain_corpora_alone(crowd):
    selection = select_all(load_corpora([f"neutral:crowd={crowd}"]), CARD)
    assert selection.clips == ()
    assert len(selection.plain) == 16


def test_one_label_that_the_model_does_not_know_is_left_out_but_neutral_is_not():
    card = make_card(labels=("sad", "happy"))
    clips = [
        *clips_of("X", "a", emotions=("bored",)),
        *clips_of("Y", "a", emotions=("neutral",)),
    ]
    selection = select_all(clips, card)
    assert {clip.corpus for clip in selection.plain} == {"Y"}
    (part,) = selection.left_out
    assert (part.corpus, part.n_clips) == ("X", 2)
    assert absent(part.reason, "bored") == []


def test_files_that_training_may_have_had_are_left_out_whatever_the_half_is_called(crowd):
    whole, held = load_corpora([f"neutral:crowd={crowd}"]), f"neutral:crowd={crowd}#held"
    n_train = sum(half_of(clip.path) is Half.TRAIN for clip in whole)
    assert 0 < n_train < 16

    with pytest.raises(ConfigError, match=r"\b16\b.* --include-trained"):
        select_all(whole, trained_on("crowd"))
    with pytest.raises(ConfigError) as raised:
        select_all(load_corpora([held]), trained_on("crowd"))
    assert absent(raised.value, f"crowd#held {16 - n_train}", "--include-trained") == []
    assert len(select_all(load_corpora([held]), trained_on("crowd#train")).plain) == 16 - n_train

    selection = select_all(whole, trained_on("crowd#train"))
    assert {half_of(clip.path) for clip in selection.plain} == {Half.HELD}
    assert selection.left_out[0].n_clips == n_train
    assert len(select_all(whole, trained_on("crowd"), include_trained=True).plain) == 16


def test_folders_of_noise(crowd, tmp_path):
    clips = noise_clips([crowd])
    assert {(clip.corpus, clip.emotion, clip.speaker) for clip in clips} == {
        ("crowd", "no speech", "crowd/?")
    }
    assert len({clip.group for clip in clips}) == 16
    assert noise_clips([]) == ()

    (tmp_path / "other" / "crowd").mkdir(parents=True)
    with pytest.raises(ConfigError, match="2 called crowd"):
        noise_clips([crowd, tmp_path / "other" / "crowd"])
    with pytest.raises(AudioError, match="no audio"):
        noise_clips([tmp_path / "other"])
