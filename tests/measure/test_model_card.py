"""The generated model card: what the file and the measurement say, and what it must not be used for."""

from __future__ import annotations

import dataclasses

import pytest

from edge_ser.errors import ConfigError
from edge_ser.measure import text
from edge_ser.measure.model_card import model_card_markdown


def test_sections_and_figures(card, evaluation):
    made = model_card_markdown(card, [evaluation])
    f = evaluation.overall

    headings = [line for line in made.splitlines() if line.startswith("#")]
    assert headings == [
        "# Model card: tiny",
        "## The model",
        "## Training data",
        "## Measured: all speakers, without those heard in training",
        "## Known failure modes",
        "## Intended use",
        "## Forbidden use",
    ]
    assert f"| site | 20 | 3 | {text.percent(f.wa.value)} ({text.percent_interval(f.wa)})" in made
    for label, figure in f.recall.items():
        assert (
            f"| {label} | {text.percent(figure.value)} ({text.percent_interval(figure)}) |" in made
        )
    for level in evaluation.noisy:
        drop = text.points(level.figures[-1].uar.value - f.uar.value)
        assert f"**Noise** (pink, {text.decibels(level.snr_db)}): {drop} points of UAR" in made
    assert "| abstain below | 0.35 |" in made
    assert f"`{evaluation.model.sha256}`" in made
    assert "By site/s2 the epoch was chosen" in made
    for word in ("Children", "not acted", "Other languages", "at work and in schools"):
        assert word in made


def test_every_table_has_as_many_cells_in_each_line(card, evaluation, heard_evaluation):
    block: list[int] = []
    for line in model_card_markdown(card, [evaluation, heard_evaluation]).splitlines():
        if line.startswith("|"):
            block.append(line.replace("\\|", "").count("|"))
        else:
            assert len(set(block)) <= 1
            block = []


def test_what_taught_it_and_its_licence(card, evaluation):
    other = dataclasses.replace(
        card,
        taught_by=("an encoder | of voices (MIT)",),
        temperature=1.5,
        weights_licence="CC BY-NC-SA 4.0",
    )
    made = model_card_markdown(other, [evaluation])
    assert "| taught by | an encoder \\| of voices (MIT) |" in made
    assert "| temperature | 1.5, already in the logits |" in made
    assert "- Commercial use: the weights are under CC BY-NC-SA 4.0." in made
    assert "Commercial use" not in model_card_markdown(card, [evaluation])


def test_speakers_heard_in_training_and_noise_not_measured_are_said(card, heard_evaluation):
    made = model_card_markdown(card, [heard_evaluation])
    assert "**Every figure over all corpora includes speakers heard in training.**" in made
    assert "| site, includes speakers heard in training |" in made
    assert "**Noise**: not measured" in made


def test_it_is_of_one_model(card, evaluation):
    with pytest.raises(ConfigError, match="evaluation is 'tiny', wanted: one of the model other"):
        model_card_markdown(dataclasses.replace(card, name="other"), [evaluation])
    with pytest.raises(ConfigError, match="one or more"):
        model_card_markdown(card, [])
