"""Other protocols: EmoBox folds, cross-corpus, the paper's split, and folds grouped by clip."""

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
"""Corpus → test speakers of each of its folds, in the published order."""


def emobox_folds(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Return the published folds of one corpus, named `1`, `2`, ….

    Raises:
        ConfigError: several corpora, a corpus without published speaker-independent folds, or one
            with missing speakers.
    """
    corpora = sorted({clip.corpus for clip in clips})
    if foreign := [corpus for corpus in corpora if corpus not in TEST_SPEAKERS]:
        raise ConfigError(
            f"EmoBox has no folds of {', '.join(foreign)} that keep speakers apart; it has them of "
            f"{', '.join(TEST_SPEAKERS)}; use --protocol speaker-independent"
        )
    if len(corpora) != 1:
        raise ConfigError(
            f"the folds of EmoBox expected one corpus, got {len(corpora)} ({', '.join(corpora)}); "
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
    """Return a fold for each corpus as the test set, named `EMO-DB+RAVDESS to TESS`.

    A corpus may lack an emotion that others have: its clips are left out of the loss of that label, and
    its UAR is over the labels that it has.

    Raises:
        ConfigError: fewer than two corpora, or an emotion that only one corpus has.
    """
    emotions: dict[str, set[str]] = {}
    for clip in clips:
        emotions.setdefault(clip.corpus, set()).add(clip.emotion)
    corpora = sorted(emotions)
    if len(corpora) < 2:
        raise ConfigError(
            f"cross-corpus expected two or more corpora, got {len(corpora)} "
            f"({', '.join(corpora) or 'none'}); repeat --corpus"
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
    """Return four rows for each clip: the original, with noise, shifted in pitch, and with both."""
    return tuple(
        dataclasses.replace(clip, copy=copy) for clip in clips for copy in PaperAugmentation
    )


def paper_split(clips: Sequence[Clip]) -> tuple[Fold]:
    """Return the single fold of the paper's notebooks: 80% of the rows for training, 20% for the test.

    Equal to `sklearn.model_selection.train_test_split(rows, test_size=0.2, random_state=42,
    shuffle=True)`, including the order.

    Raises:
        ConfigError: no clip.
    """
    import numpy as np

    rows = paper_rows(clips)
    if not rows:
        raise ConfigError("expected clips to split, got none; give a --corpus")
    order = np.random.RandomState(_SEED).permutation(len(rows))
    n_test = math.ceil(_TEST_SHARE * len(rows))
    return (
        Fold(
            protocol=PAPER,
            name="rows",
            train=tuple(rows[index] for index in order[n_test:]),
            validation=(),
            test=tuple(rows[index] for index in order[:n_test]),
        ),
    )


CLIP_GROUPED = "clip-grouped"


def clip_grouped(clips: Sequence[Clip], n_folds: int, seed: int) -> tuple[Fold, ...]:
    """Return k folds, stratified by corpus and emotion.

    Clips of one group, which have the same audio, stay in one part. The shuffled groups of each corpus
    and emotion are assigned to the folds in turn.

    Raises:
        ConfigError: fewer than two folds, or more folds than clips.
    """
    emotions: dict[str, tuple[str, str]] = {}
    for clip in clips:
        emotions.setdefault(clip.group, (clip.corpus, clip.emotion))
    if not 2 <= n_folds <= len(emotions):
        raise ConfigError(
            f"expected two folds or more, with a clip for each, got {n_folds} fold(s) of "
            f"{len(emotions)} clip(s); give another --folds"
        )
    strata: dict[tuple[str, str], list[str]] = defaultdict(list)
    for group, stratum in sorted(emotions.items()):
        strata[stratum].append(group)
    rng = random.Random(seed)  # noqa: S311 (a draw, not a secret)
    order = [
        group for _, groups in sorted(strata.items()) for group in rng.sample(groups, len(groups))
    ]
    fold_of = {group: rank % n_folds for rank, group in enumerate(order)}
    return tuple(
        Fold(
            protocol=CLIP_GROUPED,
            name=str(number + 1),
            train=tuple(clip for clip in clips if fold_of[clip.group] != number),
            validation=(),
            test=tuple(clip for clip in clips if fold_of[clip.group] == number),
        )
        for number in range(n_folds)
    )
