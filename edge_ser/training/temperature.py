"""Probabilities that mean what they say: a temperature, and below what an answer is better not taken.

Both are fitted on the validation clips: of the training clips a network is always too sure.
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
    """Fitted temperature and threshold, and the number of clips they were fitted on."""

    temperature: float = 1.0
    """Divisor of the logits."""
    abstain_below: float = 0.0
    """Probability of the label below which an answer is better not taken."""
    n_clips: int = 0
    """Validation clips that this was fitted on; 0 where there were none, and nothing was."""
    ece_before: float = 0.0
    """Expected calibration error on them without the temperature."""
    ece_after: float = 0.0
    """With it; of the very clips that it was fitted on, so expect a little more on others."""

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

    See `scores.fit_temperature` and `scores.fit_threshold`.

    Args:
        scores: with temperature 1. Silent clips are left out: there is no answer to calibrate.
    """
    audible = [place for place, own in enumerate(scores.logits) if len(own)]
    if not audible:
        return Calibration()
    own = Scores(tuple(scores.logits[place] for place in audible), scores.truth[audible])
    temperature = fit_temperature(own)
    fitted = dataclasses.replace(own, temperature=temperature)
    return Calibration(
        temperature=round(temperature, 4),
        abstain_below=fit_threshold(fitted),
        n_clips=len(audible),
        ece_before=own.ece,
        ece_after=fitted.ece,
    )
