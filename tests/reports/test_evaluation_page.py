"""The page: well-formed, complete in itself, and with the very numbers of the record."""

from __future__ import annotations

import dataclasses
import re
from xml.etree import ElementTree as ET

import pytest

from edge_ser.evaluation.answers import ClipAnswer, LiveFacts, LiveFigures
from edge_ser.evaluation.distribution import distribution
from edge_ser.evaluation.report import Block
from edge_ser.evaluation.selection import NEW_SPEAKERS, TITLES, UNSEEN
from edge_ser.reports import format as text
from edge_ser.reports.evaluation_page import page
from edge_ser.reports.html import document, node

VOID = {"meta", "br"}
SVG = {"svg", "line", "circle", "rect", "polyline", "text", "title"}


@pytest.fixture(scope="module", params=["evaluation", "heard_evaluation"])
def measured(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def written(measured):
    return page(measured)


def parsed(written: str) -> ET.Element:
    return ET.fromstring(written)  # noqa: S314 (our own page)


@pytest.fixture(scope="module")
def tree(written):
    return parsed(written)


def rows(tree: ET.Element) -> list[list[str]]:
    """Return the cells of all table rows; what stands below in small letters after a blank."""
    return [[" ".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]


def said(tree: ET.Element, tag: str) -> list[str]:
    return ["".join(found.itertext()) for found in tree.iter(tag)]


def test_it_is_well_formed_html(written, tree):
    assert written.startswith("<!DOCTYPE html>\n<html lang=")
    for element in tree.iter():
        empty = not len(element) and not element.text
        assert not empty or element.tag in VOID | SVG, f"<{element.tag}/> is no HTML"


def test_no_request_leaves_it(written, tree):
    tags = {element.tag for element in tree.iter()}
    assert not tags & {"script", "link", "img", "iframe", "image", "use", "object", "a"}
    for element in tree.iter():
        assert not {"href", "src", "srcset", "data"} & element.attrib.keys()
    assert not re.search(r"https?:|//|@import|url\(", written)


def test_there_are_styles_for_light_and_dark_and_small_screens(written):
    assert "prefers-color-scheme: dark" in written
    assert "max-width: 40rem" in written
    assert 'name="viewport"' in written


def test_every_class_of_the_pictures_has_a_style(tree):
    css = next(tree.iter("style")).text
    for element in tree.iter():
        if element.tag in SVG:
            for name in element.get("class", "").split():
                assert f".{name} " in css or f".{name}." in css, name


def test_the_figures_are_those_of_the_record(measured, tree):
    f = measured.blocks[0].overall
    (row,) = (row for row in rows(tree) if row[0].startswith("site") and len(row) == 11)

    assert row[1:3] == [str(f.n_clips), str(f.n_speakers)]
    assert row[3] == f"{text.percent(f.wa.value)} {text.percent_interval(f.wa)}"
    assert row[4] == f"{text.percent(f.uar.value)} {text.percent_interval(f.uar)}"
    for cell, figure in zip(row[5:7], (f.answered.share, f.answered.right), strict=True):
        assert cell == f"{text.percent(figure.value)} {text.percent_interval(figure)}"
    assert row[7] == f"{text.decimal(f.ece.value)} {text.decimal_interval(f.ece)}"
    assert row[8:10] == [text.decimal(f.brier.value), text.decimal(f.nll.value)]
    assert row[10] == "1 silent, 1 too short"
    tiles = ["".join(b.itertext()) for b in tree.iter("b")]
    assert tiles[:3] == [
        text.percent(f.uar.value),
        text.percent(f.wa.value),
        text.decimal(f.ece.value),
    ]


def test_the_confusion_is_that_of_the_record(measured, tree):
    (table,) = (t for t in tree.iter("table") if t.get("class") == "confusion")
    shown = []
    for row in table.find("tbody"):
        counts = [cell.text for cell in row.findall("td")]
        shown.append(tuple(0 if count == "·" else int(count) for count in counts))
        for cell, count in zip(row.findall("td"), shown[-1], strict=True):
            share = count / sum(shown[-1])
            assert cell.get("style") == f"--share:{share:.3f}"
            assert not count or cell.find("small").text == f"{100 * share:.0f}%"
    assert tuple(shown) == measured.blocks[0].overall.confusion
    assert [
        i for i, row in enumerate(table.find("tbody")) for c in row if c.get("class") == "hit"
    ] == [i for i, counts in enumerate(shown) if counts[i]]


def test_thresholds_and_speakers_are_those_of_the_record(measured, tree):
    f = measured.blocks[0].overall
    table = rows(tree)
    for row in f.abstention:
        advice = " (the card's advice)" if row.threshold == 0.35 else ""
        cells = [text.coverage(row, f.n_clips), text.accuracy(row)]
        assert [f"{row.threshold:g}{advice}", *cells] in table
    for speaker in f.speakers:
        assert [speaker.speaker, str(speaker.n_clips), text.percent(speaker.wa)] in table


def test_dots_stand_where_the_figures_are(measured, tree):
    """Of the chart of recall (filled) and precision: from its first grid line to its last."""
    chart = next(tree.iter("svg"))
    lines = [float(line.get("x1")) for line in chart.iter("line") if line.get("class") == "grid"]
    f = measured.blocks[0].overall
    precisions = [calls.precision.value for calls in f.calls if calls.precision]
    for kind, wanted in (
        ("dot c0", [figure.value for figure in f.recall.values()]),
        ("dot hollow", precisions),
    ):
        dots = [float(dot.get("cx")) for dot in chart.iter("circle") if dot.get("class") == kind]
        got = [(x - lines[0]) / (lines[-1] - lines[0]) for x in dots]
        assert got == pytest.approx(wanted, abs=1e-3)


def test_bars_are_as_high_as_the_accuracy_is(measured, tree):
    chart = list(tree.iter("svg"))[1]
    lines = [float(line.get("y1")) for line in chart.iter("line") if line.get("class") == "grid"]
    bars = [bar for bar in chart.iter("rect") if bar.get("class") == "bar"]
    got = [float(bar.get("height")) / (lines[0] - lines[-1]) for bar in bars]
    assert got == pytest.approx(
        [b.accuracy for b in measured.blocks[0].overall.reliability], abs=1e-3
    )


def test_noise_is_shown_with_its_drop(evaluation):
    tree = parsed(page(evaluation))
    clean = evaluation.blocks[0].overall.uar.value
    for level in evaluation.blocks[0].noisy:
        uar = level.figures[-1].uar.value
        cells = f"{text.percent(uar)} {text.points(uar - clean)} points"
        assert [text.decibels(level.snr_db), cells] in rows(tree)
    assert "With pink noise" in said(tree, "h3")


def test_speakers_of_the_training_are_said_at_the_top_and_at_every_heading(
    evaluation, heard_evaluation
):
    caveat = "includes speakers of the training data"
    tree = parsed(page(heard_evaluation))
    (warning,) = (p for p in tree.iter("p") if p.get("class") == "warn")
    assert caveat in "".join(warning.itertext())
    figures = {"Classes", "Probabilities", "Speakers"}
    assert {f"{name} ({caveat})" for name in figures} <= set(said(tree, "h3"))
    assert caveat not in page(evaluation)


def with_more(evaluation):
    """Return the evaluation with another block before its own, live, and with distributions."""
    (block,) = evaluation.blocks
    live = LiveFigures(1, 9, 60.0, 4, 3)
    figures = (dataclasses.replace(block.overall, of="far", live=live),)
    answers = [
        ClipAnswer("c", "X", "X/?", "neutral", label, probs, "", None, LiveFacts(2, 1, 1, 0, 0, 1))
        for label, probs in (("low", (0.9, 0.1, 0.0)), ("high", (0.3, 0.3, 0.4)))
    ]
    plain = [
        distribution(
            kind,
            answers,
            evaluation.model.labels,
            kind=kind,
            abstain_below=0.5,
            n_draws=100,
            seed=0,
        )
        for kind in ("neutral", "unlabelled", "no speech")
    ]
    return dataclasses.replace(
        evaluation,
        blocks=(Block("unseen corpora", figures, ()), block),
        distributions=tuple(plain),
        mode="live",
        detector="level",
    )


def test_blocks_stand_apart_and_plain_corpora_below(evaluation):
    tree = parsed(page(with_more(evaluation)))

    measured, unseen, new_speakers, plain, silent, *words = said(tree, "h2")
    assert (measured, len(words)) == ("What was measured", 1)
    assert (unseen, new_speakers) == (TITLES[UNSEEN], TITLES[NEW_SPEAKERS])
    assert "one label" in plain
    assert "without speech" in silent
    assert ["far", "5.0%", "9", "1.0 min", "4.0", "75.0%"] in rows(tree)
    for element in tree.iter():
        empty = not len(element) and not element.text
        assert not empty or element.tag in VOID | SVG, f"<{element.tag}/> is no HTML"


def test_bars_of_plain_speech_add_up(evaluation):
    tree = parsed(page(with_more(evaluation)))
    (chart,) = (svg for svg in tree.iter("svg") if "plain speech" in svg.get("aria-label", ""))
    bars = [bar for bar in chart.iter("rect") if float(bar.get("height")) == 16]
    width = sum(float(bar.get("width")) for bar in bars)
    assert width == pytest.approx(2 * 376, abs=0.1)


def test_names_of_others_are_text_and_nothing_else(evaluation):
    name = "<script>alert('é & \"')</script>"
    foreign = dataclasses.replace(
        evaluation, model=dataclasses.replace(evaluation.model, name=name), protocol=name
    )
    tree = parsed(page(foreign))
    assert not list(tree.iter("script"))
    assert said(tree, "title")[0] == f"{name}: evaluation"


def test_nodes():
    made = node("p", "a < b, ", node("b", "c", class_="x"), " & ", "d", data_n=1.5, aria_label=None)
    assert document(made) == (
        '<!DOCTYPE html>\n<p data-n="1.5">a &lt; b, <b class="x">c</b> &amp; d</p>\n'
    )
