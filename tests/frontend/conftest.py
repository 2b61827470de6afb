"""Each kernel in its turn: what a front end promises, both keep."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from front_ends import compilable
from support import skip_or_fail

from edge_ser.frontend.compiled import CompiledKernel, NotCompiled
from edge_ser.frontend.in_numpy import NumpyKernel


@pytest.fixture(scope="module", params=["compiled", "NumPy"])
def each_kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    """Let everything compute by one of them, and say which.

    Front ends that cannot be compiled are computed by NumPy both times.
    """

    def chosen(config):
        if request.param == "compiled":
            try:
                return CompiledKernel(config)
            except NotCompiled as error:
                if compilable(config):
                    skip_or_fail(str(error))
        return NumpyKernel(config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge_ser.frontend.offline.kernel_for", chosen)
        patch.setattr("edge_ser.frontend.streaming.kernel_for", chosen)
        yield request.param
