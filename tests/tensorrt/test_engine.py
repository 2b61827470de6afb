"""A wrong or stale engine is refused before TensorRT sees it, with both values and the remedy."""

from __future__ import annotations

import hashlib
import json
import sys

import pytest
from fake_tensorrt import FakeTensorRT
from hypothesis import given
from hypothesis import strategies as st
from support import make_card

from edge_ser.errors import EngineError, MissingDependency
from edge_ser.machine import cuda_device as cuda_module
from edge_ser.machine.cuda_device import CudaDevice, cuda_device
from edge_ser.precision import Precision
from edge_ser.tensorrt.engine import load_engine, read_engine
from edge_ser.tensorrt.layers import parse_layers
from edge_ser.tensorrt.library import open_log
from edge_ser.tensorrt.manifest import (
    BuiltBy,
    EngineConfig,
    EngineManifest,
    ProfileShapes,
    manifest_path,
)

PLAN = b"a serialised engine"
AGAIN = "build (it|the engine) again: edge-ser build-engine"
REBUILD = AGAIN + " .*m.onnx --fp32 --tensorrt tensorrt"


def silent(level, text):
    """Ignore messages."""


def write_engine(folder):
    """Write an engine for SM 8.7 by tensorrt 10.3.0, with its manifest and its ONNX file."""
    (folder / "m.onnx").write_bytes(b"onnx")
    path = folder / "m.engine"
    path.write_bytes(PLAN)
    manifest = EngineManifest(
        engine_sha256=hashlib.sha256(PLAN).hexdigest(),
        engine_bytes=len(PLAN),
        onnx="m.onnx",
        onnx_sha256=hashlib.sha256(b"onnx").hexdigest(),
        options=EngineConfig("fp32"),
        precision=Precision("fp32", "", "", per_channel=False, calibration_digest="", excluded=()),
        built_by=BuiltBy("tensorrt", "10.3.0", "12.6", ("8.7",), "Orin Nano"),
        shapes=ProfileShapes("features", (1, 13, 22), (1, 13, 97), (1, 13, 97)),
        card=make_card(),
        created="2026-01-01",
    )
    manifest_path(path).write_text(manifest.to_json())
    return path


@pytest.fixture
def engine(tmp_path):
    return write_engine(tmp_path)


@pytest.fixture
def here(monkeypatch):
    """Return a function that sets TensorRT and GPU of this machine."""

    def here(version="tensorrt 10.3", sm="8.7", **script):
        fake = FakeTensorRT(version, **script)
        monkeypatch.setitem(sys.modules, fake.__name__, fake)
        device = CudaDevice("Orin", sm, "12.6") if sm else None
        monkeypatch.setattr("edge_ser.tensorrt.engine.cuda_device", lambda: device)
        return fake

    return here


def refused(engine, fake, message, choice="auto"):
    with pytest.raises(EngineError, match=message):
        load_engine(engine, silent, choice)
    assert fake.events == [], "TensorRT saw it"


def test_the_right_engine_loads(engine, here):
    fake = here()
    loaded = load_engine(engine, silent)

    assert fake.events == ["Runtime.deserialize_cuda_engine(…)"]
    assert loaded.manifest.card == make_card()


def test_another_version_of_tensorrt(engine, here):
    fake = here("tensorrt 10.13")
    refused(engine, fake, rf"by tensorrt 10\.3\.0, .*tensorrt 10\.13\.3\.9 is installed; {REBUILD}")


