"""Cross-corpus results of a recipe, for the card."""

from __future__ import annotations

import dataclasses

import pytest
from made_runs import make_fold, make_run

from edge_ser.errors import ConfigError
from edge_ser.evaluation.left_out import Decisions, GateFigures, LeftOutFigures
from edge_ser.reports.recipe_results import load_recipe, recipe_section


def cross_corpus():
    folds = [make_fold("A+B to C"), make_fold("A+C to B", "ddddd")]
    return make_run(folds, protocol="cross-corpus", folding="", n_folds=3)


def test_a_record_is_read_back_and_another_protocol_refused(tmp_path):
    run = cross_corpus()
    assert load_recipe(run.save(tmp_path)) == run
    with pytest.raises(ConfigError, match=r"\bspeaker-independent\b"):
        load_recipe(make_run().save(tmp_path))
    with pytest.raises(ConfigError, match=r"none\.json"):
        load_recipe(tmp_path / "none.json")


def test_a_row_for_each_corpus_left_out():
    said, table = recipe_section(cross_corpus())
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert [row[0] for row in rows[2:]] == ["C", "B", "mean"]
    assert rows[2][1:4] == ["20", "5", "2"]
    assert rows[2][4] == "60.0%"
    assert rows[-1][-1] == "50.0%"
    assert "2 of 3 folds" in said


def test_decisions_fitted_elsewhere_and_gates_have_tables():
    figures = LeftOutFigures(
        decisions=Decisions(1.2, 0.45, 100),
        uar=0.5,
        ece=0.08,
        answered=0.6,
        right=0.7,
        arousal_auc=0.9,
        output_auc=None,
        gates={"crowd": GateFigures(50, 0.5, 0.94, 0.02)},
    )
    run = dataclasses.replace(cross_corpus(), left_out={"A+B to C": figures})

    made = "\n".join(recipe_section(run))
    assert "| C | 0.45 | 60.0% | 70.0% | 0.080 | 0.900 | – |" in made
    assert "| C | crowd | 50 | 94.0% | 2.0% |" in made
    assert "threshold" not in recipe_section(cross_corpus())[-1]
