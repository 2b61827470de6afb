"""The real thing, `make gpu-test`: build, load, compare with ONNX Runtime, run for long, report.

Figures go to benchmarks/results/gpu-NAME.json; of them only differences and memory are asserted.
"""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from engine_graphs import make_graph
from support import ROOT, skip_or_fail

import edge_ser
from edge_ser._util.files import write_text
from edge_ser.errors import MissingDependency
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.machine.cuda_device import CudaDevice
from edge_ser.tensorrt.build import build_engine
from edge_ser.tensorrt.cuda import open_cuda
from edge_ser.tensorrt.manifest import EngineConfig, EngineManifest
from edge_ser.tensorrt.runner import TensorRTRunner

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]

KINDS = ("fp32", "fp16", "int8")
N_CALLS = 10_000
N_TIMED = 1000

TOLERANCE = {"fp32": 2e-3, "fp16": 5e-2, "int8": 0.5}
"""Largest difference of a logit from ONNX Runtime's on the same file. INT8 rounds at places that each
runtime fuses in its own way."""

LEAK_BYTES = {False: 2 << 20, True: 32 << 20}
"""Growth that is none, by whether the GPU shares the board's memory, which others use too. One input
left behind in each call would be hundreds of MB."""


class Built:
    """An engine of the bundled model, and what its ONNX file gives."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind, self.path = kind, folder / f"{kind}.engine"
        onnx = make_graph(folder, kind, "features")
        begin = time.perf_counter()
        self.manifest: EngineManifest = build_engine(
            onnx, self.path, EngineConfig(kind, batch=(1, 1, 4)), on_message=lambda *_: None
        )
        self.build_s = time.perf_counter() - begin
        self.reference = OnnxRunner(onnx)

    def inputs(self, batch: int, n_frames: int) -> np.ndarray:
        """Return float32 [batch, n_features, n_frames], as different as features are."""
        shape = (batch, self.manifest.card.frontend.n_features, n_frames)
        return np.random.default_rng(n_frames).normal(size=shape).astype(np.float32)

    def usual(self) -> np.ndarray:
        """Return an input of the shape that the engine is tuned for."""
        return self.inputs(1, self.manifest.shapes.optimum[2])


@pytest.fixture(scope="module")
def report(gpu: CudaDevice) -> Iterator[dict[str, Any]]:
    """Measurements, written at the end even if a test fails."""
    found: dict[str, Any] = {
        "edge_ser": edge_ser.__version__,
        "gpu": gpu.name,
        "compute_capability": gpu.compute_capability,
        "cuda_of_driver": gpu.cuda,
        "host": platform.platform(),
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
        "latency": f"ms of one run() of one window, {N_TIMED} after 50 for warming up, host to host",
        "engines": {},
    }
    yield found
    name = re.sub(r"\W+", "-", gpu.name).strip("-").lower()
    write_text(
        ROOT / "benchmarks" / "results" / f"gpu-{name}.json", json.dumps(found, indent=1) + "\n"
    )


@pytest.fixture(scope="module", params=KINDS)
def built(request, gpu, report, tmp_path_factory) -> Built:
    try:
        made = Built(tmp_path_factory.mktemp(request.param), request.param)
    except MissingDependency as error:
        skip_or_fail(str(error))
    by = made.manifest.built_by
    report["engines"].setdefault(made.kind, {}).update(
        tensorrt=f"{by.module} {by.version}",
        build_s=round(made.build_s, 2),
        engine_bytes=made.manifest.engine_bytes,
    )
    return made


@pytest.fixture(params=("cuda-python", "pycuda"))
def cuda(request, gpu) -> str:
    """Each package for CUDA; pycuda where it is installed, cuda-python in any case."""
    try:
        open_cuda(request.param).close()
    except MissingDependency as error:
        if request.param == "pycuda":
            pytest.skip(str(error))
        skip_or_fail(str(error))
    return request.param


@pytest.fixture
def messages() -> list[tuple[str, str]]:
    """Messages of a runner."""
    return []


def opened(
    built: Built, cuda: str, messages: list[tuple[str, str]], **options: Any
) -> TensorRTRunner:
    """Open an engine."""
    return TensorRTRunner(built.path, cuda, on_message=lambda *m: messages.append(m), **options)


def test_logits_are_onnx_runtimes(built, cuda, messages, report):
    runner = opened(built, cuda, messages)
    low, high = built.manifest.shapes.minimum[2], built.manifest.shapes.maximum[2]
    worst = 0.0
    for n_frames in (high, high, low, low, (low + high) // 2, high, high, low):
        for batch in (1, 4):
            x = built.inputs(batch, n_frames)
            difference = np.abs(runner.run(x) - built.reference.run(x))
            worst = max(worst, float(difference.max()))
    runner.close()
    report["engines"][built.kind][f"max_difference_{cuda}"] = worst

    assert worst <= TOLERANCE[built.kind]


def test_a_graph_changes_nothing(built, messages, report):
    """Also where shapes take turns, of which each has its own graph."""
    with_graph = opened(built, "cuda-python", messages)
    without = opened(built, "cuda-python", messages, cuda_graph=False)
    low, high = built.manifest.shapes.minimum[2], built.manifest.shapes.maximum[2]
    for n_frames in (high, high, high, low, low, high, high, low, low, low):
        x = built.inputs(1, n_frames)
        np.testing.assert_allclose(with_graph.run(x), without.run(x), rtol=1e-5, atol=1e-5)
    report["engines"][built.kind]["backend"] = with_graph.backend

    assert "CUDA graph" in with_graph.backend, messages
    assert "CUDA graph" not in without.backend


def test_ten_thousand_calls_leave_no_memory_behind(built, cuda, messages, report):
    runner = opened(built, cuda, messages)
    x = built.usual()
    first = [runner.run(x) for _ in range(50)][-1]
    before = runner.device_memory()
    for _ in range(N_CALLS):
        last = runner.run(x)
    after = runner.device_memory()
    report["engines"][built.kind][f"memory_{cuda}"] = {
        "calls": N_CALLS,
        "before_bytes": before.used,
        "after_bytes": after.used,
        "total_bytes": after.total,
    }

    np.testing.assert_array_equal(last, first)
    api = open_cuda(cuda)
    limit = LEAK_BYTES[api.is_integrated]
    api.close()
    assert after.used - before.used <= limit


def test_closing_gives_the_memory_back(built, cuda, messages):
    """Opened and closed in turn: what stays with the driver after the first does not grow."""
    used = []
    keeper = opened(built, cuda, messages)
    for _ in range(10):
        runner = opened(built, cuda, messages)
        runner.run(built.usual())
        runner.close()
        used.append(keeper.device_memory().used)
    assert used[-1] - used[1] <= 32 << 20


@pytest.mark.parametrize("graph", [True, False])
def test_how_long_it_takes(built, cuda, graph, messages, report):
    if graph and cuda == "pycuda":
        pytest.skip("pycuda has no CUDA graphs")
    runner = opened(built, cuda, messages, cuda_graph=graph)
    x = built.usual()
    for _ in range(50):
        runner.infer_timed(x)
    times = np.empty(N_TIMED)
    for turn in range(N_TIMED):
        begin = time.perf_counter_ns()
        runner.run(x)
        times[turn] = (time.perf_counter_ns() - begin) / 1e6
    steps = [runner.infer_timed(x)[1] for _ in range(N_TIMED)]
    inference = [step.inference_ms for step in steps]
    assert min(inference) > 0
    assert all(step.to_device_ms >= 0 and step.to_host_ms >= 0 for step in steps)
    name = f"latency_{cuda}_{'graph' if graph else 'enqueued'}"
    report["engines"][built.kind][name] = {
        "p50_ms": round(float(np.percentile(times, 50)), 4),
        "p99_ms": round(float(np.percentile(times, 99)), 4),
        "gpu_inference_p50_ms": round(float(np.percentile(inference, 50)), 4),
    }


def test_without_copies_the_logits_are_the_same(built, cuda, messages):
    api = open_cuda(cuda)
    integrated = api.is_integrated
    api.close()
    if not integrated:
        pytest.skip("this GPU has memory of its own")
    copied, shared = opened(built, cuda, messages), opened(built, cuda, messages, zero_copy=True)
    for _ in range(3):
        np.testing.assert_array_equal(shared.run(built.usual()), copied.run(built.usual()))


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_onnx_runtime_on_the_gpu(device, gpu, report, tmp_path):
    """Skipped unless ONNX Runtime was built with these providers, which it rarely is on a Jetson."""
    onnx = make_graph(tmp_path, "fp32", "features")
    reference = OnnxRunner(onnx)
    try:
        runner = OnnxRunner(onnx, device=device)
    except MissingDependency as error:
        report[f"onnxruntime_{device}"] = str(error)
        # No extra of edge-ser brings it: that it is absent is no failure, that it does not work is one.
        pytest.skip(str(error))
    shape = (1, reference.card.frontend.n_features, 100)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    difference = float(np.abs(runner.run(x) - reference.run(x)).max())
    report[f"onnxruntime_{device}"] = {"backend": runner.backend, "max_difference": difference}

    assert difference <= TOLERANCE["fp32"]
