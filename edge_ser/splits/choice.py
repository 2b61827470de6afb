"""Choice of held-out speakers: named by the user, or drawn such that both genders occur."""

from __future__ import annotations

import dataclasses
import random
from collections import defaultdict
from collections.abc import Sequence

from edge_ser.corpora import Clip, speaker_known
from edge_ser.errors import ConfigError
from edge_ser.splits.fold import Fold, speakers

NONE = "none"
DRAWN = "drawn"

_MIN_SPEAKERS = 3
"""Least number of speakers of a corpus from which some are drawn: one for each part."""


def refuse_unknown(clips: Sequence[Clip]) -> None:
    """Raise a ConfigError for a clip whose speaker is unknown."""
    for clip in clips:
        if not speaker_known(clip):
            raise ConfigError(
                f"the speaker of {clip.path} is not known, so no test on new speakers is possible; use "
                "label/speaker/clip.wav folders, or a CSV manifest with a speaker column"
            )


def named_speakers(clips: Sequence[Clip], names: str, what: str) -> frozenset[str]:
    """Return the speakers that a comma-separated text names; `none` names nobody.

    Args:
        clips: clips of the speakers to choose from.
        names: `1,11` or, with several corpora, `RAVDESS/1`; `RAVDESS/*` names all of a corpus.
        what: the part of the split, for errors.

    Raises:
        ConfigError: a name that matches no speaker, or several.
    """
    if names.strip().lower() == NONE:
        return frozenset()
    known = speakers(clips)
    requested = [name.strip() for name in names.split(",") if name.strip()]
    return frozenset(speaker for name in requested for speaker in _named(name, known, what))


def drawable_corpora(clips: Sequence[Clip]) -> frozenset[str]:
    """Return the corpora with enough speakers to draw some for validation and test."""
    genders = genders_of(clips)
    return frozenset(corpus for corpus, members in genders.items() if len(members) >= _MIN_SPEAKERS)


def drawn_speakers(
    clips: Sequence[Clip], corpora: frozenset[str], share: int, seed: int
) -> frozenset[str]:
    """Draw one speaker in `share` from each corpus, alternating genders."""
    drawn: set[str] = set()
    for corpus, members in sorted(genders_of(clips).items()):
        if corpus not in corpora:
            continue
        rng = random.Random(f"{seed}/{corpus}")  # noqa: S311 (a draw, not a secret)
        queues = shuffled_by_gender(members, rng)
        n_drawn = max(1, min(2, len(members) // 3), round(len(members) / share))
        for turn in range(n_drawn):
            queue = queues[turn % len(queues)] or max(queues, key=len)
            drawn.add(queue.pop())
    return frozenset(drawn)


def with_validation(fold: Fold, names: str, seed: int) -> Fold:
    """Return the fold with some of its training speakers moved to validation.

    Args:
        fold: a fold without validation.
        names: as for `named_speakers`; `drawn` draws a sixth of the training speakers.
        seed: of the draw.

    Raises:
        ConfigError: unknown speakers, or no speaker left for training or for a requested validation.
    """
    wish = names.strip().lower()
    chosen: frozenset[str] = frozenset()
    if wish != NONE:
        refuse_unknown(fold.train)
        if wish == DRAWN:
            chosen = drawn_speakers(fold.train, drawable_corpora(fold.clips), 6, seed + 1)
        else:
            chosen = named_speakers(fold.train, names, "validation")
    train = tuple(clip for clip in fold.train if clip.speaker not in chosen)
    if not train or (wish != NONE and not chosen):
        empty = "training" if not train else "validation"
        raise ConfigError(
            f"no speaker is left for {empty}: {len(speakers(fold.clips))} speaker(s), "
            f"{len(speakers(fold.test))} for testing, {len(chosen)} for validation. A corpus of "
            f"fewer than {_MIN_SPEAKERS} is not drawn from: name them with --validation-speakers and "
            "--test-speakers (none for no test, or for a training without validation, of a fixed "
            "number of epochs), or add speakers"
        )
    validation = tuple(clip for clip in fold.train if clip.speaker in chosen)
    return dataclasses.replace(fold, train=train, validation=validation)


def genders_of(clips: Sequence[Clip]) -> dict[str, dict[str, str]]:
    """Return corpus → speaker → gender; an empty gender if unknown."""
    genders: dict[str, dict[str, str]] = defaultdict(dict)
    for clip in clips:
        genders[clip.corpus][clip.speaker] = clip.gender or ""
    return genders


def shuffled_by_gender(members: dict[str, str], rng: random.Random) -> list[list[str]]:
    """Return the speakers of each gender in random order."""
    pools: dict[str, list[str]] = defaultdict(list)
    for speaker, gender in sorted(members.items()):
        pools[gender].append(speaker)
    return [rng.sample(pool, len(pool)) for _, pool in sorted(pools.items())]


def _named(name: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return the speaker that matches a name, or all speakers of a corpus for `NAME/*`."""
    corpus, slash, members = name.rpartition("/")
    if not (slash and members == "*"):
        return (_find(name, known, what),)
    found = tuple(s for s in known if s.rpartition("/")[0].lower() == corpus.lower())
    if not found:
        names = ", ".join(sorted({speaker.rpartition("/")[0] for speaker in known}))
        raise ConfigError(f"expected a corpus of the {what} speakers in {name!r}, one of {names}")
    return found


def _find(name: str, known: tuple[str, ...], what: str) -> str:
    """Match `1`, `01` or `ravdess/1` to `RAVDESS/01`; an exact name takes precedence."""

    def key(speaker: str) -> str:
        return speaker.lower().lstrip("0") or "0"

    if name in known:
        return name
    corpus, _, requested = name.rpartition("/")
    found = [
        speaker
        for speaker in known
        if key(speaker.rpartition("/")[2]) == key(requested)
        and corpus.lower() in ("", speaker.rpartition("/")[0].lower())
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"{what} speaker {name!r} fits several, in several corpora or spellings; "
            f"say which: {', '.join(found)}"
        )
    raise ConfigError(f"there is no {what} speaker {name!r}; to choose from: {', '.join(known)}")
