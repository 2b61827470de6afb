"""Fit a linear head to new clips, regularised towards the old head.

Multinomial logistic regression with a Gaussian prior around the old head (maximum a posteriori). The
problem is convex; it is solved by Newton-CG (Nocedal & Wright 2006, algorithm 7.1), in NumPy: a device
has neither scipy nor torch.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.hashing import content_digest
from edge_ser.adapt.head import Head
from edge_ser.corpora import Clip, speaker_known
from edge_ser.errors import ConfigError, TrainingError

MOST_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Grouping:
    """Groups of clips that stay on one side of a fold."""

    unit: NDArray[np.int64]
    """Number of the unit of each clip [n_clips]: its speaker, or its recording."""
    recording: NDArray[np.int64]
    """Number of the recording of each clip [n_clips]; clips of the same number hold the same audio."""
    truth: NDArray[np.int64]
    """Class of each clip [n_clips]."""
    by: str
    """`speaker` or `clip`."""

    def folds(self, indices: NDArray[np.int64], seed: int) -> list[NDArray[np.bool_]]:
        """Return masks of the held-out clips of each fold, [n_indices] each.

        With several speakers, each fold holds out speakers; otherwise it holds out recordings, evenly
        over the classes.

        Args:
            indices: indices of the clips.
            seed: seed of the shuffle.

        Raises:
            ConfigError: a single recording.
        """
        unit = self.unit[indices]
        if self.by == "speaker" and len(set(unit.tolist())) > 1:
            order = _by_size(unit, seed)
        else:
            unit = self.recording[indices]
            order = _by_class(unit, self.truth[indices], seed)
        n_folds = min(MOST_FOLDS, len(order))
        if n_folds < 2:
            raise ConfigError("expected clips of several recordings, got one recording; give more")
        number = {one: index % n_folds for index, one in enumerate(order)}
        fold = np.array([number[one] for one in unit.tolist()])
        return [fold == n for n in range(n_folds)]


def group_clips(
    clips: Sequence[Clip], truth: NDArray[np.int64], *, known_speakers: bool = False
) -> Grouping:
    """Group the clips that must stay together: those of a speaker, and those with the same audio.

    Args:
        clips: the clips.
        truth: their classes.
        known_speakers: hold out clips instead of speakers, if the speakers will remain the same.

    Raises:
        CorpusError: a file that cannot be read.
    """
    audio = [(clip.group, content_digest(clip.path)) for clip in clips]
    recording = _joined(audio)
    by_speaker = (
        not known_speakers
        and all(speaker_known(clip) for clip in clips)
        and len({clip.speaker for clip in clips}) > 1
    )
    if not by_speaker:
        return Grouping(recording, recording, truth, "clip")
    keys = [(clip.speaker, *key) for clip, key in zip(clips, audio, strict=True)]
    return Grouping(_joined(keys), recording, truth, "speaker")


def _joined(keys: Sequence[tuple[str, ...]]) -> NDArray[np.int64]:
    """Number the items so that those connected by a common key, also indirectly, share a number."""
    parent = list(range(len(keys)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[int, str], int] = {}
    for index, row in enumerate(keys):
        for key in enumerate(row):
            # Empty files have an empty digest, and must not be joined.
            if key[1]:
                parent[root(index)] = root(first.setdefault(key, index))
    return np.array([root(index) for index in range(len(keys))], dtype=np.int64)


def _by_size(unit: NDArray[np.int64], seed: int) -> list[int]:
    """Return the units shuffled and sorted by descending number of clips, to balance the folds."""
    counts = Counter(unit.tolist())
    drawn = random.Random(seed).sample(sorted(counts), len(counts))  # noqa: S311 (not a secret)
    return sorted(drawn, key=lambda one: -counts[one])


def _by_class(unit: NDArray[np.int64], truth: NDArray[np.int64], seed: int) -> list[int]:
    """Return the units shuffled within each class, class after class, to balance the folds."""
    rng = random.Random(seed)  # noqa: S311 (a draw, not a secret)
    members: dict[int, list[int]] = defaultdict(list)
    seen: set[int] = set()
    for one, label in zip(unit.tolist(), truth.tolist(), strict=True):
        if one not in seen:
            seen.add(one)
            members[label].append(one)
    return [one for _, units in sorted(members.items()) for one in rng.sample(units, len(units))]


Float64 = NDArray[np.float64]

_MOST_STEPS = 100
_MOST_CG_STEPS = 400
_ARMIJO = 1e-4
_MOST_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of labelled clips."""

    embedding: Float64
    """[n_windows, n_embedding]."""
    truth: NDArray[np.int64]
    """Class of each window [n_windows]."""
    weight: Float64
    """Weight of each window [n_windows], above 0; the windows of a clip share its weight."""


