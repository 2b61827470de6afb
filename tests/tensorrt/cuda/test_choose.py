"""Choice of the CUDA package, and the error if none can be imported."""

from __future__ import annotations

import sys

import pytest
from fake_machine import Machine

from edge_ser.errors import ConfigError, EngineError, MissingDependency
from edge_ser.tensorrt.cuda import CHOICES, open_cuda


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that sets up a machine with one package for CUDA, both, or none."""
    return lambda package: Machine(monkeypatch, tmp_path, package=package)


@pytest.mark.parametrize(
    ("there", "choice", "taken"),
    [
        ("both", "auto", "cuda-python"),
        ("pycuda", "auto", "pycuda 2026.1"),
        ("both", "pycuda", "pycuda 2026.1"),
        ("both", "cuda-python", "cuda-python"),
    ],
)
def test_cuda_python_is_preferred(there, choice, taken, machine):
    here = machine(there)
    cuda = open_cuda(choice)
    assert cuda.name.startswith(taken)
    assert cuda.has_graphs == taken.startswith("cuda-python")
    cuda.close()
    assert here.gpu.n_live() == 0


def test_the_names_of_older_packages(machine, monkeypatch):
    """cuda-python before 12.6 has its driver elsewhere."""
    machine("both")
    monkeypatch.setitem(sys.modules, "cuda.cuda", sys.modules["cuda.bindings.driver"])
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    assert open_cuda("cuda-python").name.startswith("cuda-python")


@pytest.mark.parametrize("choice", CHOICES)
def test_no_package(choice, machine):
    machine("none")
    with pytest.raises(MissingDependency) as raised:
        open_cuda(choice)
    message = str(raised.value)
    assert "edge-ser[tensorrt]" in message
    assert "edge-ser[pycuda]" in message
    for name, module in (("cuda-python", "cuda.cuda"), ("pycuda", "pycuda.driver")):
        assert (f"{name}: import of {module} halted" in message) == (choice in {"auto", name})


def test_no_such_choice():
    with pytest.raises(ConfigError, match=r"\bauto, cuda-python, pycuda\b.*'cupy'"):
        open_cuda("cupy")


@pytest.mark.parametrize("package", ["cuda-python", "pycuda"])
def test_no_gpu(package, machine):
    here = machine(package)
    here.gpu.fail("cuInit", "CUDA_ERROR_NO_DEVICE")
    with pytest.raises(EngineError, match=r"(NO_DEVICE|no device) .*\bNVIDIA driver\b"):
        open_cuda()
