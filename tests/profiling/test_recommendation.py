"""Which model is recommended, by which knowledge of its accuracy, and budgets."""

from __future__ import annotations

import dataclasses

import pytest
from support import make_card

from edge_ser.errors import ConfigError
from edge_ser.precision import Precision
from edge_ser.profiling.recommendation import accuracy_of, budget_of, missed, recommend
from edge_ser.profiling.report import Accuracy
from edge_ser.profiling.statistics import spread_of

MS = 1_000_000
PASSES = Accuracy("agreement", 0.99, 100, passes=True, card_uar=None)
FAILS = Accuracy("agreement", 0.90, 100, passes=False, card_uar=None)
UNKNOWN = Accuracy("unknown", None, None, passes=None, card_uar=None)


@pytest.fixture
def model(profiled):
    def make(name, times_ms, accuracy=PASSES):
        spread = spread_of([round(MS * t) for t in times_ms])
        return dataclasses.replace(
            profiled.models[0], name=name, computed=spread, end_to_end=spread, accuracy=accuracy
        )

    return make


def test_the_fastest_that_keeps_its_accuracy_is_taken(model):
    models = [
        model("fp32", [4.0] * 200),
        model("int8", [1.0] * 200, FAILS),
        model("odd", [0.5] * 200, UNKNOWN),
        model("fp16", [2.0] * 200),
    ]
    got = recommend(models, 99.0)
    assert got is not None
    assert (got.model, got.by, got.value_ms) == ("fp16", "computed p99", 2.0)
    assert got.reason.startswith("2.00 times as fast as the next, fp32; left out")
    assert got.reason.endswith("int8, odd")


def test_the_percentile_that_is_asked_for_decides(model):
    steady, spiky = model("steady", [3.0] * 200), model("spiky", [1.0] * 190 + [9.0] * 10)
    by_median, by_tail = (recommend([steady, spiky], p) for p in (50.0, 99.0))
    assert by_median is not None
    assert by_tail is not None
    assert (by_median.model, by_tail.model) == ("spiky", "steady")


def test_too_few_decisions_for_a_tail_are_judged_by_the_median(model):
    got = recommend([model("a", [3.0] * 50), model("b", [2.0] * 200)], 99.0)
    assert got is not None
    assert (got.model, got.by) == ("b", "computed p50")


def test_a_difference_that_nobody_notices_is_called_so(model):
    got = recommend([model("a", [1.0] * 200), model("b", [1.02] * 200)], 50.0)
    assert got is not None
    assert got.reason == "but hardly faster than b: the next run may say the opposite"


def test_nothing_is_recommended_where_there_is_no_choice(model):
    assert recommend([model("a", [1.0])], 50.0) is None
    assert recommend([model("a", [1.0], FAILS), model("b", [1.0], UNKNOWN)], 50.0) is None


def precision(**gate: float) -> Precision:
    return Precision("int8", "s", "minmax", True, "", (), gate)  # noqa: FBT003


@pytest.mark.parametrize(("agreement", "passes"), [(0.97, True), (0.969, False)])
def test_a_record_in_the_file_counts_most(agreement, passes):
    got = accuracy_of(
        1, precision(agreement=agreement), [make_card()] * 2, [{}, {}], same_audio=True
    )
    assert (got.basis, got.value, got.passes) == ("record", agreement, passes)


@pytest.mark.parametrize(("n_other", "passes"), [(3, True), (4, False)])
def test_without_a_record_labels_are_compared_where_windows_are_the_same(n_other, passes):
    first = dict.fromkeys(range(110), 0)
    second = {end: int(end < n_other) for end in range(100)} | {900: 1}
    got = accuracy_of(1, None, [make_card()] * 2, [first, second], same_audio=True)
    assert (got.basis, got.n, got.passes) == ("agreement", 100, passes)
    assert got.value == pytest.approx(1 - n_other / 100)


@pytest.mark.parametrize(
    ("card", "same_audio", "n"),
    [
        (make_card(), False, 100),
        (make_card(labels=("a", "b", "c")), True, 100),
        (make_card(window_s=2.0), True, 100),
        (make_card(), True, 19),
    ],
)
def test_what_cannot_be_compared_is_unknown(card, same_audio, n):
    labels = dict.fromkeys(range(n), 0)
    got = accuracy_of(1, None, [make_card(), card], [labels, labels], same_audio=same_audio)
    assert (got.basis, got.passes) == ("unknown", None)


def test_budgets(model):
    fast, slow, few = (
        model("fast", [5.0] * 200),
        model("slow", [25.0] * 200),
        model("few", [5.0] * 9),
    )
    assert budget_of([fast], 20, 99.0).over == ()
    budget = budget_of([fast, slow, few], 20, 99.0)
    assert budget.over == ("slow", "few")
    assert missed([fast, slow, few], budget) == (
        "the budget of 20 ms end to end is missed by slow: p99 is 25.00 ms; few: p99 needs 100 "
        "decisions, got 9; give a longer --duration"
    )
    assert budget_of([slow], 25, 99.0).over == ()
    with pytest.raises(ConfigError, match="p is 42"):
        budget_of([fast], 20, 42.0)
    with pytest.raises(ConfigError, match="budget is 0"):
        budget_of([fast], 0, 50.0)