def fit_head(head: Head, windows: Windows, strength: float, *, tolerance: float = 1e-7) -> Head:
    """Return the head with the highest posterior probability.

    With embeddings x brought to mean 0 and mean squared length 1 over the windows, the logits are
    those of the old head plus A x + c. The objective is the sum over windows of weight × cross-entropy,
    plus strength / 2 × (‖A‖² + ‖c‖²): strength is the inverse of the expected variance of the change
    of a typical window's logits. Only classes that occur are compared and changed; a class without a
    window keeps its row, and its logit keeps its relation to the mean of the others.

    Args:
        head: the old head.
        windows: at least one.
        strength: above 0.
        tolerance: largest norm of the gradient, for a unit of weight.

    Raises:
        TrainingError: embeddings that are not finite.
    """
    if not np.isfinite(windows.embedding).all():
        raise TrainingError("the model gives embeddings that are not finite; export it again")
    mean = np.average(windows.embedding, axis=0, weights=windows.weight)
    centred = windows.embedding - mean
    squares = np.average((centred**2).sum(axis=1), weights=windows.weight)
    scale = float(np.sqrt(squares)) or 1.0
    inputs = np.concatenate([centred / scale, np.ones((len(centred), 1))], axis=1)
    present = np.unique(windows.truth)
    one_hot = (windows.truth[:, None] == present).astype(np.float64)
    # The change lies in the span of the windows, which has at most as many dimensions as windows.
    basis, _ = np.linalg.qr(inputs.T)
    old_logits = head.logits(windows.embedding)[:, present]
    problem = _Problem(inputs @ basis, old_logits, one_hot, windows.weight, strength)
    change = _minimise(problem, tolerance * float(windows.weight.sum())) @ basis.T
    weight, bias = head.weight.copy(), head.bias.copy()
    weight[present] += change[:, :-1] / scale
    bias[present] += change[:, -1] - change[:, :-1] @ mean / scale
    return Head(weight, bias)


@dataclass(frozen=True, eq=False)
class _Problem:
    """The negative log posterior of a change [n_present, n_inputs] of the head."""

    inputs: Float64
    old_logits: Float64
    one_hot: Float64
    weight: Float64
    strength: float

    def value(self, change: Float64) -> float:
        logits = self.old_logits + self.inputs @ change.T
        top = logits.max(axis=1)
        total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        losses = total - (logits * self.one_hot).sum(axis=1)
        return float(self.weight @ losses + self.strength / 2 * np.vdot(change, change))

    def probs(self, change: Float64) -> Float64:
        logits = self.old_logits + self.inputs @ change.T
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def gradient(self, change: Float64, probs: Float64) -> Float64:
        error = self.weight[:, None] * (probs - self.one_hot)
        return np.asarray(error.T @ self.inputs + self.strength * change)

    def curvature(self, probs: Float64) -> Callable[[Float64], Float64]:
        """Return the product of the Hessian with a direction [n_present, n_inputs]."""

        def product(direction: Float64) -> Float64:
            moved = probs * (self.inputs @ direction.T)
            moved -= probs * moved.sum(axis=1, keepdims=True)
            moved *= self.weight[:, None]
            return np.asarray(moved.T @ self.inputs + self.strength * direction)

        return product


def _minimise(problem: _Problem, tolerance: float) -> Float64:
    """Return the change that minimises the problem, starting from zero."""
    change = np.zeros((problem.one_hot.shape[1], problem.inputs.shape[1]))
    value = problem.value(change)
    for _ in range(_MOST_STEPS):
        probs = problem.probs(change)
        gradient = problem.gradient(change, probs)
        size = float(np.linalg.norm(gradient))
        if size <= tolerance:
            break
        step = _solve(problem.curvature(probs), -gradient, size * min(0.1, np.sqrt(size)))
        slope = float(np.vdot(gradient, step))
        length, new_value = _line_search(problem, change, step, value, slope)
        if length == 0:
            break
        change, value = change + length * step, new_value
    return change


def _solve(product: Callable[[Float64], Float64], right: Float64, tolerance: float) -> Float64:
    """Solve a positive definite system by conjugate gradients, to a norm of the residual."""
    solution = np.zeros_like(right)
    residual, direction = right.copy(), right.copy()
    square = float(np.vdot(residual, residual))
    for _ in range(_MOST_CG_STEPS):
        image = product(direction)
        length = square / float(np.vdot(direction, image))
        solution += length * direction
        residual -= length * image
        new_square = float(np.vdot(residual, residual))
        if np.sqrt(new_square) <= tolerance:
            break
        direction = residual + new_square / square * direction
        square = new_square
    return solution


def _line_search(
    problem: _Problem, change: Float64, step: Float64, value: float, slope: float
) -> tuple[float, float]:
    """Return a step length that satisfies the Armijo condition, and its value; 0 without one."""
    length = 1.0
    for _ in range(_MOST_HALVINGS):
        new_value = problem.value(change + length * step)
        if new_value <= value + _ARMIJO * length * slope:
            return length, new_value
        length /= 2
    return 0.0, value
