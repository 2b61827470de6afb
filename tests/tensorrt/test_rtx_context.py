"""The kernels that TensorRT for RTX makes: kept beside the engine, and never in anybody's way."""

from __future__ import annotations

import numpy as np
import pytest
from fake_machine import Machine, inputs
from fake_tensorrt import VERSIONS, network

from edge_ser.tensorrt.session import rtx_cache_path

RTX = "tensorrt_rtx 1.7"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that sets up a machine."""
    return lambda version=RTX, *setting, **script: Machine(
        monkeypatch, tmp_path, version, *setting, **script
    )


def use(here, **options):
    """Open, run and close."""
    runner = here.open(**options)
    np.testing.assert_array_equal(runner.run(inputs()), network(inputs()))
    runner.close()
    assert here.free()


def test_kernels_are_kept_and_loaded_again(machine):
    here = machine()
    stored = rtx_cache_path(here.path)
    assert stored.name == "m.engine.rtx-cache"
    use(here)
    assert stored.read_bytes() == b"kernels"
    assert "IRuntimeCache.deserialize(…)" not in here.events

    use(here)
    loaded = here.events.index("IRuntimeCache.deserialize(…)")
    given = here.events.index("IRuntimeConfig.set_runtime_cache(…)", loaded)
    made = here.events.index("ICudaEngine.create_execution_context(runtime_config=…)", loaded)
    assert loaded < given < made
    assert here.messages == []


def test_a_cache_is_written_only_when_it_changed(machine):
    here = machine()
    use(here)
    stored = rtx_cache_path(here.path)
    written = stored.stat()
    use(here)
    assert stored.stat().st_ino == written.st_ino
    here.trt.kernels = b"more kernels"
    use(here)
    assert stored.read_bytes() == b"more kernels"
    assert sorted(p.name for p in here.path.parent.iterdir()) == [
        "m.engine",
        "m.engine.json",
        "m.engine.rtx-cache",
    ]


@pytest.mark.parametrize("takes", [False, RuntimeError("not a cache")])
def test_a_cache_that_does_not_fit_is_passed_over_and_replaced(machine, takes):
    here = machine(takes=takes)
    stored = rtx_cache_path(here.path)
    stored.write_bytes(b"of another GPU")
    use(here)
    ((level, text),) = here.messages
    assert level == "warning"
    assert "m.engine.rtx-cache " in text
    assert (str(takes) if isinstance(takes, Exception) else "another GPU") in text
    assert stored.read_bytes() == b"kernels"


def test_a_cache_that_cannot_be_read_or_written(machine):
    here = machine()
    rtx_cache_path(here.path).mkdir()
    use(here)
    assert [
        text
        for _, text in here.messages
        if "kernel cache" in text and str(rtx_cache_path(here.path)) in text
    ]


def test_nothing_to_keep(machine):
    here = machine(kernels=b"")
    use(here)
    assert not rtx_cache_path(here.path).exists()


@pytest.mark.parametrize("graphs", [True, False])
def test_captured_kernels_are_made_for_their_shape_at_once(machine, graphs):
    here = machine()
    use(here, cuda_graph=graphs)
    set_to = "IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy = EAGER"
    assert (set_to in here.events) == graphs


@pytest.mark.parametrize("version", [v for v in VERSIONS if v != RTX])
def test_no_other_version_hears_of_it(version, machine):
    here = machine(version)
    use(here)
    assert "ICudaEngine.create_execution_context()" in here.events
    assert not [event for event in here.events if "Runtime" in event and "Config" in event]
    assert not rtx_cache_path(here.path).exists()
