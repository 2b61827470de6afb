"""The folds that EmoBox publishes, where they keep speakers apart.

Ma et al. (2024), EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and Benchmark,
arXiv 2406.07162; the folds are those of data/ in github.com/emo-box/EmoBox.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_ser.corpora import Clip
from edge_ser.corpora.clip import speaker_id
from edge_ser.errors import ConfigError
from edge_ser.protocols.fold import Fold, speakers

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
