"""The protocols by name, what each declares to share, and the folds that they make."""

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
    """How clips are divided: what the command line is told, and what a run's record keeps."""

    protocol: str = SPEAKER_INDEPENDENT
    """A key of `PROTOCOLS`."""
    folds: str = ""
    """`drawn`, `leave-one-speaker-out` or how many; empty: the protocol's own way."""
    fold: str = ""
    """Name of the fold, which may be a number; may be empty where there is only one."""
    test_speakers: str = ""
    """As for `named_speakers`; empty: drawn. Only for `drawn` folds."""
    validation_speakers: str = ""
    """As for `with_validation`; empty: the protocol's own way."""


@dataclass(frozen=True)
class Protocol:
    """A named way to divide clips."""

    name: str
    declares: str
    """One sentence on what stands on both sides of its folds."""
    allows: frozenset[Shared]
    """What may stand on both sides; anything else that does is a leak."""
    validation: str
    """Which training speakers are kept for validation unless others are named."""
    split: Callable[[Sequence[Clip], SplitConfig, int], tuple[Fold, ...]]
    """(clips, options, seed) → folds, without validation."""


def make_folds(
    clips: Sequence[Clip], options: SplitConfig | None = None, seed: int = 0
) -> tuple[Fold, ...]:
    """Return all folds of a protocol, validation speakers kept out of their training.

    Clips that are neutral by intent stand in the training of each fold and nowhere else; clips
    without a label stand nowhere.

    Args:
        clips: what to divide, original recordings.
        options: the protocol and its choices; `fold` is not looked at.
        seed: decides what is drawn.

    Raises:
        ConfigError: a protocol that does not exist, or one that cannot divide these clips so.
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


def choose_fold(folds: Sequence[Fold], wanted: str) -> Fold:
    """Return the fold of that name; what a name ends in will do: `TESS`, `03`.

    Raises:
        ConfigError: no such fold, or none named where there are several.
    """
    if not wanted and len(folds) == 1:
        return folds[0]
    for fits in (_is_name, _is_end):
        found = [fold for fold in folds if fits(wanted, fold.name)]
        if len(found) == 1:
            return found[0]
    names = ", ".join(fold.name for fold in folds)
    problem = f"there is no fold {wanted!r}" if wanted else "no --fold came"
    raise ConfigError(f"{problem}; {folds[0].protocol} has {len(folds)} here: {names}")


def protocol_of(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"there is no protocol {name!r}; to choose from: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _is_name(wanted: str, name: str) -> bool:
    return wanted == name


def _is_end(wanted: str, name: str) -> bool:
    """Return whether `3` or `tess` is what a name like `EMO-DB/03` or `EMO-DB to TESS` ends in."""
    end = name.rpartition("/")[2].rpartition(" to ")[2]
    return wanted.casefold().lstrip("0") == end.casefold().lstrip("0") != ""


def _speaker_independent(
    clips: Sequence[Clip], options: SplitConfig, seed: int
) -> tuple[Fold, ...]:
    if options.folds in ("", DRAWN):
        return held_out_speakers(clips, seed, options.test_speakers)
    if options.folds == LEAVE_ONE_SPEAKER_OUT:
        return leave_one_speaker_out(clips)
    wanted = f"{DRAWN}, {LEAVE_ONE_SPEAKER_OUT} or a number"
    return speaker_folds(clips, _count(options.folds, wanted), seed)


def _clip_grouped(clips: Sequence[Clip], options: SplitConfig, seed: int) -> tuple[Fold, ...]:
    return clip_grouped(clips, _count(options.folds or _DEFAULT_FOLDS, "a number"), seed)


def _without_choice(
    split: Callable[[Sequence[Clip]], tuple[Fold, ...]],
) -> Callable[[Sequence[Clip], SplitConfig, int], tuple[Fold, ...]]:
    """Return the splitter of a protocol whose folds are given."""

    def refuse_choice(clips: Sequence[Clip], options: SplitConfig, _seed: int) -> tuple[Fold, ...]:
        if options.folds:
            raise ConfigError(
                f"--folds {options.folds} came, the folds of {options.protocol} are given; "
                "leave --folds out"
            )
        return split(clips)

    return refuse_choice


def _count(text: str, wanted: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"--folds is {text!r}, wanted: {wanted}")
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
"""Name → protocol, the default first."""
