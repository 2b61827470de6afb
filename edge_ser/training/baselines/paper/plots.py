"""The curves of a training of the paper's network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_ser.training.baselines.paper.trainer import PaperEpoch
from edge_ser.training.plots import curves


def draw_curves(path: Path, history: Sequence[PaperEpoch], test_wa: float) -> None:
    """Write loss and accuracy of the training rows by epoch as a PNG.

    Args:
        path: the file.
        history: all epochs.
        test_wa: accuracy of the test rows after the last one, in [0, 1].
    """
    epochs, label = [e.epoch + 1 for e in history], "training rows, under dropout"
    with curves(path) as (left, right):
        left.plot(epochs, [e.loss for e in history], label=label)
        left.set(xlabel="epoch", ylabel="cross-entropy, nats", title="loss")
        right.plot(epochs, [100 * e.accuracy for e in history], label=label)
        right.axhline(
            100 * test_wa, color="gray", linestyle=":", label="test rows, after the last epoch"
        )
        right.set(xlabel="epoch", ylabel="%", title="accuracy", ylim=(0, 102))
