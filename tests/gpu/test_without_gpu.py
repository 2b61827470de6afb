"""`make gpu-test` where there is no GPU: it says so, and does not pass."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support import ROOT


@pytest.mark.parametrize("strict", ["0", "1"])
def test_without_a_gpu_the_gpu_tests_do_not_pass(strict, tmp_path):
    # CUDA itself hides the GPU from a process that is asked to, if there is one.
    hidden = {"CUDA_VISIBLE_DEVICES": "", "EDGE_SER_STRICT": strict}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", "tests/gpu"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **hidden},
    )

    assert "no NVIDIA GPU" in done.stdout
    assert " passed" not in done.stdout
    assert done.returncode == int(strict)
