"""Calibration of probabilities: a softmax temperature and an abstention threshold.

Both are fitted on the validation clips, because a network is overconfident on its training clips.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from edge_ser._util.files import read_json, write_text
from edge_ser._util.records import build, require
from edge_ser.errors import ConfigError, TrainingError
from edge_ser.scores import TEMPERATURES, Scores, fit_temperature, fit_threshold

CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True)
class Calibration:
    """Fitted temperature and threshold, with the number of clips and the calibration error."""

    temperature: float = 1.0
    """Divisor of the logits."""
    abstain_below: float = 0.0
    """Threshold on the probability of the label; predictions below it should be discarded."""
    n_clips: int = 0
    """Number of validation clips used for the fit; 0 if nothing was fitted."""
    ece_before: float = 0.0
    """Expected calibration error on these clips at temperature 1."""
    ece_after: float = 0.0
    """Expected calibration error on the same clips at the fitted temperature; slightly optimistic."""

    def __post_init__(self) -> None:
        low, high = TEMPERATURES
        require(
            low <= self.temperature <= high, "temperature", self.temperature, f"{low} to {high}"
        )
        require(0 <= self.abstain_below < 1, "abstain_below", self.abstain_below, "in [0, 1)")

    def save(self, run: Path) -> None:
        """Write `calibration.json` into a run directory."""
        write_text(run / CALIBRATION_FILE, json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, run: Path) -> Calibration:
        """Read `calibration.json` of a run directory.

        Raises:
            TrainingError: the file is missing or damaged.
        """
        path = run / CALIBRATION_FILE
        try:
            return build(cls, read_json(path), str(path))
        except ConfigError as error:
            raise TrainingError(
                f"{path} cannot be used ({error}); edge-ser train --resume --out {run} writes it anew"
            ) from None


def calibrate(scores: Scores) -> Calibration:
    """Return temperature and threshold fitted on clips that the network was not trained on.

    See `scores.fit_temperature` and `scores.fit_threshold`.

    Args:
        scores: scores with temperature 1. Silent clips, which have no prediction, are ignored.
    """
    indices = [index for index, logits in enumerate(scores.logits) if len(logits)]
    if not indices:
        return Calibration()
    predicted = Scores(tuple(scores.logits[index] for index in indices), scores.truth[indices])
    temperature = fit_temperature(predicted)
    fitted = dataclasses.replace(predicted, temperature=temperature)
    return Calibration(
        temperature=round(temperature, 4),
        abstain_below=fit_threshold(fitted),
        n_clips=len(indices),
        ece_before=predicted.ece,
        ece_after=fitted.ece,
    )
