"""Least and most that a measurement must reach, for CI and for the choice of a model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edge_ser.corpora import Clip
from edge_ser.errors import ConfigError
from edge_ser.evaluation.distribution import NEUTRAL, NO_SPEECH
from edge_ser.evaluation.report import Evaluation


@dataclass(frozen=True)
class Gates:
    """Bounds in percent; None for a bound that does not apply."""

    min_uar: float | None = None
    """UAR of each block, at least."""
    min_neutral: float | None = None
    """Share of neutral or abstained in each neutral corpus, at least."""
    max_false: float | None = None
    """Share of confidently something else in each neutral corpus, at most."""
    max_noise_labels: float | None = None
    """Share of files without speech that get any label, in each folder, at most."""

    def check_data(self, labelled: Collection[Clip], plain: Collection[Clip]) -> None:
        """Check, before anything is measured, that each bound has something to bound.

        Raises:
            ConfigError: a bound without its speech.
        """
        kinds = {clip.emotion for clip in plain}
        for option, bound, there, remedy in (
            ("--min-uar", self.min_uar, bool(labelled), "labelled speech by --corpus NAME=DIR"),
            ("--min-neutral", self.min_neutral, NEUTRAL in kinds, _NEUTRAL),
            ("--max-false", self.max_false, NEUTRAL in kinds, _NEUTRAL),
            ("--max-noise-labels", self.max_noise_labels, NO_SPEECH in kinds, "--noise-only DIR"),
        ):
            if bound is not None and not there:
                raise ConfigError(f"{option} expected {remedy}, got none; add it")

    def failures(self, evaluation: Evaluation) -> tuple[str, ...]:
        """Return what does not reach its bound, a line each; empty when all does."""
        return (*self._blocks(evaluation), *self._distributions(evaluation))

    def _blocks(self, evaluation: Evaluation) -> list[str]:
        bound = self.min_uar
        return [
            f"expected a UAR of {bound:g}% or more, got {100 * block.overall.uar.value:.1f}% "
            f"({block.scope})"
            for block in evaluation.blocks
            if bound is not None and 100 * block.overall.uar.value < bound
        ]

    def _distributions(self, evaluation: Evaluation) -> list[str]:
        found = []
        for d in evaluation.distributions:
            neutral, other = 100 * d.expected_or_abstained.value, 100 * d.something_else.value
            labels = 100 * d.any_label.value
            if d.kind == NEUTRAL and self.min_neutral is not None and neutral < self.min_neutral:
                found.append(
                    f"expected {self.min_neutral:g}% or more neutral or abstained, got "
                    f"{neutral:.1f}% ({d.of})"
                )
            if d.kind == NEUTRAL and self.max_false is not None and other > self.max_false:
                found.append(
                    f"expected {self.max_false:g}% or less of something else, got {other:.1f}% ({d.of})"
                )
            bound = self.max_noise_labels
            if d.kind == NO_SPEECH and bound is not None and labels > bound:
                found.append(
                    f"expected a label for {bound:g}% or less of the files without speech, got "
                    f"{labels:.1f}% ({d.of})"
                )
        return found


_NEUTRAL = "a neutral corpus by --corpus neutral:NAME=DIR"
