"""Registry of split protocols by name, with the overlaps that each declares."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge_ser.corpora import Clip, Role, is_background
from edge_ser.errors import ConfigError
from edge_ser.splits.choice import DRAWN, NONE, with_validation
from edge_ser.splits.fold import Fold, Shared
from edge_ser.splits.other import (
    CLIP_GROUPED,
    CROSS_CORPUS,
    EMOBOX,
    PAPER,
    clip_grouped,
    cross_corpus,
    emobox_folds,
    paper_split,
)
from edge_ser.splits.speaker_independent import (
    SPEAKER_INDEPENDENT,
    held_out_speakers,
    leave_one_speaker_out,
    speaker_folds,
)

LEAVE_ONE_SPEAKER_OUT = "leave-one-speaker-out"
_DEFAULT_FOLDS = "5"


@dataclass(frozen=True)
class SplitConfig:
    """Configuration of a split, from the command line and in the record of a run."""

    protocol: str = SPEAKER_INDEPENDENT
    """Key of `PROTOCOLS`."""
    folds: str = ""
    """`drawn`, `leave-one-speaker-out` or a number of folds; empty for the protocol's default."""
    fold: str = ""
    """Name of the fold, which may be a number; may be empty if there is only one."""
    test_speakers: str = ""
    """As for `named_speakers`; empty for drawn speakers. Only for `drawn` folds."""
    validation_speakers: str = ""
    """As for `with_validation`; empty for the protocol's default."""


@dataclass(frozen=True)
class Protocol:
    """Named method to split clips."""

    name: str
    declares: str
    """Statement on the overlaps of its folds, in one sentence."""
    allows: frozenset[Shared]
    """Declared overlaps; any other overlap is a leak."""
    validation: str
    """Default choice of the training speakers that are moved to validation."""
    split: Callable[[Sequence[Clip], SplitConfig, int], tuple[Fold, ...]]
    """(clips, options, seed) → folds, without validation."""


def make_folds(
    clips: Sequence[Clip], options: SplitConfig | None = None, seed: int = 0
) -> tuple[Fold, ...]:
    """Return all folds of a protocol, with validation speakers removed from training.

    Clips that are neutral by intent are in the training part of each fold only; clips without a label
    are in no part.

    Args:
        clips: original recordings.
        options: the protocol and its options; `fold` is ignored.
        seed: of all draws.

    Raises:
        ConfigError: an unknown protocol, or one that cannot split these clips.
    """
    options = options or SplitConfig()
    protocol = protocol_of(options.protocol)
    drawn = protocol.name == SPEAKER_INDEPENDENT and options.folds in ("", DRAWN)
    if options.test_speakers and not drawn:
        raise ConfigError(
            "--test-speakers is for drawn speaker-independent folds; here the folds say who is "
            "tested, and --fold which of them"
        )
    validation = options.validation_speakers or protocol.validation
    divided = [clip for clip in clips if clip.role is Role.LABELLED]
    background = tuple(clip for clip in clips if is_background(clip))
    if background and not divided:
        raise ConfigError(
            "every clip is neutral by intent, expected a corpus to test on as well; add one with labels"
        )
    folds = protocol.split(divided, options, seed)
    return tuple(
        _with_background(with_validation(fold, validation, seed), background) for fold in folds
    )


def _with_background(fold: Fold, background: tuple[Clip, ...]) -> Fold:
    """Return the fold with clips added to its training."""
    return dataclasses.replace(fold, train=fold.train + background) if background else fold


def choose_fold(folds: Sequence[Fold], requested: str) -> Fold:
    """Return the fold of a name, or of the end of a name: `TESS`, `03`.

    Raises:
        ConfigError: no such fold, or no name although there are several.
    """
    if not requested and len(folds) == 1:
        return folds[0]
    for fits in (_is_name, _is_end):
        found = [fold for fold in folds if fits(requested, fold.name)]
        if len(found) == 1:
            return found[0]
    names = ", ".join(fold.name for fold in folds)
    problem = f"there is no fold {requested!r}" if requested else "no --fold is given"
    raise ConfigError(f"{problem}; {folds[0].protocol} has {len(folds)} here: {names}")


def protocol_of(name: str) -> Protocol:
    """Return the protocol of a name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"there is no protocol {name!r}; to choose from: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _is_name(requested: str, name: str) -> bool:
    return requested == name


def _is_end(requested: str, name: str) -> bool:
    """Return whether `3` or `tess` is the end of a name like `EMO-DB/03` or `EMO-DB to TESS`."""
    end = name.rpartition("/")[2].rpartition(" to ")[2]
    return requested.casefold().lstrip("0") == end.casefold().lstrip("0") != ""


def _speaker_independent(
    clips: Sequence[Clip], options: SplitConfig, seed: int
) -> tuple[Fold, ...]:
    if options.folds in ("", DRAWN):
        return held_out_speakers(clips, seed, options.test_speakers)
    if options.folds == LEAVE_ONE_SPEAKER_OUT:
        return leave_one_speaker_out(clips)
    expected = f"{DRAWN}, {LEAVE_ONE_SPEAKER_OUT} or a number"
    return speaker_folds(clips, _count(options.folds, expected), seed)


def _clip_grouped(clips: Sequence[Clip], options: SplitConfig, seed: int) -> tuple[Fold, ...]:
    return clip_grouped(clips, _count(options.folds or _DEFAULT_FOLDS, "a number"), seed)


def _without_choice(
    split: Callable[[Sequence[Clip]], tuple[Fold, ...]],
) -> Callable[[Sequence[Clip], SplitConfig, int], tuple[Fold, ...]]:
    """Return the splitter of a protocol with fixed folds."""

    def refuse_choice(clips: Sequence[Clip], options: SplitConfig, _seed: int) -> tuple[Fold, ...]:
        if options.folds:
            raise ConfigError(
                f"the folds of {options.protocol} are fixed, got --folds {options.folds}; "
                "leave --folds out"
            )
        return split(clips)

    return refuse_choice


def _count(text: str, expected: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"--folds is {text!r}, expected {expected}")
    return int(text)


_NOTHING: frozenset[Shared] = frozenset()

PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            SPEAKER_INDEPENDENT,
            "nothing is shared: no speaker of the test is heard in training",
            _NOTHING,
            DRAWN,
            _speaker_independent,
        ),
        Protocol(
            EMOBOX,
            "nothing is shared: EmoBox's published folds, whole speakers on one side",
            _NOTHING,
            DRAWN,
            _without_choice(emobox_folds),
        ),
        Protocol(
            CLIP_GROUPED,
            "speakers of the test are heard in training, its clips are not",
            frozenset({Shared.SPEAKERS}),
            NONE,
            _clip_grouped,
        ),
        Protocol(
            PAPER,
            "augmented copies of test clips are in training",
            frozenset({Shared.SPEAKERS, Shared.CLIPS, Shared.COPIES}),
            NONE,
            _without_choice(paper_split),
        ),
        Protocol(
            CROSS_CORPUS,
            "nothing is shared: the test is a corpus that is not heard in training",
            _NOTHING,
            DRAWN,
            _without_choice(cross_corpus),
        ),
    )
}
"""Name → protocol, with the default first."""
