"""Model files and calibration sets on the command line, by path or by name."""

from __future__ import annotations

import importlib
from pathlib import Path

import click
import pytest
from support import ROOT, write_tiny_model

from edge_ser.cli._shared.options import CalibrationFolder, DefaultOf, ModelFile
from edge_ser.errors import CalibrationError, ModelError
from edge_ser.inference import loader
from edge_ser.quantization import calibration_set as calibration


def parameter(module: str, name: str, command: str = "command") -> click.Parameter:
    """Return a parameter of a command."""
    found = getattr(importlib.import_module(f"edge_ser.cli.{module}"), command)
    return next(own for own in found.params if own.name == name)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("run", "model"),
        ("profile", "models"),
        ("evaluate", "model"),
        ("compare", "models"),
        ("inspect", "file"),
        ("quantize", "model"),
        ("build_engine", "model"),
    ],
)
def test_every_command_takes_a_bundled_model_by_name(module, name):
    assert isinstance(parameter(module, name).type, ModelFile)


def test_calibrate_takes_names():
    assert isinstance(parameter("calibrate", "model", "select").type, ModelFile)
    assert isinstance(parameter("calibrate", "folder", "show").type, CalibrationFolder)
    assert isinstance(parameter("quantize", "calibration").type, CalibrationFolder)


def test_a_name_becomes_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(loader, "ASSETS", tmp_path)
    path = write_tiny_model(tmp_path / "edge_ser_commercial.onnx")

    assert ModelFile().convert("bundled-commercial", None, None) == path
    assert ModelFile().convert("x.onnx", None, None) == Path("x.onnx")
    with pytest.raises(ModelError):
        ModelFile().convert("bundled-commercial-int8", None, None)


def test_a_name_becomes_the_calibration_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    convert = CalibrationFolder().convert

    assert convert("default", None, None) == ROOT / "calibration" / "default"
    assert convert("site", None, None) == Path("site")
    (tmp_path / "default").mkdir()
    assert convert("default", None, None) == Path("default")


def test_a_calibration_set_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "PLACES", (tmp_path / "a", tmp_path / "b"))

    with pytest.raises(CalibrationError) as raised:
        CalibrationFolder().convert("commercial", None, None)

    assert str(tmp_path / "a") in str(raised.value)


def test_a_set_in_the_package_comes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "PLACES", (tmp_path / "a", tmp_path / "b"))
    for place in ("a", "b"):
        (tmp_path / place / "commercial").mkdir(parents=True)
        (tmp_path / place / "commercial" / "manifest.json").touch()

    assert calibration.bundled_calibration("commercial") == tmp_path / "a" / "commercial"


def test_inspect_and_run_by_name(cli):
    inspected = cli("inspect", "bundled")
    assert inspected.returncode == 0
    assert b"edge_ser.onnx" in inspected.stdout

    shown = cli("calibrate", "show", "default")
    assert shown.returncode == 0

    recognised = cli("run", "--model", "bundled", "--wav", ROOT / "examples", "--format", "jsonl")
    assert recognised.returncode == 0


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        ("build_engine", "batch", (1, 1, 1)),
        ("build_engine", "workspace_mib", 256),
        ("compare", "layer_windows", 32),
        ("compare", "layer_error", 0.01),
        ("cross_validate", "protocol", "speaker-independent"),
        ("cross_validate", "folds", ""),
        ("cross_validate", "validation_speakers", ""),
        ("profile", "arrival", "closed"),
        ("profile", "duration_s", 15.0),
        ("profile", "chunk_ms", 20.0),
        ("profile", "detector", "auto"),
        ("profile", "cold_starts", 5),
        ("profile", "idle_s", 5.0),
        ("profile", "percentile", "99"),
        ("quantize", "max_uar_loss", 1.0),
        ("quantize", "min_agreement", 97.0),
        ("run", "smoothing_s", 0.5),
        ("run", "heartbeat_s", 10.0),
        ("run", "min_level_dbfs", -70.0),
    ],
)
def test_defaults_are_those_of_the_configurations(module, name, expected):
    option = parameter(module, name)
    context = click.Context(click.Command("none"))

    assert isinstance(option.default, DefaultOf)
    assert option.get_default(context) == expected


def test_a_default_is_shown_as_the_option_takes_it():
    assert str(DefaultOf("edge_ser.tensorrt.manifest:EngineConfig.batch")) == "1, 1, 1"
    assert str(DefaultOf("edge_ser.tensorrt.manifest:EngineConfig.workspace_mib")) == "256"
