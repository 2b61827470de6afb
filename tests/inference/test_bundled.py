"""Names of the models that come with the package, and the files behind them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import write_tiny_model

from edge_ser.errors import ConfigError, ModelError
from edge_ser.inference import loader
from edge_ser.inference.loader import BUNDLED, bundled_model, model_path, open_runner
from edge_ser.recognition.recognizer import Recognizer

FILES = {
    "bundled": "edge_ser.onnx",
    "bundled-int8": "edge_ser.int8.onnx",
    "bundled-commercial": "edge_ser_commercial.onnx",
    "bundled-commercial-int8": "edge_ser_commercial.int8.onnx",
}


@pytest.fixture
def assets(tmp_path, monkeypatch):
    """An empty folder in place of the package's assets."""
    folder = tmp_path / "assets"
    folder.mkdir()
    monkeypatch.setattr(loader, "ASSETS", folder)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_each_name_stands_for_a_file(assets, name):
    path = write_tiny_model(assets / FILES[name])

    assert bundled_model(name) == model_path(name) == model_path(Path(name)) == path
    assert open_runner(name).card == Recognizer(name).card == open_runner(path).card
    assert set(BUNDLED) == set(FILES)


def test_the_default(assets):
    path = write_tiny_model(assets / "edge_ser.onnx")

    assert bundled_model() == model_path() == path


def test_the_default_is_there():
    assert bundled_model().is_file()


def test_other_paths_are_left_as_they_are():
    assert model_path("x/bundled") == Path("x/bundled")
    assert model_path(Path("bundled.onnx")) == Path("bundled.onnx")


@pytest.mark.parametrize("name", FILES)
def test_a_model_that_is_not_there(assets, name):
    with pytest.raises(ModelError) as raised:
        open_runner(name)

    assert f"{name} is missing" in str(raised.value)
    assert FILES[name] in str(raised.value)


def test_a_model_that_is_not_there_beside_others(assets):
    write_tiny_model(assets / "edge_ser.onnx")

    with pytest.raises(ModelError, match=r"\bbundled-commercial\b.*\bbundled;"):
        bundled_model("bundled-commercial")


def test_a_name_that_there_is_not():
    with pytest.raises(ConfigError, match="'bundled-int4'"):
        bundled_model("bundled-int4")
