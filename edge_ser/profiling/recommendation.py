"""Recommendation of a model, and check of a latency budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_ser._util.records import require
from edge_ser.card import ModelCard
from edge_ser.precision import Precision
from edge_ser.profiling.report import Accuracy, Budget, ModelProfile, Recommendation
from edge_ser.profiling.statistics import QUANTILES, Spread
from edge_ser.recognition.windowing import WindowConfig

MIN_AGREEMENT = 0.97
"""Least share of equal labels of a model and the one it would replace."""

_FEWEST = 20
"""Least number of windows for a meaningful agreement on the audio of the profile."""

_ALIKE = 0.05
"""Relative difference in time below which two models count as equally fast."""


def accuracy_of(
    index: int,
    precision: Precision | None,
    cards: Sequence[ModelCard],
    labels: Sequence[Mapping[int, int]],
    *,
    same_audio: bool,
) -> Accuracy:
    """Return what is known of a model's accuracy.

    A record in the file takes precedence: it was measured on labelled or calibration speech. Without
    one, the labels on this profile's audio are compared with the first model's.

    Args:
        index: of the model.
        precision: precision record of its file.
        cards: of all models.
        labels: of all models: end of a window → index of its label.
        same_audio: whether windows with the same end hold the same audio.
    """
    card = cards[index]
    uar = card.accuracy[0].uar if card.accuracy else None
    recorded = None if precision is None else precision.gate.get("agreement")
    if recorded is not None:
        return Accuracy("record", recorded, None, recorded >= MIN_AGREEMENT, uar)
    if index == 0:
        return Accuracy("reference", None, None, passes=True, card_uar=uar)
    first = cards[0]
    if not same_audio or card.labels != first.labels or _timing(card) != _timing(first):
        return Accuracy("unknown", None, None, None, uar)
    common = labels[0].keys() & labels[index].keys()
    if len(common) < _FEWEST:
        return Accuracy("unknown", None, len(common), None, uar)
    share = sum(labels[0][end] == labels[index][end] for end in common) / len(common)
    return Accuracy("agreement", share, len(common), share >= MIN_AGREEMENT, uar)


def recommend(models: Sequence[ModelProfile], percentile: float) -> Recommendation | None:
    """Return the fastest model that keeps its accuracy; None if there is no choice.

    Models are compared by `computed` time, since the time to capture a piece of audio is the same for
    all. The median is used if there are too few decisions for the percentile.
    """
    fit = [model for model in models if model.accuracy.passes]
    if len(models) < 2 or not fit:
        return None
    if any(model.computed.at(percentile) is None for model in fit):
        percentile = 50.0

    def time_ms(model: ModelProfile) -> float:
        return model.computed.at(percentile) or 0.0

    best, *others = sorted(fit, key=time_ms)
    by = f"computed p{percentile:g}"
    out = [model.name for model in models if not model.accuracy.passes]
    reason = "the only one that is known to be as accurate as it should"
    if others:
        ratio = time_ms(others[0]) / time_ms(best) if time_ms(best) else 1.0
        reason = f"{ratio:.2f} times as fast as the next, {others[0].name}"
        if ratio < 1 + _ALIKE:
            reason = f"but hardly faster than {others[0].name}: the next run may say the opposite"
    if out:
        reason += f"; left out, as they are not known to be as accurate: {', '.join(out)}"
    return Recommendation(best.name, by, time_ms(best), reason)


def budget_of(models: Sequence[ModelProfile], budget_ms: float, percentile: float) -> Budget:
    """Compare the end-to-end times with a budget.

    Raises:
        ConfigError: a percentile that is not measured, or a budget that is not positive.
    """
    require(percentile in QUANTILES.values(), "p", percentile, f"one of {[*QUANTILES.values()]}")
    require(budget_ms > 0, "budget", budget_ms, "above 0 ms")
    over = []
    for model in models:
        value = model.end_to_end.at(percentile)
        if value is None or value > budget_ms:
            over.append(model.name)
    return Budget(budget_ms, percentile, tuple(over))


def missed(models: Sequence[ModelProfile], budget: Budget) -> str:
    """Return a sentence on how far a budget was missed."""
    parts = [
        f"{model.name}: {_figure(model.end_to_end, budget.percentile)}"
        for model in models
        if model.name in budget.over
    ]
    return f"the budget of {budget.budget_ms:g} ms end to end is missed by " + "; ".join(parts)


def _figure(spread: Spread, percentile: float) -> str:
    value = spread.at(percentile)
    if value is None:
        needed = round(100 / (100 - percentile))
        return f"p{percentile:g} needs {needed} decisions, got {spread.n}; give a longer --duration"
    return f"p{percentile:g} is {value:.2f} ms"


def _timing(card: ModelCard) -> tuple[float, float]:
    return WindowConfig.from_card(card).timing
