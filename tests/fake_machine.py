"""A machine with a GPU, a package for CUDA and a TensorRT, all fakes, and an engine that fits them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_cuda import FakeGpu, faces
from fake_tensorrt import FakeTensorRT
from support import make_card, write_engine

from edge_ser.card import ModelCard
from edge_ser.machine.cuda_device import CudaDevice
from edge_ser.tensorrt.manifest import BuiltBy, ProfileShapes
from edge_ser.tensorrt.runner import TensorRTRunner

PACKAGES = ("cuda-python", "pycuda")
ORIN = CudaDevice("Orin", "8.7", "12.6")
SHAPES = ProfileShapes("features", (1, 13, 22), (1, 13, 97), (2, 13, 97))


class Machine:
    """Fake machine; packages that it lacks cannot be imported.

    Args:
        monkeypatch: restores everything.
        folder: where the engine is written.
        version: one of `fake_tensorrt.VERSIONS`.
        package: one of PACKAGES, `both` or none.
        integrated: whether the GPU shares the memory of the CPU.
        card: of the model.
        shapes: its profile.
        script: of FakeTensorRT.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        folder: Path,
        version: str = "tensorrt 10.3",
        package: str = "cuda-python",
        *,
        integrated: bool = False,
        card: ModelCard | None = None,
        shapes: ProfileShapes = SHAPES,
        **script: Any,
    ) -> None:
        self.trt = FakeTensorRT(version, **script)
        self.events = self.trt.events
        self.gpu = self.trt.gpu = FakeGpu(self.events, integrated=integrated)
        self.messages: list[tuple[str, str]] = []
        for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
            monkeypatch.setitem(sys.modules, name, self.trt if name == self.trt.__name__ else None)
        monkeypatch.setitem(sys.modules, "cuda.cuda", None)
        for name, module in faces(self.gpu):
            there = package == "both" or name.startswith(package.partition("-")[0])
            monkeypatch.setitem(sys.modules, name, module if there else None)
        for module in ("engine", "runner"):
            monkeypatch.setattr(f"edge_ser.tensorrt.{module}.cuda_device", lambda: ORIN)
        self.path = write_engine(
            folder / "m.engine",
            built_by=BuiltBy(self.trt.__name__, self.trt.__version__, "12.6", ("8.7",), "Orin"),
            shapes=shapes,
            card=card or make_card(),
        )

    def open(self, **options: Any) -> TensorRTRunner:
        """Open the engine."""
        return TensorRTRunner(
            self.path, on_message=lambda *message: self.messages.append(message), **options
        )

    def free(self) -> bool:
        """Return whether nothing is open and nothing was done that must not be."""
        return not self.gpu.n_live() and not +self.trt.alive and not self.gpu.wrongs

    def since(self, index: int) -> list[str]:
        """Return what was called since an index of the journal, without changes of context."""
        return [event for event in self.events[index:] if "Ctx" not in event]


def inputs(batch: int = 1, n_frames: int = 97, seed: int = 0) -> np.ndarray:
    """Return float32 [batch, 13, n_frames]."""
    return np.random.default_rng(seed).normal(size=(batch, 13, n_frames)).astype(np.float32)
