"""A real builder, TensorRT for RTX, builds the bundled model in each precision; it needs no GPU."""

from __future__ import annotations

import hashlib
import re

import onnx
import pytest
from engine_graphs import make_graph, stamp
from networks import both_card, calibration_of, write_network
from support import skip_or_fail

from edge_ser.errors import EngineError, MissingDependency
from edge_ser.machine.cuda_device import CudaDevice
from edge_ser.quantization.gate_config import Gate
from edge_ser.quantization.model_parts import open_source
from edge_ser.quantization.quantizer import QuantizeConfig, Quantizer
from edge_ser.tensorrt.build import build_engine
from edge_ser.tensorrt.engine import check_fits, read_engine
from edge_ser.tensorrt.library import find_tensorrt, open_log
from edge_ser.tensorrt.manifest import EngineConfig, EngineManifest, manifest_path
from edge_ser.tensorrt.typing import float_layers, strongly_typed_flags

TARGETS = ("8.0", "8.6", "8.9", "12.0")
"""A100 and the RTX 30, 40 and 50 series. Turing (7.5) has no FP32 matrix products there."""

KINDS = ("fp32", "fp16", "int8", "int8+fp16")
FORMS = ("features", "waveform")


@pytest.fixture(scope="module")
def rtx():
    try:
        return find_tensorrt("tensorrt_rtx")
    except MissingDependency:
        skip_or_fail("tensorrt_rtx is not installed; pip install 'edge-ser[tensorrt-rtx]'")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """The bundled model of each precision and form."""
    folder = tmp_path_factory.mktemp("graphs")
    return {(kind, form): make_graph(folder, kind, form) for kind in KINDS for form in FORMS}


def build(source, out, kind, targets, **more):
    heard = []
    manifest = build_engine(
        source,
        out,
        EngineConfig(kind),
        on_message=lambda *told: heard.append(told),
        choice="tensorrt_rtx",
        targets=targets,
        **more,
    )
    assert heard == []
    return manifest


@pytest.mark.parametrize("targets", [*((target,) for target in TARGETS), TARGETS], ids="+".join)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_precision_builds_for_every_target(kind, form, targets, rtx, graphs, tmp_path):
    path, out = graphs[kind, form], tmp_path / "m.engine"
    manifest = build(path, out, kind, targets)

    assert read_engine(out) == (manifest, out.read_bytes())
    assert EngineManifest.from_json(manifest_path(out).read_text()) == manifest
    assert manifest.engine_bytes > 1_000_000
    assert manifest.onnx_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest.precision.kind == kind
    assert manifest.built_by.compute_capabilities == targets
    assert (manifest.built_by.module, manifest.built_by.version) == (rtx.name, rtx.version)
    widest = {"features": (1, 40, 297), "waveform": (1, 48_000)}[form]
    assert (manifest.shapes.input, manifest.shapes.maximum) == (form, widest)
    for target in targets:
        check_fits(manifest, out, rtx, CudaDevice("an RTX", target, "13.0"))
    with pytest.raises(EngineError, match=r"\(Orin\) has SM 8\.7"):
        check_fits(manifest, out, rtx, CudaDevice("Orin", "8.7", "13.0"))


def test_progress_is_told_and_may_stop_the_build(rtx, graphs, tmp_path):
    class Watcher:
        def __init__(self, patience):
            self.patience, self.open, self.steps = patience, [], 0

        def start(self, phase, parent, _):
            assert parent is None or parent in self.open
            self.open.append(phase)

        def step(self, phase, _):
            assert phase in self.open
            self.steps += 1
            if self.steps > self.patience:
                raise KeyboardInterrupt

        def finish(self, phase):
            self.open.remove(phase)

    path, out = graphs["fp32", "features"], tmp_path / "m.engine"
    patient = Watcher(10**6)
    build(path, out, "fp32", ["8.6"], progress=patient)
    assert patient.open == []
    assert patient.steps > 50

    hasty = Watcher(5)
    with pytest.raises(KeyboardInterrupt):
        build(path, tmp_path / "never.engine", "fp32", ["8.6"], progress=hasty)
    assert hasty.steps == 6
    assert not (tmp_path / "never.engine").exists()


