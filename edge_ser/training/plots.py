"""Plots of a training run: learning curves and confusion matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.files import replacing
from edge_ser.metrics import recalls, unweighted_average_recall, weighted_accuracy
from edge_ser.training.trainer import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@contextmanager
def _curves(path: Path) -> Iterator[tuple[Axes, Axes]]:
    """Give the axes for the loss and for the accuracy, and write the PNG at the end."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    yield left, right
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def draw_curves(path: Path, history: Sequence[Epoch]) -> None:
    """Write losses and validation accuracies by epoch as a PNG."""
    with _curves(path) as (left, right):
        epochs = [e.epoch + 1 for e in history]
        left.plot(epochs, [e.train_loss for e in history], label="training (augmented)")
        validated = [e for e in history if e.validation_loss is not None]
        validated_epochs = [e.epoch + 1 for e in validated]
        left.set(xlabel="epoch", ylabel="cross-entropy, nats", title="loss")
        if validated:
            losses = [e.validation_loss for e in validated if e.validation_loss is not None]
            left.plot(
                validated_epochs,
                losses,
                label="validation speakers",
            )
            right.plot(validated_epochs, [_percent(e.uar) for e in validated], label="UAR")
            right.plot(validated_epochs, [_percent(e.wa) for e in validated], label="WA", alpha=0.6)
        best = [e for e in history if e.best][-1]
        right.axvline(
            best.epoch + 1, color="gray", linestyle=":", label=f"kept: epoch {best.epoch + 1}"
        )
        title = (
            "validation speakers" if validated else "no validation speakers: the last epoch is kept"
        )
        right.set(xlabel="epoch", ylabel="%", title=title, xlim=left.get_xlim())


def _percent(share: float | None) -> float:
    return float("nan") if share is None else 100 * share


def draw_paper_curves(
    path: Path, losses: Sequence[float], accuracies: Sequence[float], test_wa: float
) -> None:
    """Write loss and accuracy of a training of the paper's network as a PNG.

    Args:
        path: the file to write.
        losses: cross-entropy of each epoch, in nats.
        accuracies: accuracy of each epoch, in [0, 1].
        test_wa: accuracy on the test rows after the last epoch, in [0, 1].
    """
    with _curves(path) as (left, right):
        epochs = range(1, len(losses) + 1)
        left.plot(epochs, losses, label="training rows, under dropout")
        left.set(xlabel="epoch", ylabel="cross-entropy, nats", title="loss")
        right.plot(
            epochs,
            [100 * accuracy for accuracy in accuracies],
            label="training rows, under dropout",
        )
        right.axhline(
            100 * test_wa, color="gray", linestyle=":", label="test rows, after the last epoch"
        )
        right.set(xlabel="epoch", ylabel="%", title="accuracy", ylim=(0, 102))


def draw_confusion(
    path: Path, counts: NDArray[np.int64], labels: Sequence[str], title: str
) -> None:
    """Write a confusion matrix as a PNG; rows are true classes, in percent."""
    from matplotlib.figure import Figure

    size = 2.2 + 0.62 * len(labels)
    figure = Figure(figsize=(size, size), dpi=120, layout="constrained")
    axes = figure.subplots()
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            axes.text(
                column,
                row,
                f"{100 * shares[row, column]:.0f}",
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.55 else "black",
            )
    names = [f"{label} ({n})" for label, n in zip(labels, totals[:, 0], strict=True)]
    axes.set_yticks(range(len(labels)), names)
    answers = [*labels, "no answer"][: counts.shape[1]]
    axes.set_xticks(range(len(answers)), answers, rotation=40, ha="right")
    axes.set(xlabel="recognised, % of the row", ylabel="intended (clips)")
    wa, uar = weighted_accuracy(counts), unweighted_average_recall(counts)
    axes.set_title(f"{title}\nWA {100 * wa:.1f}%  UAR {100 * uar:.1f}%", fontsize=10)
    missing = int(np.isnan(recalls(counts)).sum())
    if missing:
        axes.annotate(
            f"{missing} class(es) without clips", (0, 0), (0, -60), textcoords="offset points"
        )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
