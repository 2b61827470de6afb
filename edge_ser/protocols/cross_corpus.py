"""Train on some corpora, test on another: other speakers, rooms, actors and often language."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ser.corpora import Clip, sort_emotions
from edge_ser.errors import ConfigError
from edge_ser.protocols.fold import Fold

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
