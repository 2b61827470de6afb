"""Who trains and who is tested: splits of clips by speaker, checked for overlap. No torch here."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_ser.corpora import Clip, speaker_known
from edge_ser.errors import ConfigError

SPEAKER_INDEPENDENT = "speaker-independent"
"""No speaker of the test or validation clips is heard in training."""

_MIN_SPEAKERS = 3
"""A corpus with fewer speakers cannot give one to each part; all its clips go into training."""


@dataclass(frozen=True)
class Split:
    """Clips by part. Made by `speaker_independent`, which checks that the parts do not overlap."""

    protocol: str
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]


def speaker_independent(
    clips: Sequence[Clip],
    seed: int,
    test_speakers: str | None = None,
    validation_speakers: str | None = None,
) -> Split:
    """Split clips so that no speaker stands on two sides.

    Args:
        clips: all clips.
        seed: decides which speakers are drawn where none are named.
        test_speakers: comma-separated speakers (`1,11` or, with several corpora, `RAVDESS/1`);
            `none` for no test set; None draws a fifth of each corpus' speakers.
        validation_speakers: the same, of the speakers that are left; None draws a sixth of them.

    Raises:
        ConfigError: unknown speakers, speakers not known at all, or a part left empty.
    """
    for clip in clips:
        if not speaker_known(clip):
            raise ConfigError(
                f"the speaker of {clip.path} is not known, so nothing can be tested on speakers that "
                "were not heard in training; use label/speaker/clip.wav folders, or a CSV manifest "
                "with a speaker column"
            )
    test = _choose(clips, test_speakers, share=5, seed=seed, what="test")
    left = [clip for clip in clips if clip.speaker not in test]
    validation = _choose(left, validation_speakers, share=6, seed=seed + 1, what="validation")
    split = Split(
        protocol=SPEAKER_INDEPENDENT,
        train=tuple(c for c in left if c.speaker not in validation),
        validation=tuple(c for c in left if c.speaker in validation),
        test=tuple(c for c in clips if c.speaker in test),
    )
    if not split.train or not split.validation:
        empty = "training" if not split.train else "validation"
        raise ConfigError(
            f"no speaker is left for {empty}: {len({c.speaker for c in clips})} speaker(s), "
            f"{len(test)} for testing, {len(validation)} for validation; name fewer, or add speakers"
        )
    _refuse_overlap(split)
    return split


def speakers(clips: Iterable[Clip]) -> tuple[str, ...]:
    """Return the speakers of clips, sorted."""
    return tuple(sorted({clip.speaker for clip in clips}))


def _choose(
    clips: Sequence[Clip], names: str | None, share: int, seed: int, what: str
) -> frozenset[str]:
    if names is None:
        return _draw(clips, share, seed)
    if names.strip().lower() == "none":
        return frozenset()
    known = speakers(clips)
    return frozenset(_find(name.strip(), known, what) for name in names.split(",") if name.strip())


def _find(name: str, known: tuple[str, ...], what: str) -> str:
    """Match `1`, `01` or `ravdess/1` to `RAVDESS/01`."""

    def key(speaker: str) -> str:
        return speaker.lower().lstrip("0") or "0"

    wanted_corpus, _, wanted = name.rpartition("/")
    found = [
        speaker
        for speaker in known
        if key(speaker.rpartition("/")[2]) == key(wanted)
        and wanted_corpus.lower() in ("", speaker.rpartition("/")[0].lower())
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"{what} speaker {name!r} stands in several corpora; say which: {', '.join(found)}"
        )
    raise ConfigError(f"there is no {what} speaker {name!r}; to choose from: {', '.join(known)}")


def _draw(clips: Sequence[Clip], share: int, seed: int) -> frozenset[str]:
    """Draw one speaker in `share` from each corpus, genders in turn, so that both are heard."""
    genders: dict[str, dict[str, str]] = defaultdict(dict)
    for clip in clips:
        genders[clip.corpus][clip.speaker] = clip.gender or ""
    drawn: set[str] = set()
    for corpus, members in sorted(genders.items()):
        if len(members) < _MIN_SPEAKERS:
            continue
        rng = random.Random(f"{seed}/{corpus}")  # noqa: S311 (a draw, not a secret)
        pools: dict[str, list[str]] = defaultdict(list)
        for speaker, gender in sorted(members.items()):
            pools[gender].append(speaker)
        queues = [rng.sample(pool, len(pool)) for _, pool in sorted(pools.items())]
        n_wanted = max(min(2, len(members) // 3), round(len(members) / share))
        for turn in range(n_wanted):
            queue = queues[turn % len(queues)] or max(queues, key=len)
            drawn.add(queue.pop())
    return frozenset(drawn)


def _refuse_overlap(split: Split) -> None:
    """Check what the protocol promises, on speakers and on clips with the same audio."""
    parts = {"training": split.train, "validation": split.validation, "test": split.test}
    for attribute in ("speaker", "group"):
        seen: dict[str, str] = {}
        for part, clips in parts.items():
            for clip in clips:
                value = getattr(clip, attribute)
                if seen.setdefault(value, part) != part:
                    raise ConfigError(
                        f"{attribute} {value} stands in {seen[value]} and in {part}: the split is "
                        "not speaker-independent; keep them on one side"
                    )
