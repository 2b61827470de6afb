"""What the figures mean, in words for whoever is new to speech emotion recognition."""

from __future__ import annotations

from collections.abc import Mapping

TERMS: Mapping[str, str] = {
    "WA": (
        "weighted accuracy: right answers / clips. Where one class has most of the clips, always "
        "naming it looks good here."
    ),
    "UAR": (
        "unweighted average recall: the share of right answers within each class, averaged over the "
        "classes, however many clips each has. Guessing gives 1 / number of classes."
    ),
    "recall": "of all clips of a class, the share that the model names so.",
    "95% interval": (
        "with other speakers of the same kind, the figure would mostly lie in it. With fewer than "
        "about ten speakers the true uncertainty is larger still."
    ),
    "confusion": (
        "a row for what was said, a column for what the model heard; percentages are of the row."
    ),
    "ECE": (
        "expected calibration error: clips of similar probability are put together, and that "
        "probability is compared with their share of right answers. 0.10 is off by 10 points on "
        "average. 15 bins, Guo et al. 2017."
    ),
    "Brier, NLL": (
        "two further scores of the probabilities, lower is better; to be sure and wrong costs most in "
        "NLL (negative log likelihood, in nats)."
    ),
    "SNR": (
        "signal-to-noise ratio: how far the noise lies below the speech; at 20 dB it is heard, at "
        "0 dB it is as loud as the speech."
    ),
    "no answer": (
        "silent clips, and clips too short for the model: a device shows nothing. They count as "
        "errors, and have no probability."
    ),
}
"""Figure → meaning."""
