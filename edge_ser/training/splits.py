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
    test_speakers: str | frozenset[str] | None = None,
    validation_speakers: str | frozenset[str] | None = None,
) -> Split:
    """Split clips so that no speaker stands on two sides.

    Args:
        clips: all clips.
        seed: decides which speakers are drawn where none are named.
        test_speakers: comma-separated speakers (`1,11` or, with several corpora, `RAVDESS/1`);
            `none` for no test set; a set of exact names; None draws a fifth of each corpus'
            speakers, where there are three or more.
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
    drawable = frozenset(
        corpus for corpus, members in _members(clips).items() if len(members) >= _MIN_SPEAKERS
    )
    test = _choose(clips, test_speakers, "test")
    if test is None:
        test = _draw(clips, drawable, share=5, seed=seed)
    left = [clip for clip in clips if clip.speaker not in test]
    validation = _choose(left, validation_speakers, "validation")
    if validation is None:
        validation = _draw(left, drawable, share=6, seed=seed + 1)
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
            f"{len(test)} for testing, {len(validation)} for validation. A corpus of fewer than "
            f"{_MIN_SPEAKERS} is not drawn from: say who with --validation-speakers and --test-speakers "
            "(or --test-speakers none), or add speakers"
        )
    _refuse_overlap(split)
    return split


def speakers(clips: Iterable[Clip]) -> tuple[str, ...]:
    """Return the speakers of clips, sorted."""
    return tuple(sorted({clip.speaker for clip in clips}))


def _choose(
    clips: Sequence[Clip], names: str | frozenset[str] | None, what: str
) -> frozenset[str] | None:
    """Return the speakers that are named, None where the choice is left open."""
    known = speakers(clips)
    if names is None:
        return None
    if isinstance(names, frozenset):
        if unknown := sorted(names.difference(known)):
            raise ConfigError(f"there is no {what} speaker {', '.join(unknown)}")
        return names
    if names.strip().lower() == "none":
        return frozenset()
    return frozenset(_find(name.strip(), known, what) for name in names.split(",") if name.strip())


def _find(name: str, known: tuple[str, ...], what: str) -> str:
    """Match `1`, `01` or `ravdess/1` to `RAVDESS/01`; an exact name wins over other spellings."""

    def key(speaker: str) -> str:
        return speaker.lower().lstrip("0") or "0"

    if name in known:
        return name
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
            f"{what} speaker {name!r} fits several, in several corpora or spellings; "
            f"say which: {', '.join(found)}"
        )
    raise ConfigError(f"there is no {what} speaker {name!r}; to choose from: {', '.join(known)}")


def _members(clips: Sequence[Clip]) -> dict[str, dict[str, str]]:
    """Return the gender of each speaker, by corpus; an empty one where it is not known."""
    genders: dict[str, dict[str, str]] = defaultdict(dict)
    for clip in clips:
        genders[clip.corpus][clip.speaker] = clip.gender or ""
    return genders


def _draw(clips: Sequence[Clip], corpora: frozenset[str], share: int, seed: int) -> frozenset[str]:
    """Draw one speaker in `share` from each corpus, genders in turn, so that both are heard."""
    drawn: set[str] = set()
    for corpus, members in sorted(_members(clips).items()):
        if corpus not in corpora:
            continue
        rng = random.Random(f"{seed}/{corpus}")  # noqa: S311 (a draw, not a secret)
        pools: dict[str, list[str]] = defaultdict(list)
        for speaker, gender in sorted(members.items()):
            pools[gender].append(speaker)
        queues = [rng.sample(pool, len(pool)) for _, pool in sorted(pools.items())]
        n_wanted = max(1, min(2, len(members) // 3), round(len(members) / share))
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
