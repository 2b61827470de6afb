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
    "precision": (
        "of all clips that the model names so, the share that is right. A label with a low precision "
        "is called too often: calls for each clip are above 1×."
    ),
    "answered": (
        "clips with a label of at least the probability that the model's card advises; below it a "
        "device gives no label."
    ),
    "confident errors": "answers that are wrong although their probability is high.",
    "AUC": (
        "area under the ROC: how often a clip of high arousal (angry, happy, fearful, surprised) gets "
        "more of these labels' probability than one of low arousal does. 0.5 is chance, 1 a perfect "
        "order."
    ),
    "95% interval": (
        "with other speakers of the same kind, the figure would mostly lie in it. With fewer than "
        "about ten speakers the true uncertainty is larger still, and larger again where clips are "
        "drawn because nobody knows who speaks."
    ),
    "confusion": (
        "a row for each true class, a column for each class that was called; percentages are of the "
        "row."
    ),
    "ECE": (
        "expected calibration error: clips of similar probability are put together, and that "
        "probability is compared with their share of right answers. 0.10 is off by 10 points on "
        "average. 15 bins, Guo et al. 2017. Few clips make it too large; its interval takes that off, "
        "and begins at 0 where a model with true probabilities would do no better."
    ),
    "Brier, NLL": (
        "two further scores of the probabilities, lower is better; to be sure and wrong costs most in "
        "NLL (negative log likelihood, in nats)."
    ),
    "SNR": (
        "signal-to-noise ratio: how far the noise lies below the speech; at 20 dB it is audible, at "
        "0 dB it is as loud as the speech."
    ),
    "no answer": (
        "silent clips, clips too short for the model and, with the voice detector, clips without "
        "speech: a device shows nothing. They count as errors, and have no probability."
    ),
}
"""Figure → meaning."""
