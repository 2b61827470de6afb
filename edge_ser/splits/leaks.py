"""Leak detector: overlaps between the parts of a fold, checked against its protocol."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ser._util.hashing import content_digest
from edge_ser.corpora import Clip, PaperAugmentation
from edge_ser.errors import LeakError
from edge_ser.splits.fold import Fold, Shared
from edge_ser.splits.registry import protocol_of

_N_EXAMPLES = 3

_SAYS = {
    Shared.SPEAKERS: "are of speakers who are in {seen} as well",
    Shared.CLIPS: "are clips that are in {seen} as well",
    Shared.COPIES: "have another copy of the same recording in {seen}",
    Shared.AUDIO: "hold the same audio as a clip of another name in {seen}",
}
_ADVICE = {
    Shared.SPEAKERS: "keep all clips of a speaker on one side",
    Shared.CLIPS: "keep clips with the same audio on one side, under one speaker",
    Shared.COPIES: "make copies of training clips only, after the split",
    Shared.AUDIO: "remove one of the two files, or leave one of the corpora out",
}


@dataclass(frozen=True)
class Overlap:
    """Overlap of one kind between two parts of a fold; all zeros if there is none."""

    kind: str
    """`speakers`, `clips`, `copies` or `audio`; see `Shared`."""
    seen: str
    """Part used to train or to choose the model: `training`, `validation`."""
    held: str
    """Scored part: `validation`, `test`."""
    n: int
    """Speakers, or recordings of the scored part, that are in both parts."""
    n_rows: int
    """Affected rows of the scored part."""
    share: float
    """Affected share of its rows, in [0, 1]."""
    examples: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Description of the overlap."""
        says = _SAYS[Shared(self.kind)].format(seen=self.seen)
        return f"{self.n_rows} {self.held} rows ({self.share:.1%}) {says}"


@dataclass(frozen=True)
class LeakReport:
    """Overlaps in a fold, all of them declared by its protocol."""

    declares: str
    """Statement of the protocol on shared data."""
    overlaps: tuple[Overlap, ...]
    """Overlaps of each kind and each pair of non-empty parts, including empty ones."""

    @property
    def found(self) -> tuple[Overlap, ...]:
        """Overlaps that are not empty."""
        return tuple(overlap for overlap in self.overlaps if overlap.n_rows)

    @property
    def summary(self) -> str:
        """Summary in one line."""
        if not self.found:
            return "no speaker, clip, copy or audio stands on two sides"
        return f"{'; '.join(o.sentence for o in self.found)}. Declared: {self.declares}"


def find_leaks(fold: Fold) -> LeakReport:
    """Compare the parts of a fold: speakers, clips, augmented copies, and content of files.

    Raises:
        CorpusError: a file cannot be read.
    """
    parts = {"training": fold.train, "validation": fold.validation, "test": fold.test}
    pairs = (("training", "validation"), ("training", "test"), ("validation", "test"))
    return LeakReport(
        declares=protocol_of(fold.protocol).declares,
        overlaps=tuple(
            overlap
            for seen, held in pairs
            if parts[seen] and parts[held]
            for overlap in _compare(seen, parts[seen], held, parts[held])
        ),
    )


def refuse_leaks(fold: Fold) -> LeakReport:
    """Return the overlaps of a fold, after checking that the protocol declares all of them.

    Raises:
        LeakError: an undeclared overlap.
        CorpusError: a file cannot be read.
    """
    report = find_leaks(fold)
    allowed = {kind.value for kind in protocol_of(fold.protocol).allows}
    for overlap in report.found:
        if overlap.kind not in allowed:
            raise LeakError(
                f"{overlap.sentence}, which {fold.protocol} does not allow "
                f"({', '.join(overlap.examples)}{', …' if overlap.n > len(overlap.examples) else ''}); "
                f"{_ADVICE[Shared(overlap.kind)]}"
            )
    return report


class _Seen:
    """Index of the speakers, clips, copies and content of a part."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.speakers = {clip.speaker for clip in clips}
        self.copies: dict[Path, set[PaperAugmentation]] = defaultdict(set)
        self.groups: dict[str, set[Path]] = defaultdict(set)
        self.contents: dict[str, dict[tuple[Path, str], Clip]] = defaultdict(dict)
        for clip in clips:
            self.copies[clip.path].add(clip.copy)
            self.groups[clip.group].add(clip.path)
            self.contents[content_digest(clip.path)][clip.path, clip.group] = clip

    def shares(self, clip: Clip) -> Iterator[tuple[Shared, str, str]]:
        """Yield the overlaps of a row of another part: kind, key to count, name to show."""
        name = _name(clip)
        if clip.speaker in self.speakers:
            yield Shared.SPEAKERS, clip.speaker, clip.speaker
        copies = self.copies.get(clip.path, set())
        if clip.copy in copies or self.groups.get(clip.group, set()) - {clip.path}:
            yield Shared.CLIPS, str(clip.path), name
        if copies - {clip.copy}:
            yield Shared.COPIES, str(clip.path), f"{name} ({clip.copy.value})"
        content = content_digest(clip.path)
        # Empty files have the same digest but are not the same recording.
        for other in self.contents.get(content, {}).values() if content else ():
            if other.path != clip.path and other.group != clip.group:
                yield Shared.AUDIO, str(clip.path), f"{name} = {_name(other)}"
                break


def _compare(
    seen: str, seen_clips: Sequence[Clip], held: str, held_clips: Sequence[Clip]
) -> list[Overlap]:
    index = _Seen(seen_clips)
    n_rows: dict[Shared, int] = defaultdict(int)
    things: dict[Shared, dict[str, str]] = defaultdict(dict)
    for clip in held_clips:
        for kind, counted, shown in index.shares(clip):
            n_rows[kind] += 1
            things[kind].setdefault(counted, shown)
    return [
        Overlap(
            kind=kind.value,
            seen=seen,
            held=held,
            n=len(things[kind]),
            n_rows=n_rows[kind],
            share=n_rows[kind] / len(held_clips),
            examples=tuple(sorted(things[kind].values())[:_N_EXAMPLES]),
        )
        for kind in Shared
    ]


def _name(clip: Clip) -> str:
    return f"{clip.corpus}/{clip.path.name}"
