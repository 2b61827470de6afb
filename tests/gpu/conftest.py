"""A real GPU, without which nothing here counts as passed."""

from __future__ import annotations

import pytest
from support import STRICT, skip_or_fail

from edge_ser.machine.cuda_device import CudaDevice, cuda_device

NO_GPU = "no NVIDIA GPU was found: nothing that needs one was tested"


@pytest.fixture(scope="session")
def gpu() -> CudaDevice:
    """The first GPU."""
    device = cuda_device()
    if device is None:
        skip_or_fail(NO_GPU)
    return device


def pytest_collection_finish(session: pytest.Session) -> None:
    """End with one sentence instead of an error for each test, where a GPU has to be there."""
    asked = any(item.get_closest_marker("gpu") for item in session.items)
    if asked and STRICT and cuda_device() is None:
        pytest.exit(f"EDGE_SER_STRICT=1 and {NO_GPU}; run this on the device", returncode=1)
