"""Probabilities that mean what they say: a temperature, and below what an answer is better not taken.

Both are fitted on the validation clips: of the training clips a network is always too sure.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_ser.errors import ConfigError, TrainingError
from edge_ser.files import write_text
from edge_ser.measure.results import read_json
from edge_ser.metrics import expected_calibration_error, log_losses
from edge_ser.records import build, require
from edge_ser.training.scoring import Scores

CALIBRATION_FILE = "calibration.json"

RIGHT_ANSWERS = 0.8
"""Share of the answers that should be right, of those that are taken."""

LEAST_COVERAGE = 0.5
"""Share of the clips that is answered at least, however many of the answers are wrong."""

_TEMPERATURES = (0.2, 5.0)
_THRESHOLDS = np.arange(0, 1, 0.01)


@dataclass(frozen=True)
class Calibration:
    """What was fitted, and on how much."""

    temperature: float = 1.0
    """What logits are to be divided by."""
    abstain_below: float = 0.0
    """Probability of the label below which an answer is better not taken."""
    n_clips: int = 0
    """Validation clips that this was fitted on; 0 where there were none, and nothing was."""
    ece_before: float = 0.0
    """Expected calibration error on them without the temperature."""
    ece_after: float = 0.0
    """With it; of the very clips that it was fitted on, so expect a little more on others."""

    def __post_init__(self) -> None:
        low, high = _TEMPERATURES
        require(
            low <= self.temperature <= high, "temperature", self.temperature, f"{low} to {high}"
        )
        require(0 <= self.abstain_below < 1, "abstain_below", self.abstain_below, "in [0, 1)")

    def save(self, run: Path) -> None:
        """Write `calibration.json` into a run directory."""
        write_text(run / CALIBRATION_FILE, json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, run: Path) -> Calibration:
        """Read it.

        Raises:
            TrainingError: it is not there, or damaged.
        """
        path = run / CALIBRATION_FILE
        try:
            return build(cls, read_json(path), str(path))
        except ConfigError as error:
            raise TrainingError(
                f"{path} cannot be used ({error}); edge-ser train --resume --out {run} writes it anew"
            ) from None


def calibrate(scores: Scores) -> Calibration:
    """Fit both on clips that the network was not trained on.

    The temperature has the least mean negative log likelihood of the clips (Guo et al. 2017, arXiv
    1706.04599); it is the same for each window of a clip. The threshold is then the least at which
    `RIGHT_ANSWERS` of the answers are right, or that leaves `LEAST_COVERAGE` of the clips an answer.

    Args:
        scores: with temperature 1. Silent clips are left out: there is no answer to calibrate.
    """
    heard = [place for place, own in enumerate(scores.logits) if len(own)]
    if not heard:
        return Calibration()
    own = Scores(tuple(scores.logits[place] for place in heard), scores.truth[heard])
    temperature = _fit_temperature(own)
    fitted = dataclasses.replace(own, temperature=temperature)
    return Calibration(
        temperature=round(temperature, 4),
        abstain_below=_fit_threshold(fitted),
        n_clips=len(heard),
        ece_before=_ece(own),
        ece_after=_ece(fitted),
    )


def _fit_temperature(scores: Scores) -> float:
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        at = dataclasses.replace(scores, temperature=math.exp(log_temperature))
        return float(log_losses(at.probs, at.truth).mean())

    bounds = tuple(math.log(t) for t in _TEMPERATURES)
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def _fit_threshold(scores: Scores) -> float:
    confidence, correct = scores.probs.max(axis=1), scores.predicted == scores.truth
    found = 0.0
    for threshold in _THRESHOLDS:
        kept = confidence >= threshold
        if kept.mean() < LEAST_COVERAGE:
            break
        found = float(threshold)
        if correct[kept].mean() >= RIGHT_ANSWERS:
            break
    return round(found, 2)


def _ece(scores: Scores) -> float:
    return expected_calibration_error(scores.probs.max(axis=1), scores.predicted == scores.truth)
