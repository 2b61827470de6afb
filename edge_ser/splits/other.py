"""Speakers stand on both sides, clips do not: the figure for a device that knows its user."""

from __future__ import annotations

import dataclasses
import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from edge_ser.corpora import Clip, PaperAugmentation, sort_emotions
from edge_ser.corpora.clip import speaker_id
from edge_ser.errors import ConfigError
from edge_ser.splits.fold import Fold, speakers

EMOBOX = "emobox"

TEST_SPEAKERS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "RAVDESS": (
        ("01", "11", "20", "21"),
        ("04", "10", "12", "14"),
        ("08", "09", "19", "23"),
        ("03", "05", "07", "24"),
        ("02", "15", "16", "18"),
        ("06", "13", "17", "22"),
    ),
    "SAVEE": (("JE",), ("KL",), ("DC",), ("JK",)),
    "EMOVO": (("f2",), ("m3",), ("m2",), ("f3",), ("f1",), ("m1",)),
}
"""Corpus → the test speakers of each of its folds, in the published order."""


def emobox_folds(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Return the published folds of one corpus, named `1`, `2`, ….

    Raises:
        ConfigError: several corpora, one without published folds that keep speakers apart, or one
            that lacks speakers.
    """
    corpora = sorted({clip.corpus for clip in clips})
    if foreign := [corpus for corpus in corpora if corpus not in TEST_SPEAKERS]:
        raise ConfigError(
            f"EmoBox has no folds of {', '.join(foreign)} that keep speakers apart; it has them of "
            f"{', '.join(TEST_SPEAKERS)}; use --protocol speaker-independent"
        )
    if len(corpora) != 1:
        raise ConfigError(
            f"the folds of EmoBox are of one corpus, {len(corpora)} came ({', '.join(corpora)}); "
            "give one --corpus"
        )
    (corpus,) = corpora
    folds = [
        frozenset(speaker_id(corpus, name) for name in names) for names in TEST_SPEAKERS[corpus]
    ]
    if missing := sorted(frozenset().union(*folds).difference(speakers(clips))):
        raise ConfigError(
            f"the folds of EmoBox need all speakers of {corpus}, {', '.join(missing)} are missing; "
            "give the whole corpus, or use --protocol speaker-independent"
        )
    return tuple(
        Fold(
            protocol=EMOBOX,
            name=str(number),
            train=tuple(clip for clip in clips if clip.speaker not in held_out),
            validation=(),
            test=tuple(clip for clip in clips if clip.speaker in held_out),
        )
        for number, held_out in enumerate(folds, start=1)
    )


CROSS_CORPUS = "cross-corpus"


def cross_corpus(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Return a fold for each corpus, on which it tests, named `EMO-DB+RAVDESS to TESS`.

    A corpus may lack an emotion that others have: its clips take no part in the loss of that label,
    and its UAR is over the labels that it has.

    Raises:
        ConfigError: fewer than two corpora, or an emotion that only one corpus has.
    """
    emotions: dict[str, set[str]] = {}
    for clip in clips:
        emotions.setdefault(clip.corpus, set()).add(clip.emotion)
    corpora = sorted(emotions)
    if len(corpora) < 2:
        raise ConfigError(
            f"{len(corpora)} corpus came ({', '.join(corpora) or 'none'}), cross-corpus needs two or "
            "more; repeat --corpus"
        )
    for emotion in sort_emotions(set().union(*emotions.values())):
        having = [corpus for corpus in corpora if emotion in emotions[corpus]]
        if len(having) < 2:
            raise ConfigError(
                f"{emotion} occurs in {having[0]} alone, expected two corpora or more, so that one can "
                f"be tested by another; leave it out: --labels without {emotion}"
            )
    return tuple(
        Fold(
            protocol=CROSS_CORPUS,
            name=f"{'+'.join(c for c in corpora if c != tested)} to {tested}",
            train=tuple(clip for clip in clips if clip.corpus != tested),
            validation=(),
            test=tuple(clip for clip in clips if clip.corpus == tested),
        )
        for tested in corpora
    )


PAPER = "paper"
_TEST_SHARE = 0.2
_SEED = 42


def paper_rows(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """Return four rows of each clip: itself, with noise, shifted in pitch, with both."""
    return tuple(
        dataclasses.replace(clip, copy=copy) for clip in clips for copy in PaperAugmentation
    )


def paper_split(clips: Sequence[Clip]) -> tuple[Fold]:
    """Return the notebooks' one fold: 80% of the rows for training, 20% for the test.

    Rows stand where `sklearn.model_selection.train_test_split(rows, test_size=0.2, random_state=42,
    shuffle=True)` puts them, in its order.

    Raises:
        ConfigError: no clip.
    """
    import numpy as np

    rows = paper_rows(clips)
    if not rows:
        raise ConfigError("no clip came, so there is nothing to split; give a --corpus")
    order = np.random.RandomState(_SEED).permutation(len(rows))
    n_test = math.ceil(_TEST_SHARE * len(rows))
    return (
        Fold(
            protocol=PAPER,
            name="rows",
            train=tuple(rows[place] for place in order[n_test:]),
            validation=(),
            test=tuple(rows[place] for place in order[:n_test]),
        ),
    )


CLIP_GROUPED = "clip-grouped"


def clip_grouped(clips: Sequence[Clip], n_folds: int, seed: int) -> tuple[Fold, ...]:
    """Return k folds in which corpora and emotions are as even as they can be.

    Clips with the same audio, which are one group, stay on one side. The shuffled groups of each
    corpus and emotion are dealt in turn, one fold after the other.

    Raises:
        ConfigError: fewer than two folds, or more folds than clips.
    """
    emotions: dict[str, tuple[str, str]] = {}
    for clip in clips:
        emotions.setdefault(clip.group, (clip.corpus, clip.emotion))
    if not 2 <= n_folds <= len(emotions):
        raise ConfigError(
            f"{n_folds} fold(s) of {len(emotions)} clip(s) cannot be made; wanted: two folds or "
            "more, with a clip for each"
        )
    strata: dict[tuple[str, str], list[str]] = defaultdict(list)
    for group, stratum in sorted(emotions.items()):
        strata[stratum].append(group)
    rng = random.Random(seed)  # noqa: S311 (a draw, not a secret)
    order = [
        group for _, groups in sorted(strata.items()) for group in rng.sample(groups, len(groups))
    ]
    place = {group: position % n_folds for position, group in enumerate(order)}
    return tuple(
        Fold(
            protocol=CLIP_GROUPED,
            name=str(number + 1),
            train=tuple(clip for clip in clips if place[clip.group] != number),
            validation=(),
            test=tuple(clip for clip in clips if place[clip.group] == number),
        )
        for number in range(n_folds)
    )
