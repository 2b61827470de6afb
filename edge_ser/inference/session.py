"""Opens ONNX Runtime sessions: the same options, on the device that was asked for."""

from __future__ import annotations

import onnxruntime as ort

from edge_ser.errors import EngineError, MissingDependency

PROVIDERS = {
    "auto": ("CPUExecutionProvider",),
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider",),
    # CUDA takes the nodes that TensorRT refuses.
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
}
"""Execution providers by device, the wanted one first. ONNX Runtime itself adds its CPU's at the end,
for the little that even the others leave to it."""

_ERRORS_ONLY = 3


def session_options(threads: int = 1, *, optimized: bool = True) -> ort.SessionOptions:
    """Return the options of every session.

    Args:
        threads: CPU threads for one inference.
        optimized: False to run the graph as it is written, without fusions.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # A spinning worker would burn a core of a small device between two windows.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without VNNI, x86 adds two products of 8 bits in 16, which saturates: twice the error in INT8.
    # Unsigned weights do not. It has no effect elsewhere.
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
        MissingDependency: an ONNX Runtime without the provider of this device.
        EngineError: the provider is there and cannot be used; nothing else takes its place.
    """
    wanted = PROVIDERS[device]
    require_provider(wanted[0], device)
    options = session_options(threads, optimized=optimized)
    session = ort.InferenceSession(model, options, providers=list(wanted), enable_fallback=0)
    got = session.get_providers()
    if got[:1] != [wanted[0]]:
        raise EngineError(
            f"{wanted[0]} was asked for, ONNX Runtime {ort.__version__} made a session of "
            f"{', '.join(got) or 'nothing'}: a library that it needs does not load (CUDA, cuDNN or "
            "TensorRT of the version that onnxruntime-gpu was built for); install it, or ask for "
            "device cpu"
        )
    return session


def require_provider(provider: str, device: str) -> None:
    """See that ONNX Runtime was built with a provider.

    Raises:
        MissingDependency: it was not; says which package brings it, on a PC and on a Jetson.
    """
    have = ort.get_available_providers()
    if provider in have:
        return
    raise MissingDependency(
        f"{provider} of ONNX Runtime (device {device}; {ort.__version__} here has {', '.join(have)})",
        "on a PC run: pip uninstall onnxruntime, then pip install onnxruntime-gpu; on a Jetson, for "
        "which PyPI has no onnxruntime-gpu, run an engine (edge-ser build-engine) or take the wheel "
        "from NVIDIA's index for its JetPack; or ask for device cpu",
    )
