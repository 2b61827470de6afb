"""The page: well-formed, complete in itself, with the numbers of the record, and fit for a browser."""

from __future__ import annotations

import dataclasses
import itertools
import re
from xml.etree import ElementTree as ET

import pytest
from browser import show

from edge_ser.profiling.energy import Energy
from edge_ser.profiling.report import Outlier, Point, Power
from edge_ser.profiling.statistics import Growth, spread_of
from edge_ser.reports import profile_format as words
from edge_ser.reports.profile_page import page

VOID = {"meta", "br"}
SVG = {"svg", "line", "circle", "rect", "polyline", "path", "text", "title"}


@pytest.fixture(scope="module")
def gpu_profile(profiled):
    """What a Jetson would show: GPU stages, its memory, power with doubts; and budgets kept."""
    gpu = {stage: spread_of([10**6, 2 * 10**6]) for stage in ("to_device", "to_host", "launch")}
    model = dataclasses.replace(
        profiled.models[0],
        stages={**profiled.models[0].stages, **gpu},
        device_memory=Growth(1 << 30, 2 << 30, 3 << 30, grows=True),
        energy=Energy(10.0, 2.0, 0.125, 4.0, 0.025),
        overhead=None,
    )
    curve = tuple((n / 10, 5 + n % 3) for n in range(100))
    return dataclasses.replace(
        profiled,
        models=(model,),
        power=Power("the board", True, curve, 4.0, ("few values",), ()),  # noqa: FBT003
        recommendation=None,
        slowed=("gpu-throttle (after)",),
        budget=dataclasses.replace(profiled.budget, over=()),
    )


@pytest.fixture(scope="module", params=["profiled", "gpu_profile"])
def profile(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def written(profile):
    return page(profile)


@pytest.fixture(scope="module")
def tree(written):
    return ET.fromstring(written)  # noqa: S314 (our own page)


def rows(tree: ET.Element) -> list[list[str]]:
    return [[" ".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]


def test_it_is_well_formed_html_and_no_request_leaves_it(written, tree):
    assert written.startswith("<!DOCTYPE html>\n<html lang=")
    for element in tree.iter():
        empty = not len(element) and not element.text
        assert not empty or element.tag in VOID | SVG | {"td"}, f"<{element.tag}/> is no HTML"
        assert not {"href", "src", "srcset", "data"} & element.attrib.keys()
    assert not {e.tag for e in tree.iter()} & {"script", "link", "img", "iframe", "use", "a"}
    assert not re.search(r"https?:|//|@import|url\(", written)


def test_every_class_of_the_pictures_has_a_style(tree):
    css = next(tree.iter("style")).text
    for element in tree.iter():
        if element.tag in SVG:
            for name in element.get("class", "").split():
                assert f".{name} " in css or f".{name}." in css, name


def test_percentiles_are_those_of_the_record(profile, tree):
    table = rows(tree)
    for model in profile.models:
        for name, spread in {**model.stages, "end to end": model.end_to_end}.items():
            values = (spread.p50_ms, spread.p90_ms, spread.p95_ms, spread.p99_ms, spread.p999_ms)
            cells = [
                words.ms(v) for v in (*values, spread.max_ms, spread.mean_ms, spread.jitter_ms)
            ]
            assert any(row[:9] == [words.stage(name), *cells] for row in table), name


def test_the_waterfall_ends_where_the_mean_does(profile, tree):
    chart = next(s for s in tree.iter("svg") if s.get("aria-label").startswith("Stages"))
    grid = [float(x.get("x1")) for x in chart.iter("line") if x.get("class") == "grid"]
    bars = [(float(r.get("x")), float(r.get("width"))) for r in chart.iter("rect")]
    ticks = [float(t.text) for t in chart.iter("text") if re.fullmatch(r"[\d.]+", t.text)]
    top = max(ticks)
    total = sum(spread.mean_ms for spread in profile.models[0].stages.values())
    assert top >= total
    assert (sum(bars[-1]) - grid[0]) / (grid[-1] - grid[0]) * top == pytest.approx(total, rel=0.02)
    assert all(a[0] <= b[0] for a, b in itertools.pairwise(bars))


def test_what_is_not_measured_is_said_with_its_reason(profiled, gpu_profile):
    assert profiled.power.missing[0] in page(profiled)
    shown = page(gpu_profile)
    energies = r"\b125\.00 mJ [^<]*\(the board, 5\.00 W\), 25\.00 mJ [^<]*\(4\.00 W\)"
    assert re.search(energies, shown)
    assert "few values" in shown
    assert "GROWS: +1024.0 MiB" in shown
    assert "gpu-throttle (after)" in shown
    assert "host → device" in shown
    assert re.search(r"Budget kept: p95 [^<]*\b8 ms\b", shown)


def test_a_missed_budget_is_at_the_top(profiled):
    tree = ET.fromstring(page(profiled))  # noqa: S314
    (warning,) = (p for p in tree.iter("p") if p.get("class") == "warn")
    assert "missed by m0.onnx: p95 is 10.00 ms" in warning.text
    assert any("Take m1.onnx" in (p.text or "") for p in tree.iter("p"))


def test_names_of_others_are_text_and_nothing_else(profiled):
    name = "<script>alert('é & \"')</script>"
    model = dataclasses.replace(profiled.models[0], name=name)
    made = dataclasses.replace(profiled, models=(model,), recommendation=None, budget=None)
    tree = ET.fromstring(page(made))  # noqa: S314
    assert not list(tree.iter("script"))
    assert next(tree.iter("title")).text == f"{name}: profile"


def test_a_single_decision_can_be_drawn(profiled):
    one = spread_of([0])
    model = dataclasses.replace(
        profiled.models[0],
        stages={"inference": one},
        computed=one,
        end_to_end=one,
        timeline=(Point(0.0, 0.0, 0.0),),
        slowest=(Outlier(0.0, 0.0, {}),),
    )
    made = dataclasses.replace(profiled, models=(model,), recommendation=None, budget=None)
    assert not re.search(r"\b(nan|inf)\b", page(made).lower())


@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_finds_nothing_wrong(written, tmp_path, width):
    shown = show(written, tmp_path, width)
    assert shown.console == ()
    assert shown.requests == ()
    assert shown.beyond_px <= 0


def test_a_browser_would_see_what_is_wrong(tmp_path):
    bad = (
        "<!DOCTYPE html><html><body><img src='http://example.invalid/a.png'>"
        "<div style='width:3000px'>x</div><script>console.error('bad')</script></body></html>"
    )
    shown = show(bad, tmp_path, 400)
    assert any('"bad"' in line for line in shown.console)
    assert "http://example.invalid/a.png" in shown.requests
    assert shown.beyond_px > 2000
