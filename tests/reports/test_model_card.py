"""The generated model card: what the file and the measurement say, and what it must not be used for."""

from __future__ import annotations

import dataclasses
import re

import pytest
from made_runs import make_fold, make_run
from support import absent

from edge_ser.card import CorpusUse
from edge_ser.corpora import CORPORA
from edge_ser.errors import ConfigError
from edge_ser.evaluation.figures import SpeakerAccuracy
from edge_ser.evaluation.report import TRAINED_CAVEAT, Block, NoisyFigures
from edge_ser.evaluation.selection import MEANINGS, NEW_SPEAKERS, TITLES, UNSEEN
from edge_ser.reports import format as text
from edge_ser.reports.model_card import RECIPE_TITLE, model_card_markdown


def test_sections_and_figures(card, evaluation):
    made = model_card_markdown(card, [evaluation])
    f = evaluation.blocks[0].overall

    headings = [line for line in made.splitlines() if line.startswith("#")]
    assert headings == [
        "# Model card: tiny",
        "## In short",
        "## The model",
        "## Training data",
        f"## Measured: {TITLES[NEW_SPEAKERS]}",
        "## Known failure modes",
        "## Intended use",
        "## Forbidden use",
    ]
    assert f"| site | 20 | 3 | {text.percent(f.wa.value)} ({text.percent_interval(f.wa)})" in made
    for calls in f.calls:
        figure = f.recall[calls.label]
        recall = f"{text.percent(figure.value)} ({text.percent_interval(figure)})"
        assert f"| {calls.label} | {recall} | " in made
        assert f"| {calls.n_true} | {calls.n_called} | {text.ratio(calls)} |" in made
    assert "| abstain below | 0.35 |" in made
    assert f"`{evaluation.model.sha256}`" in made
    assert any(not absent(line, "site/s2", "epoch") for line in made.splitlines())
    for word in ("Children", "not acted", "Other languages", "schools", "(EU) 2024/1689"):
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
    assert "| temperature | 1.5, " in made
    (limit,) = (line for line in made.splitlines() if line.startswith("- Commercial use"))
    assert absent(limit, other.weights_licence) == []
    assert "Commercial use" not in model_card_markdown(card, [evaluation])


def test_speakers_of_the_training_and_noise_not_measured_are_said(card, heard_evaluation):
    made = model_card_markdown(card, [heard_evaluation])
    assert f" {TRAINED_CAVEAT}.**" in made
    assert f"| site, {TRAINED_CAVEAT} |" in made
    assert "**Noise**: not measured" in made


def test_it_is_of_one_model(card, evaluation):
    with pytest.raises(ConfigError) as raised:
        model_card_markdown(dataclasses.replace(card, name="other"), [evaluation])
    assert absent(raised.value, "evaluation", "'tiny'", "other") == []
    with pytest.raises(ConfigError) as raised:
        model_card_markdown(card, [])
    assert absent(raised.value, "evaluations", "0") == []


def with_blocks(evaluation, *scopes, **changes):
    """Return the evaluation with its one block under these scopes."""
    (block,) = evaluation.blocks
    blocks = tuple(Block(scope, block.figures, block.noisy) for scope in scopes)
    return dataclasses.replace(evaluation, blocks=blocks, **changes)


def headings(made: str) -> list[str]:
    begins = ("## Measured", f"## {RECIPE_TITLE}")
    return [line[3:] for line in made.splitlines() if line.startswith(begins)]


def test_strangers_come_first_then_the_recipe_then_new_speakers(card, evaluation):
    known = with_blocks(evaluation, "new speakers")
    unseen = with_blocks(evaluation, "unseen corpora")
    recipe = make_run(
        [make_fold("A+B to C"), make_fold("A+C to B", "ddddd")], protocol="cross-corpus", folding=""
    )
    made = model_card_markdown(card, [known, unseen], [recipe])

    assert headings(made) == [
        f"Measured: {TITLES[UNSEEN]}",
        RECIPE_TITLE,
        f"Measured: {TITLES[NEW_SPEAKERS]}",
    ]
    short = made.partition("## In short")[2].partition("## ")[0].strip().splitlines()
    assert [line.partition("**")[2].partition("**")[0] for line in short] == [
        TITLES[UNSEEN],
        RECIPE_TITLE,
        TITLES[NEW_SPEAKERS],
    ]
    assert MEANINGS[NEW_SPEAKERS] in short[-1]
    assert "mean UAR 50.0%" in short[1]


