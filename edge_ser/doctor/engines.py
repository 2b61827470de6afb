"""Checks of the requirements of TensorRT engines, of building them, and of training."""

from __future__ import annotations

import importlib.util
import os

from edge_ser.doctor.check import MISSING, WARNING, Check, Examine, Probes
from edge_ser.errors import EdgeSerError, EngineError, MissingDependency
from edge_ser.machine.packages import SystemPackage, find_libraries, installed, system_package
from edge_ser.tensorrt.library import TensorRT, find_tensorrt

_TRAINING = ("torch", "librosa", "matplotlib", "safetensors", "scipy", "onnx")
"""Packages of the extra `train`; import name and package name are the same."""


def builder(here: Probes) -> Check:
    """TensorRT that can build engines: JetPack's with a GPU, or TensorRT for RTX without one."""
    on_jetson = here.facts.jetson is not None
    try:
        found = find_tensorrt("tensorrt" if on_jetson else "auto")
    except EdgeSerError:
        how = (
            "see TensorRT above"
            if on_jetson
            else "pip install 'edge-ser[tensorrt-rtx]', for RTX GPUs"
        )
        return Check("builder", "no TensorRT", MISSING, how)
    gpu = here.facts.gpu
    if found.is_rtx:
        return Check("builder", f"TensorRT for RTX {found.version}, needs no GPU to build")
    if gpu is None or gpu.name is None:
        return Check("builder", f"{found}, and no GPU to build for", MISSING, "build on the device")
    return Check("builder", f"{found}, for SM {gpu.compute_capability}")


def onnx(here: Probes) -> Check:  # noqa: ARG001
    """Package that reads and changes ONNX graphs."""
    return _extra("onnx", ("onnx",), "build")


def training(here: Probes) -> Check:  # noqa: ARG001
    """Packages of training. They are not imported, because torch alone takes seconds."""
    return _extra("packages", _TRAINING, "train")


def _extra(feature: str, packages: tuple[str, ...], extra: str) -> Check:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        how = f"python -m pip install 'edge-ser[{extra}]'"
        return Check(feature, f"not installed: {', '.join(missing)}", MISSING, how)
    versions = installed(packages)
    return Check(
        feature, ", ".join(f"{name} {versions.get(name, '')}".strip() for name in packages)
    )


BUILD_CHECKS: tuple[Examine, ...] = (builder, onnx)
TRAIN_CHECKS: tuple[Examine, ...] = (training,)


_NODES = (
    "dev/nvmap",
    "dev/nvhost-ctrl-gpu",
    "dev/nvhost-gpu",
    "dev/nvgpu/igpu0/ctrl",
    "dev/nvidia0",
    "dev/nvidiactl",
)
"""Device files that libcuda opens; a machine has those of its generation."""

_WITH_SYSTEM = "python3 -m venv --system-site-packages ~/ser, and install edge-ser there"


def driver(here: Probes) -> Check:
    """NVIDIA driver and the newest CUDA version that it supports."""
    gpu = here.facts.gpu
    if gpu is None and here.facts.jetson is None:
        how = "nothing to do without an NVIDIA GPU: files and microphone need none"
        return Check("NVIDIA driver", "none", MISSING, how)
    if gpu is None or gpu.name is None:
        loaded = gpu.driver if gpu and gpu.driver else "unknown"
        how = "in a container: docker run --runtime nvidia, or --gpus all; else install the driver"
        return Check("NVIDIA driver", f"{loaded}, but it exposes no GPU", MISSING, how)
    version = f"{gpu.driver}, " if gpu.driver else ""
    return Check("NVIDIA driver", f"{version}CUDA {gpu.cuda}")


def device(here: Probes) -> Check | None:
    """Name, compute capability and clock of the GPU."""
    gpu = here.facts.gpu
    if gpu is None or gpu.name is None:
        return None
    now = ""
    if gpu.state and gpu.state.clock_mhz and gpu.state.max_clock_mhz:
        now = f", now {gpu.state.clock_mhz:.0f} of {gpu.state.max_clock_mhz:.0f} MHz"
    return Check("GPU", f"{gpu.name}, SM {gpu.compute_capability}{now}")


