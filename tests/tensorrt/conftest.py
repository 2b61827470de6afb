"""A device and a TensorRT that are not there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from fake_tensorrt import FakeTensorRT

from edge_ser.machine.cuda_device import CudaDevice

ORIN = CudaDevice("Orin Nano", "8.7", "12.6")


@pytest.fixture
def on_orin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a GPU be found."""
    for module in ("edge_ser.tensorrt.build", "edge_ser.tensorrt.engine"):
        monkeypatch.setattr(f"{module}.cuda_device", lambda: ORIN)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeTensorRT]:
    """Install a fake TensorRT as the only one there is."""

    def install(version: str, **script: Any) -> FakeTensorRT:
        fake = FakeTensorRT(version, **script)
        for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
            monkeypatch.setitem(sys.modules, name, fake if name == fake.__name__ else None)
        return fake

    return install