def test_a_real_failure_of_the_builder_names_its_reason(rtx, graphs, tmp_path):
    with pytest.raises(EngineError, match=r"fp32\.onnx: .*\bFP32 GEMM\b"):
        build(graphs["fp32", "features"], tmp_path / "m.engine", "fp32", ["7.5"])
    assert not list(tmp_path.iterdir())


def test_the_bytes_that_tensorrt_cannot_parse_are_named(rtx, tmp_path):
    """ONNX Runtime takes more than TensorRT does, such as strings."""
    from onnx import TensorProto, helper
    from support import make_card, write_tiny_model

    path = write_tiny_model(tmp_path / "m.onnx", make_card())
    model = onnx.load(path)
    model.graph.node.extend([helper.make_node("Cast", ["mean"], ["text"], to=TensorProto.STRING)])
    model.graph.output.extend([helper.make_tensor_value_info("text", TensorProto.STRING, None)])
    onnx.save(model, path)
    levels = []

    with pytest.raises(EngineError, match=r"\bm\.onnx\b.*\bnode 2: .*\bedge-ser export\b"):
        build_engine(
            path,
            tmp_path / "m.engine",
            EngineConfig("fp32"),
            on_message=lambda level, _: levels.append(level),
            choice="tensorrt_rtx",
            targets=["8.6"],
        )
    assert set(levels) == {"error"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recorded", KINDS)
def test_a_file_with_a_wrong_precision_record_is_refused(kind, recorded, rtx, graphs, tmp_path):
    """The types of the real parser are compared with the precision record."""
    path = tmp_path / "m.onnx"
    path.write_bytes(graphs[kind, "features"].read_bytes())
    stamp(path, recorded)
    if kind == recorded:
        build(path, tmp_path / "m.engine", recorded, ["8.9"])
        return

    message = rf"{re.escape(recorded)} graph\b.*\bgot {re.escape(kind)};"
    with pytest.raises(EngineError, match=message):
        build(path, tmp_path / "m.engine", recorded, ["8.9"])


@pytest.mark.parametrize("form", FORMS)
def test_the_types_for_8_6_are_those_of_the_graph(form, rtx, graphs):
    """`float_layers` follows types through a weakly typed network; a strongly typed one agrees."""
    trt = rtx.module
    log = open_log(trt, lambda *_: None)
    builder = trt.Builder(log)
    network = builder.create_network(strongly_typed_flags(trt))
    parser = trt.OnnxParser(network, log)
    assert parser.parse(graphs["fp16", form].read_bytes())
    kinds = trt.LayerType
    layers = [network.get_layer(place) for place in range(network.num_layers)]
    types = [
        None
        if layer.type in {kinds.CAST, kinds.CONSTANT}
        else network.get_layer(place).get_output(0).dtype
        for place, layer in enumerate(layers)
    ]
    expected = [place for place, dtype in enumerate(types) if dtype == trt.DataType.FLOAT]

    assert float_layers(trt, network) == expected
    assert len(expected) > 5
    assert types.count(trt.DataType.HALF) > 50


@pytest.mark.parametrize("waveform", [False, True])
@pytest.mark.parametrize("kind", ["fp32", "int8+fp16"])
def test_a_model_with_an_arousal_builds(kind, waveform, rtx, tmp_path):
    path = write_network(tmp_path / "both.onnx", card=both_card(), waveform=waveform)
    if kind != "fp32":
        quantizer = Quantizer(open_source(path), calibration_of(both_card()))
        path = tmp_path / "both.int8+fp16.onnx"
        onnx.save(quantizer.quantize(QuantizeConfig(fp16=True), Gate(1.0, 0.0)).model, path)
    out = tmp_path / "m.engine"
    manifest = build(path, out, kind, ["8.6"])

    assert read_engine(out) == (manifest, out.read_bytes())
    assert manifest.card == both_card(input=manifest.card.input)
    assert manifest.card.arousal
    assert manifest.shapes.input == ("waveform" if waveform else "features")
