"""cuda-python: the names that are used exist, the fake is like it, and errors are CUDA's."""

from __future__ import annotations

import ast
import inspect
import re

import numpy as np
import pytest
from fake_cuda import DRIVER, FakeDriver, FakeGpu
from support import ROOT, skip_or_fail

from edge_ser.errors import EngineError
from edge_ser.machine.cuda_device import cuda_device
from edge_ser.tensorrt.cuda.cuda_python import CudaPython, import_driver

SOURCE = ROOT / "edge_ser" / "tensorrt" / "cuda" / "cuda_python.py"


def used() -> set[str]:
    """Return what the source uses of the driver's module, dotted: cuInit, CUresult.CUDA_SUCCESS."""

    def name(node: ast.AST) -> str | None:
        if isinstance(node, ast.Attribute):
            owner = name(node.value)
            if ast.unparse(node) == "self._driver":
                return ""
            return None if owner is None else f"{owner}.{node.attr}".lstrip(".")
        return "" if isinstance(node, ast.Name) and node.id == "driver" else None

    tree = ast.parse(SOURCE.read_text())
    return {found for node in ast.walk(tree) if (found := name(node))}


@pytest.fixture(scope="module")
def real():
    """The real package; it can be looked at without a driver."""
    try:
        return import_driver()
    except ImportError:
        skip_or_fail("cuda-python is not installed; pip install cuda-bindings")


def has(module, dotted: str) -> bool:
    """Return whether a module has a name; `.value` of an enum's member counts as there."""
    for part in dotted.split("."):
        if not hasattr(module, part):
            return False
        module = getattr(module, part)
    return True


def test_the_walk_sees_what_is_used():
    names = used()
    assert {
        "cuInit",
        "cuMemHostAlloc",
        "CUresult.CUDA_SUCCESS",
        "CU_MEMHOSTALLOC_DEVICEMAP",
        "CUstream_flags.CU_STREAM_NON_BLOCKING.value",
    } <= names
    assert {name for name in names if name.startswith("cu")} == set(DRIVER)


def test_every_name_exists(real):
    assert [name for name in sorted(used()) if not has(real, name)] == []
    assert not has(real, "cuMemHostAlloc2"), "and one that does not is seen"


@pytest.mark.parametrize("name", DRIVER)
def test_the_fake_takes_as_many_arguments(name, real):
    signature = re.match(rf"{name}\((.*?)\)", getattr(real, name).__doc__)
    assert signature is not None
    n_parameters = len([part for part in signature[1].split(",") if part.strip()])
    assert len(inspect.signature(getattr(FakeGpu(), name)).parameters) == n_parameters


def test_the_fakes_numbers_are_cudas(real):
    for kind in ("CUresult", "CUdevice_attribute", "CUstream_flags", "CUevent_flags"):
        for member in getattr(FakeDriver, kind):
            assert int(getattr(getattr(real, kind), member.name)) == member.value
    for member in FakeDriver.CUstreamCaptureMode:
        assert int(getattr(real.CUstreamCaptureMode, member.name)) == member.value
    assert real.CU_MEMHOSTALLOC_DEVICEMAP == FakeDriver.CU_MEMHOSTALLOC_DEVICEMAP


def test_the_real_package_without_a_driver(real):
    if cuda_device() is not None:
        pytest.skip("there is a driver; see tests/gpu")
    with pytest.raises(EngineError, match=r"no driver|NO_DEVICE|STUB") as raised:
        CudaPython(real)
    assert "NVIDIA driver" in str(raised.value)


@pytest.fixture
def gpu():
    return FakeGpu()


@pytest.fixture
def cuda(gpu):
    return CudaPython(FakeDriver(gpu))


USES = {
    "cuMemGetInfo": lambda cuda: cuda.memory(),
    "cuStreamCreate": lambda cuda: cuda.open_stream(),
    "cuMemHostAlloc": lambda cuda: cuda.allocate_host(12),
    "cuMemAlloc": lambda cuda: cuda.allocate_device(1200),
    "cuEventCreate": lambda cuda: cuda.open_event(),
    "cuCtxPushCurrent": lambda cuda: cuda.__enter__(),
}


@pytest.mark.parametrize("function", USES)
def test_an_error_has_cudas_name_what_was_done_and_what_to_do(function, gpu, cuda):
    with cuda:
        gpu.fail(function, "CUDA_ERROR_OUT_OF_MEMORY")
        with pytest.raises(EngineError) as raised:
            USES[function](cuda)
    assert re.fullmatch(
        r"CUDA failed with CUDA_ERROR_OUT_OF_MEMORY while \w+ .* \(cuda-python .*\); "
        r"free some: .*",
        str(raised.value),
    )
    if "Alloc" in function:
        assert re.search(r"allocating [\d,]+ bytes", str(raised.value))


def test_an_error_of_a_newer_driver(gpu, cuda):
    """Error that the package has no name for."""
    driver = FakeDriver(gpu)
    driver.cuMemGetInfo = lambda: (4711, None, None)
    cuda = CudaPython(driver)
    with cuda, pytest.raises(EngineError, match=r"\b4711\b"):
        cuda.memory()


def test_a_missing_library():
    class Missing(RuntimeError):
        """As cuda-bindings has its own."""

    driver = FakeDriver(FakeGpu())

    def start(_):
        raise Missing("libcuda.so.1: error 2\nsee there")

    driver.cuInit = start
    with pytest.raises(EngineError, match=r"\(libcuda\.so\.1: error 2\)"):
        CudaPython(driver)


def test_host_memory_is_an_array(gpu, cuda):
    with cuda:
        buffer = cuda.allocate_host(12)
        buffer.array.view(np.float32)[:] = [1, 2, 3]
        assert buffer.array.nbytes == 12
        assert buffer.array.ctypes.data == int(buffer.handle)
        cuda.free_host(buffer)
    cuda.close()
    assert gpu.n_live() == 0
    assert gpu.wrongs == []


def test_what_work_raises_within_a_capture(gpu, cuda):
    """It comes out, and the stream can be used as before."""
    with cuda:
        stream = cuda.open_stream()

        def work():
            raise KeyboardInterrupt

        for gpu.capture_is_void in (False, True):
            with pytest.raises(KeyboardInterrupt):
                cuda.capture(stream, work)
            cuda.synchronise(stream)
        cuda.close_stream(stream)
    assert +gpu.live == {"context": 1}


def test_closing(gpu, cuda):
    cuda.close()
    cuda.close()
    assert gpu.n_live() == 0
    with pytest.raises(EngineError, match="CUDA was closed"):
        cuda.__enter__()