def test_another_module(engine, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    fake = here("tensorrt_rtx 1.7")
    refused(
        engine,
        fake,
        r"by tensorrt 10\.3\.0, .*tensorrt_rtx .* --tensorrt tensorrt_rtx",
        "tensorrt_rtx",
    )
    with pytest.raises(MissingDependency, match="package tensorrt"):
        load_engine(engine, silent)


def test_another_gpu(engine, here):
    refused(engine, here(sm="8.6"), rf"built for SM 8\.7, .*\(Orin\) has SM 8\.6; {REBUILD}")


def test_no_gpu(engine, here):
    refused(engine, here(sm=None), r"for GPUs of SM 8\.7, .*no GPU\b")


def test_a_changed_onnx(engine, here):
    engine.with_name("m.onnx").write_bytes(b"other")
    refused(
        engine,
        here(),
        rf"m\.onnx, from which .* changed .*SHA-256 .*, got d9298a10d1b0….*{REBUILD}",
    )


def test_an_onnx_that_did_not_come_along_is_no_matter(engine, here):
    engine.with_name("m.onnx").unlink()
    here()
    load_engine(engine, silent)


def test_an_edited_manifest(engine, here):
    beside = manifest_path(engine)
    beside.write_text(beside.read_text().replace('"10.3.0"', '"10.13.3.9"'))
    refused(engine, here("tensorrt 10.13"), f"was edited: expected SHA-256 .*, got .*{AGAIN}")


@given(keep=st.integers(0, len(PLAN) - 1))
def test_a_truncated_engine(keep, tmp_path_factory):
    path = write_engine(tmp_path_factory.mktemp("cut"))
    path.write_bytes(PLAN[:keep])
    with pytest.raises(EngineError, match=rf"\b19 bytes\b.*\bgot {keep}\b.*{REBUILD}"):
        read_engine(path)


@given(place=st.integers(0, len(PLAN) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit(place, bit, tmp_path_factory):
    path = write_engine(tmp_path_factory.mktemp("flip"))
    plan = bytearray(PLAN)
    plan[place] ^= 1 << bit
    path.write_bytes(plan)
    with pytest.raises(EngineError, match=f"m.engine changed .*SHA-256 .*{REBUILD}"):
        read_engine(path)


def test_no_manifest_or_no_engine(engine, here):
    fake = here()
    manifest_path(engine).unlink()
    refused(engine, fake, "has no manifest: .*edge-ser build-engine MODEL.onnx --out")
    engine.unlink()
    refused(engine, fake, "there is no engine .*edge-ser build-engine")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", json.dumps({"format": 1}).encode()])
def test_a_manifest_that_is_none(engine, here, content):
    manifest_path(engine).write_bytes(content)
    refused(engine, here(), AGAIN)


def test_an_engine_that_tensorrt_rejects(engine, here):
    here(loads=False)
    with pytest.raises(EngineError, match=rf"^tensorrt 10\.3\.0 .*m\.engine \(.*\).*{REBUILD}"):
        load_engine(engine, silent)


def test_layers_in_the_words_of_several_versions():
    rows = [
        ("a", ["Row major linear FP16 format"]),
        ("b", ["Thirty-two wide channel vectorized row major Int8 format."]),
        ("c", ["Row major linear FP32", "Half"]),
        ("d", ["N/A due to dynamic shapes"]),
        ("e", []),
    ]
    layers = [
        {"Name": name, "Outputs": [{"Format/Datatype": words} for words in outputs]}
        for name, outputs in rows
    ]
    layers.append({"Name": "f", "Outputs": [{"Format": "linear", "Datatype": "Float"}]})
    types = parse_layers(json.dumps({"Layers": [*layers, "name"]}))

    assert types == {
        "a": "fp16",
        "b": "int8",
        "c": "fp16+fp32",
        "d": "unknown",
        "e": "none",
        "f": "fp32",
        "name": "unknown",
    }


@pytest.mark.parametrize("text", ["", "no JSON", "[]"])
def test_layers_that_the_inspector_does_not_report(text):
    assert parse_layers(text) == {}


class FakeDriver:
    """libcuda of an Orin; fails in the function that is named."""

    def __init__(self, fails=""):
        self.fails = fails

    def __getattr__(self, name):
        def call(*arguments):
            if name == self.fails:
                return 100
            if name == "cuDeviceGetName":
                arguments[0].value = b"Orin"
            elif name == "cuDriverGetVersion":
                arguments[0]._obj.value = 12060
            elif name == "cuDeviceGetAttribute":
                arguments[0]._obj.value = {75: 8, 76: 7}[arguments[1]]
            return 0

        return call


def test_the_gpu_as_its_driver_tells(monkeypatch):
    monkeypatch.setattr(cuda_module.ctypes, "CDLL", lambda _: FakeDriver())
    assert cuda_device() == CudaDevice("Orin", "8.7", "12.6")
    monkeypatch.setattr(cuda_module.ctypes, "CDLL", lambda _: FakeDriver("cuInit"))
    assert cuda_device() is None

    def no_driver(_):
        raise OSError

    monkeypatch.setattr(cuda_module.ctypes, "CDLL", no_driver)
    assert cuda_device() is None


def test_one_logger_serves_a_process():
    """TensorRT keeps the first logger that it meets; errors of a later build have to arrive too."""
    trt = FakeTensorRT("tensorrt 10.3")
    first, second = [], []
    log = open_log(trt, lambda *told: first.append(told), "verbose")
    log.log(trt.ILogger.ERROR, "old")
    log.log(trt.ILogger.VERBOSE, "chatter")
    again = open_log(trt, lambda *message: second.append(message), "error")
    again.log(trt.ILogger.WARNING, "hot")
    again.log(trt.ILogger.INTERNAL_ERROR, "broken")

    assert again is log
    assert first == [("error", "old"), ("verbose", "chatter")]
    assert second == [("error", "broken")]
    assert again.errors == ["broken"]
