"""The harness of `make bench`: turns, medians, ratios, targets and the page. Nothing here is timed."""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ROOT

from edge_ser.errors import ConfigError

sys.path.insert(0, str(ROOT / "benchmarks" / "speed"))
harness, report, run_all, readme = map(
    importlib.import_module, ("harness", "report", "run_all", "readme")
)


def contestants(log, names):
    return [harness.Contestant(name, lambda name=name: log.append(name)) for name in names]


def part(title="Features", met=True, **changes):
    target = report.Target("a clip", "≥ 3×", "4×", met)
    table = report.Table(["", "ms"], [["ours", "1.0"]], "Clips")
    said = {
        "title": title,
        "method": "In turns.",
        "versions": {"numpy": "2.0"},
        "tables": [table],
        "targets": [target],
        "notes": ["Noisy."],
        "machine": "a machine",
        "date": "2026-01-01 00:00",
    }
    return report.Part(**said | changes)


@settings(max_examples=20)  # each collects the garbage of the whole process
@given(n=st.integers(1, 5), rounds=st.integers(1, 8), warm_up=st.integers(0, 3))
def test_each_contestant_runs_once_in_each_round(n, rounds, warm_up):
    log, names = [], [f"contestant {i}" for i in range(n)]
    timings = harness.in_turns(contestants(log, names), rounds, warm_up=warm_up)
    assert len(log) == n * (rounds + warm_up)
    for start in range(0, len(log), n):
        assert sorted(log[start : start + n]) == names
    assert [len(timing.times_ms) for timing in timings.values()] == [rounds] * n


def test_the_order_changes_from_round_to_round_and_is_the_same_next_time():
    first, again = [], []
    for log in (first, again):
        harness.in_turns(contestants(log, "abc"), 20, warm_up=0)
    rounds = {tuple(first[i : i + 3]) for i in range(0, len(first), 3)}
    assert first == again
    assert len(rounds) > 3


def test_times_are_those_of_the_contestant_in_ms(monkeypatch):
    clock = itertools.accumulate(itertools.cycle([0, 2_000_000, 0, 6_000_000]))
    monkeypatch.setattr(harness.time, "perf_counter_ns", lambda: next(clock))
    timings = harness.in_turns(contestants([], "a"), 4, warm_up=0)
    assert timings["a"].times_ms == (2.0, 6.0, 2.0, 6.0)


def test_the_collector_is_off_while_contestants_run_and_on_again_after_an_error():
    seen = []

    def fail():
        seen.append(gc.isenabled())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        harness.in_turns([harness.Contestant("a", fail)], 1)
    assert seen == [False]
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("names", "rounds", "in_a_row"), [("aa", 3, 1), ("ab", 0, 1), ("ab", 1, 0)]
)
def test_what_cannot_be_compared_is_refused(names, rounds, in_a_row):
    with pytest.raises(ValueError, match="wanted"):
        harness.in_turns(contestants([], names), rounds, in_a_row=in_a_row)


def test_a_turn_of_several_runs_counts_their_mean(monkeypatch):
    clock = itertools.accumulate(itertools.cycle([0, 12_000_000]))
    monkeypatch.setattr(harness.time, "perf_counter_ns", lambda: next(clock))
    log = []
    timings = harness.in_turns(contestants(log, "a"), 2, in_a_row=4, warm_up=0)
    assert timings["a"].times_ms == (3.0, 3.0)
    assert len(log) == 8


def test_medians_quartiles_and_ratios():
    fast = harness.Timing("fast", (1.0, 2.0, 3.0, 4.0, 100.0))
    slow = harness.Timing("slow", (6.0, 6.0, 6.0))
    assert fast.median_ms == 3.0
    assert fast.quartiles_ms == (2.0, 4.0)
    assert fast.percentile(100) == 100.0
    assert slow.ratio(fast) == 2.0


def test_the_idlest_core_is_one_that_may_be_used(monkeypatch):
    ticks = iter([{0: 10, 1: 10, 7: 0}, {0: 12, 1: 15, 7: 90}])
    monkeypatch.setattr(harness, "_idle_ticks", lambda: next(ticks))
    monkeypatch.setattr(harness.time, "sleep", lambda _: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert harness.idlest_core() == 1


def test_the_kernel_says_how_idle_each_core_was():
    ticks = harness._idle_ticks()
    assert os.sched_getaffinity(0) <= ticks.keys()
    assert all(value >= 0 for value in ticks.values())


def test_a_package_that_is_not_there_is_named_so():
    found = harness.versions("numpy", "no-such-package-at-all")
    assert found["no-such-package-at-all"] == "not installed"
    assert found["numpy"][0].isdigit()


@pytest.mark.parametrize(("figure", "met"), [(1.49, True), (1.5, True), (1.51, False)])
def test_a_figure_up_to_the_limit_meets_it(figure, met):
    assert report.Target.at_most("hop", 1.5, figure, " ms").met is met


@pytest.mark.parametrize(("figure", "met"), [(19.9, False), (20.0, True), (21.0, True)])
def test_a_figure_from_the_limit_on_meets_it(figure, met):
    assert report.Target.at_least("times faster", 20, figure).met is met


def test_a_table_of_times_shows_ratios_to_the_base():
    ours, other = harness.Timing("ours", (1.0, 1.0)), harness.Timing("other", (3.0, 3.0))
    lines = report.timing_table([ours, other], ours, "Clips").markdown().splitlines()
    assert lines[0] == "**Clips**"
    assert lines[2] == "|  | median, ms | quartiles, ms | times ours |"
    assert lines[-1] == "| other | 3.000 | 3.000–3.000 | 3.00 |"


def test_a_row_that_does_not_fit_its_heads_is_refused():
    with pytest.raises(ValueError, match=r"\b1 cells, 2 heads\b"):
        report.Table(["a", "b"], [["1"]]).markdown()


def test_a_part_comes_back_from_json_as_it_was():
    assert report.Part.from_json(part().to_json()).markdown() == part().markdown()


def test_a_missed_target_is_shown_in_its_part_and_at_the_top():
    text = run_all.page([part(), part("Inference", met=False)])
    top, _, rest = text.partition("\n## ")
    assert "1 of 2 targets " in top
    assert "\n- a clip: 4×, wanted ≥ 3×" in top
    assert rest.count("| met |") == 1
    assert rest.count("| **missed** |") == 1


def test_a_part_tells_when_where_and_with_what_it_was_measured():
    assert part().markdown().endswith("2026-01-01 00:00 UTC. a machine. numpy 2.0.")


def test_the_page_is_not_written_while_a_benchmark_is_missing(tmp_path):
    (tmp_path / "features.json").write_text(part().to_json(), encoding="utf-8")
    with pytest.raises(ConfigError, match="lacks inference, pipeline"):
        run_all.load(tmp_path)


def test_the_page_in_the_repository_is_what_its_figures_give():
    page = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert page == run_all.page(run_all.load(ROOT / "benchmarks" / "results" / "speed"))


def test_the_readmes_table_is_what_the_figures_give():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    parts = run_all.load(ROOT / "benchmarks" / "results" / "speed")
    assert readme.with_speed(text, parts) == text


def test_a_readme_without_a_place_for_the_table_is_refused():
    parts = run_all.load(ROOT / "benchmarks" / "results" / "speed")
    with pytest.raises(ConfigError, match=re.escape("<!-- speed -->")):
        readme.with_speed("# A README", parts)


def test_a_row_that_no_benchmark_wrote_is_named():
    with pytest.raises(
        ConfigError, match="no row 'edge-ser, new hop' in Features; run: make bench"
    ):
        readme.summary([part()])
