"""Plots of a training of the paper's network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_ser._util.files import replacing
from edge_ser.training.baselines.paper.trainer import PaperEpoch


def draw_curves(path: Path, history: Sequence[PaperEpoch], test_wa: float) -> None:
    """Write loss and accuracy of the training rows by epoch as a PNG.

    Args:
        path: the file to write.
        history: all epochs.
        test_wa: accuracy on the test rows after the last epoch, in [0, 1].
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [e.epoch + 1 for e in history]
    left.plot(epochs, [e.loss for e in history], label="training rows, under dropout")
    left.set(xlabel="epoch", ylabel="cross-entropy, nats", title="loss")
    right.plot(epochs, [100 * e.accuracy for e in history], label="training rows, under dropout")
    right.axhline(
        100 * test_wa, color="gray", linestyle=":", label="test rows, after the last epoch"
    )
    right.set(xlabel="epoch", ylabel="%", title="accuracy", ylim=(0, 102))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
