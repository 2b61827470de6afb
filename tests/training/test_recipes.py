"""Recipes by name: settings of the results equal those of the command line."""

from __future__ import annotations

import json

import pytest
from support import ROOT

from edge_ser._util.records import build
from edge_ser.cli._shared.training_session import read_config
from edge_ser.errors import ConfigError
from edge_ser.training.config import TrainConfig
from edge_ser.training.recipes import DISTILLED, overlaid


def test_the_distilled_recipe_is_the_one_in_the_results():
    kept = json.loads((ROOT / "results/recipes/taught.json").read_text())

    assert kept == {"compact": DISTILLED}


def test_the_bundled_models_settings_can_be_read():
    path = ROOT / "edge_ser/assets/bundled_training.json"

    assert build(TrainConfig, json.loads(path.read_text()), str(path)).teacher_weight > 0


def test_the_bundled_model_has_the_settings_evaluated_across_corpora():
    judged = json.loads((ROOT / "results/recipes/strangers.json").read_text())["compact"]
    bundled = json.loads((ROOT / "edge_ser/assets/bundled_training.json").read_text())

    assert bundled == judged


def test_changes_override_nested_settings():
    settings = {"a": 1, "augment": {"b": 2, "c": 3}}

    changed = overlaid(settings, {"augment": {"c": 4}, "d": 5})

    assert changed == {"a": 1, "augment": {"b": 2, "c": 4}, "d": 5}
    assert settings == {"a": 1, "augment": {"b": 2, "c": 3}}


def test_options_override_the_file_and_the_file_the_recipe(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"epochs": 30, "augment": {"noise_share": 0.7}}')

    config = read_config(TrainConfig, path, {"epochs": 3}, DISTILLED)

    assert config.epochs == 3
    assert config.teacher_weight == 20.0
    assert (config.augment.noise_share, config.augment.vtlp) == (0.7, 0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [("[]", r"mine\.json .*\bobject\b"), ("{", "is not JSON"), ('{"x": 1}', r"\bfields x\b")],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.json"
    path.write_text(text)

    with pytest.raises(ConfigError, match=message):
        read_config(TrainConfig, path, {}, DISTILLED)
