"""Which emotions the clips of each corpus can have: the one rule behind labels and label masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_ser.corpora.clip import Clip, is_background, is_labelled


def possible_emotions(clips: Sequence[Clip]) -> dict[str, frozenset[str]]:
    """Return corpus → the emotions that its clips can have, in the order of first appearance.

    A corpus that was labelled clip by clip can have those that occur in it. A clip that is neutral
    by intent denies every other emotion, so a `neutral:` corpus can have all that occur in any
    corpus. A corpus without labels is left out.
    """
    every = occurring_emotions(clips)
    found: dict[str, frozenset[str]] = {}
    for clip in filter(is_labelled, clips):
        own = every if is_background(clip) else frozenset({clip.emotion})
        found[clip.corpus] = found.get(clip.corpus, frozenset()) | own
    return found


def common_emotions(clips: Sequence[Clip]) -> frozenset[str]:
    """Return the emotions that clips of every corpus can have; none where no clip is labelled."""
    possible = possible_emotions(clips)
    return frozenset.intersection(*possible.values()) if possible else frozenset()


def occurring_emotions(clips: Iterable[Clip]) -> frozenset[str]:
    """Return the emotions that occur, `UNLABELLED` aside."""
    return frozenset(clip.emotion for clip in clips if is_labelled(clip))
