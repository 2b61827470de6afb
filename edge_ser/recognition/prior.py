"""Prior of the classes: the frequency of each emotion at a site relative to training.

A ratio multiplies the prior odds of a class: the probabilities p of a window become proportional to p
times the ratio (Saerens, Latinne and Decaestecker 2002, Neural Computation 14(1)).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import ConfigError

Float64 = NDArray[np.float64]

NONE = "none"
"""Text for no change."""

FEWEST_CLIPS = 30
"""Smallest number of clips for a useful estimate."""
_PSEUDO_CLIPS = 1.0
"""Clips added to each class, so that no class becomes impossible."""
_ITERATIONS = 2_000
_TOLERANCE = 1e-7
_MOST_SHARE, _LEAST_SHARE = 0.95, 0.005
"""Shares beyond these limits reflect errors of the model more than the site."""
_DIGITS = 3
_EXAMPLE_RATIOS = (3, 0.5)


@dataclass(frozen=True)
class PriorEstimate:
    """Estimated shares of the classes in unlabelled recordings, and the ratios that follow."""

    n_clips: int
    shares: Mapping[str, float]
    """Estimated share of each class, by label; sums to 1."""
    ratios: Mapping[str, float]
    """Ratio of each share to that in training, by label, for `check_prior`."""
    caveats: tuple[str, ...]
    """Reasons why the estimate may be wrong; empty if there are none."""

    @property
    def text(self) -> str:
        """Ratios in the format of `--prior`."""
        return ",".join(f"{label}={ratio:g}" for label, ratio in self.ratios.items())


def check_prior(prior: Mapping[str, float], labels: Sequence[str]) -> dict[str, float]:
    """Return ratios by label as floats, in the order of `labels`; missing labels have the ratio 1.

    Raises:
        ConfigError: an unknown label, or a ratio that is not positive and finite.
    """
    if unknown := [label for label in prior if label not in labels]:
        raise ConfigError(
            f"expected a prior of the model's labels ({', '.join(labels)}), got {unknown[0]!r}; "
            f"for example {_example(labels)}"
        )
    for label, ratio in prior.items():
        if not (isinstance(ratio, (int, float)) and 0 < ratio < math.inf):
            raise ConfigError(
                f"expected a ratio above 0 for {label}, got {ratio!r}; for example {_example(labels)}"
            )
    return {label: float(prior[label]) for label in labels if label in prior}


def parse_prior(text: str, labels: Sequence[str]) -> dict[str, float]:
    """Parse ratios such as `neutral=3,sad=0.5` into ratios by label; empty for `none`.

    Raises:
        ConfigError: invalid syntax, a repeated label, or ratios that `check_prior` rejects.
    """
    if text.strip() == NONE:
        return {}
    prior: dict[str, float] = {}
    for part in text.split(","):
        label, equals, ratio = (piece.strip() for piece in part.partition("="))
        try:
            value = float(ratio)
        except ValueError:
            value = math.nan
        if not equals or not label or math.isnan(value) or label in prior:
            raise ConfigError(
                f"expected LABEL=RATIO,... with each label once, or none, got {text!r}; "
                f"for example {_example(labels)}"
            )
        prior[label] = value
    return check_prior(prior, labels)


def log_ratios(prior: Mapping[str, float], labels: Sequence[str]) -> Float64:
    """Return the log ratios [n_classes] to add to logits for a prior."""
    return np.log([prior.get(label, 1.0) for label in labels])


def estimate_prior(
    clips: Float64 | Sequence[Sequence[float]],
    labels: Sequence[str],
    training: Sequence[float] | None = None,
) -> PriorEstimate:
    """Estimate the shares of the classes from probabilities of unlabelled clips, by EM.

    Args:
        clips: probabilities [n_clips, n_classes], of a model without a prior.
        labels: labels of the classes.
        training: shares of the classes in training; None for equal ones.

    Raises:
        ConfigError: no clips, or mismatched shapes.
    """
    probs = np.asarray(clips, dtype=np.float64)
    if probs.ndim != 2 or probs.shape[0] == 0 or probs.shape[1] != len(labels):
        raise ConfigError(
            f"expected probabilities [n_clips, {len(labels)}], at least one clip, got "
            f"{list(probs.shape)}; name recordings that hold speech"
        )
    n_clips, n_classes = probs.shape
    before = np.full(n_classes, 1 / n_classes) if training is None else np.asarray(training)
    shares, settled = before.copy(), False
    for _ in range(_ITERATIONS):
        joint = probs * (shares / before)
        posterior = joint / joint.sum(axis=1, keepdims=True)
        new = (posterior.sum(axis=0) + _PSEUDO_CLIPS) / (n_clips + n_classes * _PSEUDO_CLIPS)
        settled = bool(np.abs(new - shares).max() < _TOLERANCE)
        shares = new
        if settled:
            break
    ratios = {
        label: float(f"{ratio:.{_DIGITS}g}")
        for label, ratio in zip(labels, shares / before, strict=True)
    }
    named = dict(zip(labels, shares.tolist(), strict=True))
    return PriorEstimate(n_clips, named, ratios, _caveats(n_clips, named, settled))


def _caveats(n_clips: int, shares: Mapping[str, float], settled: bool) -> tuple[str, ...]:
    caveats = []
    if n_clips < FEWEST_CLIPS:
        caveats.append(
            f"{n_clips} clips are few: expect shares to move with every clip below {FEWEST_CLIPS}"
        )
    top = max(shares, key=shares.__getitem__)
    if shares[top] > _MOST_SHARE:
        caveats.append(
            f"{top} takes {shares[top]:.0%}: a model that errs towards it gives the same, listen to "
            "some clips before using this"
        )
    if faint := [label for label, share in shares.items() if share < _LEAST_SHARE]:
        caveats.append(f"{', '.join(faint)} would hardly be recognised any more")
    if not settled:
        caveats.append("the estimate had not settled; take more clips")
    return tuple(caveats)


def _example(labels: Sequence[str]) -> str:
    ratios = zip(labels, _EXAMPLE_RATIOS, strict=False)
    return "--prior " + ",".join(f"{label}={ratio:g}" for label, ratio in ratios)