def access(here: Probes) -> Check | None:
    """Whether this user may open the GPU."""
    there = [here.root / node for node in _NODES if (here.root / node).exists()]
    if not there:
        return None
    closed = [p.name for p in there if not os.access(p, os.R_OK | os.W_OK)]
    if closed:
        return Check(
            "GPU access",
            f"{', '.join(closed)} in /dev may not be opened by this user",
            MISSING,
            "sudo usermod -aG video,render $USER, then log in again",
        )
    return Check("GPU access", f"{', '.join(p.name for p in there)} open to this user")


def cuda_runtime(here: Probes) -> Check | None:
    """CUDA runtime library of JetPack; checked on a Jetson only."""
    if here.facts.jetson is None:
        return None
    paths = find_libraries("libcudart.so", here.root, here.run)
    if paths:
        return Check("CUDA runtime", paths[0])
    return Check("CUDA runtime", "libcudart not found", WARNING, "sudo apt install nvidia-jetpack")


def tensorrt(here: Probes) -> Check | None:
    """TensorRT of JetPack: in this environment, or only in the system's Python."""
    if _no_gpu(here):
        return None
    found, why = _find("tensorrt")
    if found:
        return Check("TensorRT", f"{found.version}, in this environment")
    if here.facts.jetson is None and _find("tensorrt_rtx")[0]:
        return None
    system = system_package("tensorrt", here.root)
    if system and not here.facts.sees_system_packages:
        return Check("TensorRT", _outside(system), MISSING, _how_to_see(system))
    if here.facts.jetson is None:
        how = "for an RTX GPU: python -m pip install 'edge-ser[tensorrt-rtx]'"
    else:
        how = f"sudo apt install python3-libnvinfer, then {_WITH_SYSTEM}"
    return Check("TensorRT", why, MISSING, how)


def tensorrt_rtx(here: Probes) -> Check | None:
    """TensorRT for RTX, for GPUs other than Jetson."""
    found, _ = _find("tensorrt_rtx")
    if found is None:
        return None
    if here.facts.jetson is not None:
        how = "use JetPack's TensorRT: edge-ser build-engine --tensorrt tensorrt"
        return Check(
            "TensorRT for RTX", f"{found.version}; no Jetson runs its engines", WARNING, how
        )
    return Check("TensorRT for RTX", found.version)


def cuda_python(here: Probes) -> Check | None:
    """Package for CUDA calls."""
    if _no_gpu(here):
        return None
    packages = here.facts.packages
    bindings = packages.get("cuda-bindings") or packages.get("cuda-python")
    cuda = here.facts.gpu.cuda if here.facts.gpu else None
    if bindings and cuda and int(bindings.split(".")[0]) > int(cuda.split(".")[0]):
        major = cuda.split(".")[0]
        return Check(
            "cuda-python",
            f"{bindings}, newer than the driver's CUDA {cuda}",
            MISSING,
            f"python -m pip install 'cuda-python=={major}.*'",
        )
    if bindings:
        return Check("cuda-python", bindings)
    if pycuda := packages.get("pycuda"):
        return Check("cuda-python", f"not installed; pycuda {pycuda} is used")
    extra = "tensorrt-rtx" if here.facts.jetson is None else "tensorrt"
    return Check(
        "cuda-python", "not installed", MISSING, f"python -m pip install 'edge-ser[{extra}]'"
    )


def _no_gpu(here: Probes) -> bool:
    """Return whether GPU packages do not apply; the check `driver` reports the reason."""
    return here.facts.gpu is None and here.facts.jetson is None


def _find(name: str) -> tuple[TensorRT | None, str]:
    """Return the TensorRT of this environment, or the reason why it is missing."""
    try:
        return find_tensorrt(name), ""
    except EngineError as error:
        return None, str(error)
    except MissingDependency as error:
        # After the name of the package follows the reason why it cannot be used.
        why = str(error).partition(" is needed for this")[0].partition("; ")[2]
        return None, why or "not installed"


def _outside(system: SystemPackage) -> str:
    version = f"{system.version} " if system.version else ""
    return f"{version}only in the system's Python ({system.folder}), which this environment does not see"


def _how_to_see(system: SystemPackage) -> str:
    if system.fits:
        return _WITH_SYSTEM
    return f"make the environment with Python {system.python}: " + _WITH_SYSTEM.replace(
        "python3", f"/usr/bin/python{system.python}"
    )


CHECKS: tuple[Examine, ...] = (
    driver,
    device,
    access,
    cuda_runtime,
    tensorrt,
    tensorrt_rtx,
    cuda_python,
)