def test_strangers_that_were_not_measured_are_missed_at_the_top(card, evaluation):
    short = model_card_markdown(card, [evaluation]).partition("## In short")[2].partition("## ")[0]
    first = short.strip().splitlines()[0]
    assert absent(first, f"**{TITLES[UNSEEN]}**", "not measured", "UAR") == ["UAR"]


def failures(card, evaluation) -> str:
    made = model_card_markdown(card, [evaluation])
    return made.partition("## Known failure modes")[2].partition("## ")[0]


def test_only_losses_by_noise_are_failures(card, evaluation):
    (block,) = evaluation.blocks
    f = block.overall
    worse = dataclasses.replace(f, uar=dataclasses.replace(f.uar, value=f.uar.value - 0.1))
    better = dataclasses.replace(f, uar=dataclasses.replace(f.uar, value=f.uar.value + 0.005))
    noisy = (NoisyFigures("pink", 20.0, (better,)), NoisyFigures("pink", 0.0, (worse,)))
    one = dataclasses.replace(evaluation, blocks=(dataclasses.replace(block, noisy=noisy),))

    assert "**Noise** (pink, 0 dB): −10.0 points" in failures(card, one)
    assert "20 dB" not in failures(card, one)


def test_a_speaker_with_few_clips_is_not_called_worst(card, evaluation):
    assert "**Some speakers**" not in failures(card, evaluation)

    (block,) = evaluation.blocks
    ranked = (
        SpeakerAccuracy("site/few", 3, 0.0),
        SpeakerAccuracy("site/s3", 20, 0.25),
        SpeakerAccuracy("site/s4", 30, 0.75),
    )
    f = dataclasses.replace(block.overall, speakers=ranked)
    one = dataclasses.replace(evaluation, blocks=(dataclasses.replace(block, figures=(f,)),))
    assert re.search(r"\*\*Some speakers\*\*.* site/s3 .*\b25\.0%.*\b75\.0%", failures(card, one))
    assert "site/few" not in failures(card, one)


def test_a_label_called_too_often_is_a_failure(card, evaluation):
    f = evaluation.blocks[0].overall
    excess = max(f.calls, key=lambda calls: calls.n_called - calls.n_true)
    said = f"**{excess.label.capitalize()}** is called too often: {excess.n_called} times"
    assert said in failures(card, evaluation)


def test_terms_of_a_public_corpus_are_those_known_today(card, evaluation):
    uses = tuple(CorpusUse(name, 9, (f"{name}/1",), "own", "") for name in ("EMO-DB", "site"))
    made = model_card_markdown(dataclasses.replace(card, corpora=uses), [evaluation])
    assert f"| EMO-DB | 9 | 1 | {CORPORA['EMO-DB'].licence} |" in made
    assert "| site | 9 | 1 | own |" in made


def test_the_actors_of_known_corpora_are_counted(card, evaluation):
    uses = (
        CorpusUse("EMO-DB", 40, ("EMO-DB/03", "EMO-DB/08"), "CC0", ""),
        CorpusUse("crowd", 60, ("?",), "own", ""),
    )
    made = model_card_markdown(dataclasses.replace(card, corpora=uses), [evaluation])

    line = next(line for line in made.splitlines() if "acted by" in line)
    assert " 2 speakers" in line
    assert f"EMO-DB, {CORPORA['EMO-DB'].language}, 2" in line
    assert "crowd" not in line


def test_no_known_corpus_no_actors(card, evaluation):
    assert "acted by" not in model_card_markdown(card, [evaluation])
