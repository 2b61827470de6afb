"""A model runs on the requested device, or an error names what is missing: no silent fallback."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from edge_ser.errors import ConfigError, EngineError, MissingDependency, ModelError
from edge_ser.inference.loader import DEVICES, open_runner
from edge_ser.inference.session import PROVIDERS, session_options
from edge_ser.recognition.recognizer import Recognizer

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
GPU = {"cuda": CUDA, "tensorrt": TENSORRT}


@pytest.fixture
def runtime(monkeypatch):
    """Return a function that lets ONNX Runtime have providers and make sessions of some of them."""

    def runtime(have, makes):
        asked = []
        monkeypatch.setattr(ort, "get_available_providers", lambda: have)
        real = ort.InferenceSession

        class Session:
            def __init__(self, model, options, providers, **more):
                asked.append((tuple(providers), more))
                if isinstance(makes, Exception):
                    raise makes
                self._session = real(model, options, providers=[CPU])

            def get_providers(self):
                return makes

            def __getattr__(self, name):
                return getattr(self._session, name)

        monkeypatch.setattr(ort, "InferenceSession", Session)
        return asked

    return runtime


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_the_cpu(tiny_model, device):
    runner = open_runner(tiny_model, device=device)
    assert runner.backend == f"onnxruntime {ort.__version__}, cpu"


@pytest.mark.parametrize("device", GPU)
def test_a_provider_that_is_not_installed(tiny_model, runtime, device):
    asked = runtime([CPU], [CPU])
    with pytest.raises(MissingDependency) as raised:
        open_runner(tiny_model, device=device)
    message = str(raised.value)
    for part in (GPU[device], "onnxruntime-gpu", "on a Jetson", "build-engine", "device cpu"):
        assert part in message
    assert f"has {CPU}" in message
    assert asked == []


def test_the_onnxruntime_that_is_installed_has_no_gpu_in_the_tests(tiny_model):
    if CUDA in ort.get_available_providers():
        pytest.skip("this one has; see tests/gpu")
    with pytest.raises(MissingDependency, match="onnxruntime-gpu"):
        Recognizer(tiny_model, device="cuda")


@pytest.mark.parametrize("device", GPU)
@pytest.mark.parametrize("made", [[CPU], []])
def test_a_session_that_fell_back_is_refused(tiny_model, runtime, device, made):
    """So ONNX Runtime does where a library of CUDA's does not load."""
    runtime([TENSORRT, CUDA, CPU], made)
    with pytest.raises(EngineError, match=rf"\b{GPU[device]}, got .*\bonnxruntime-gpu\b"):
        open_runner(tiny_model, device=device)


def test_tensorrt_that_fell_back_to_cuda_is_refused(tiny_model, runtime):
    runtime([TENSORRT, CUDA, CPU], [CUDA, CPU])
    with pytest.raises(EngineError, match=rf"\b{TENSORRT}, got {CUDA}, {CPU}\b"):
        open_runner(tiny_model, device="tensorrt")


@pytest.mark.parametrize("device", GPU)
def test_a_gpu_that_fails_is_not_the_models_fault(tiny_model, runtime, device):
    runtime([TENSORRT, CUDA, CPU], RuntimeError("CUDA failure 35: driver\nat …"))
    with pytest.raises(EngineError, match=rf"on {device} \(CUDA failure 35: driver\)"):
        open_runner(tiny_model, device=device)


@pytest.mark.parametrize(
    ("device", "providers"), [("cuda", (CUDA,)), ("tensorrt", (TENSORRT, CUDA))]
)
def test_a_session_on_the_gpu(tiny_model, runtime, device, providers):
    asked = runtime([TENSORRT, CUDA, CPU], [*providers, CPU])
    runner = open_runner(tiny_model, device=device)
    assert asked == [(providers, {"enable_fallback": 0})]
    assert runner.backend == f"onnxruntime {ort.__version__}, {device}"
    assert runner.run(np.ones((1, 13, 50), np.float32)).shape == (1, 3)


def test_devices_are_checked(tiny_model):
    with pytest.raises(ConfigError, match=r"\bdevice\b.*\bauto, cpu, cuda, tensorrt\b.*'gpu'"):
        open_runner(tiny_model, device="gpu")
    assert tuple(PROVIDERS) == DEVICES


@pytest.mark.parametrize("device", DEVICES)
def test_a_file_of_another_kind(tmp_path, device):
    (tmp_path / "m.pt").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"\.onnx\b.*\.engine\b.*\.plan\b.*/m\.pt\b"):
        open_runner(tmp_path / "m.pt", device=device)


def test_the_options_of_every_session():
    options = session_options(threads=3)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
