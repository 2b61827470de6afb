"""ONNX Runtime sessions with common options, on a given device."""

from __future__ import annotations

import onnxruntime as ort

from edge_ser.errors import EngineError, MissingDependency

PROVIDERS = {
    "auto": ("CPUExecutionProvider",),
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider",),
    # CUDA runs the nodes that TensorRT rejects.
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
}
"""Execution providers by device, the required one first. ONNX Runtime appends its CPU provider, for
nodes that the others do not support."""

_ERRORS_ONLY = 3


def session_options(threads: int = 1, *, optimized: bool = True) -> ort.SessionOptions:
    """Return the session options.

    Args:
        threads: CPU threads for one inference.
        optimized: False to run the graph as it is written, without fusions.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # A spinning worker would occupy a core of a small device between two windows.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without VNNI, x86 adds two 8-bit products in 16 bits, which saturates and doubles the INT8 error.
    # Unsigned weights avoid it. The entry has no effect elsewhere.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def open_session(
    model: str | bytes, threads: int = 1, device: str = "auto", *, optimized: bool = True
) -> ort.InferenceSession:
    """Open a model.

    Args:
        model: the path of an ONNX file, or its bytes.
        threads: CPU threads for one inference.
        device: a key of `PROVIDERS`; auto is the CPU.
        optimized: False to run the graph as it is written, without fusions.

    Raises:
        MissingDependency: ONNX Runtime lacks the provider of this device.
        EngineError: the provider cannot be used; there is no fallback.
    """
    providers = PROVIDERS[device]
    require_provider(providers[0], device)
    options = session_options(threads, optimized=optimized)
    session = ort.InferenceSession(model, options, providers=list(providers), enable_fallback=0)
    actual = session.get_providers()
    if actual[:1] != [providers[0]]:
        raise EngineError(
            f"expected a session of ONNX Runtime {ort.__version__} with {providers[0]}, got "
            f"{', '.join(actual) or 'no provider'}: a required library does not load (CUDA, cuDNN or "
            "TensorRT of the version that onnxruntime-gpu was built for); install it, or use "
            "device cpu"
        )
    return session


def require_provider(provider: str, device: str) -> None:
    """Check that ONNX Runtime was built with a provider.

    Raises:
        MissingDependency: it was not; the message names the package, on a PC and on a Jetson.
    """
    available = ort.get_available_providers()
    if provider in available:
        return
    raise MissingDependency(
        f"{provider} of ONNX Runtime (device {device}; {ort.__version__} has {', '.join(available)})",
        "on a PC run: pip uninstall onnxruntime, then pip install onnxruntime-gpu; on a Jetson, for "
        "which PyPI has no onnxruntime-gpu, run an engine (edge-ser build-engine) or take the wheel "
        "from NVIDIA's index for its JetPack; or use device cpu",
    )
