"""Systems by name, and the errors if one cannot be made."""

from __future__ import annotations

import sys

import pytest

from edge_ser.errors import ConfigError, MissingDependency
from edge_ser.training.cross_validation.registry import make_system


@pytest.mark.parametrize("name", ["majority", "svm-egemaps", "svm-compare", "paper", "compact"])
def test_every_system_is_made_under_its_name(name, tmp_path):
    assert make_system(name, {}, tmp_path / "cache", tmp_path / "checkpoints").name == name


def test_settings_come_from_json(tmp_path):
    system = make_system("svm-egemaps", {"costs": [0.25], "inner_folds": 3}, tmp_path, tmp_path)

    assert system.settings["costs"] == (0.25,)
    assert system.settings["inner_folds"] == 3


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("svm", {}, "(?=.*'svm').*majority, svm-egemaps"),
        ("majority", {"class": "sad"}, r"majority .*\bclass\b"),
        ("svm-compare", {"costs": "many"}, r"costs is 'many'.*\blist\b"),
        ("svm-compare", {"costs": [-1]}, r"costs is \[-1.0\], expected rising"),
    ],
)
def test_unusable_settings_are_refused(name, settings, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        make_system(name, settings, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("name", "package"), [("svm-compare", "opensmile"), ("svm-egemaps", "sklearn")]
)
def test_a_missing_package_stops_only_those_that_need_it(name, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingDependency, match=r"edge-ser\[baselines\]"):
        make_system(name, {}, tmp_path, tmp_path)
    assert make_system("majority", {}, tmp_path, tmp_path).name == "majority"
