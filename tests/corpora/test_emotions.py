"""Possible emotions of the clips of each corpus."""

from __future__ import annotations

import pytest

from edge_ser.corpora import common_emotions, load_corpora, occurring_emotions, possible_emotions


@pytest.fixture
def specs(make_tree):
    root = make_tree(
        [
            "a/sad/1.wav",
            "a/angry/1.wav",
            "a/neutral/1.wav",
            "b/sad/1.wav",
            "b/calm/1.wav",
            "b/neutral/1.wav",
            "crowd/1.wav",
            "talk/1.wav",
            "c/unlabelled/1.wav",
        ]
    )
    kinds = {"a": "folder", "b": "folder", "c": "folder", "crowd": "neutral", "talk": "unlabelled"}
    return {name: f"{kind}:{name}={root / name}" for name, kind in kinds.items()}


def test_possible_emotions(specs):
    clips = load_corpora(specs.values())

    assert possible_emotions(clips) == {
        "a": {"sad", "angry", "neutral"},
        "b": {"sad", "calm", "neutral"},
        "crowd": {"sad", "angry", "neutral", "calm"},
    }
    assert occurring_emotions(clips) == {"sad", "angry", "neutral", "calm"}


def test_common_emotions_do_not_shrink_to_neutral(specs):
    assert common_emotions(load_corpora(specs.values())) == {"sad", "neutral"}


def test_a_crowd_alone_is_neutral(specs):
    assert common_emotions(load_corpora([specs["crowd"]])) == {"neutral"}


def test_nothing_is_common_where_nothing_is_labelled(specs):
    assert common_emotions(load_corpora([specs["talk"], specs["c"]])) == frozenset()
