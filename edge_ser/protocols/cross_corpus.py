"""Train on some corpora, test on another: other speakers, rooms, actors and often language."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ser.corpora import Clip, sort_emotions
from edge_ser.errors import ConfigError
from edge_ser.protocols.fold import Fold

CROSS_CORPUS = "cross-corpus"


def cross_corpus(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Return a fold for each corpus, on which it tests, named `EMO-DB+RAVDESS to TESS`.

    Raises:
        ConfigError: fewer than two corpora, or emotions that not every corpus has.
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
    every = set().union(*emotions.values())
    for corpus in corpora:
        if missing := sort_emotions(every - emotions[corpus]):
            raise ConfigError(
                f"{corpus} has no clip labelled {', '.join(missing)}, cross-corpus needs emotions "
                "that every corpus has; leave --labels out, or name those"
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
