"""The TensorRT runner on a fake GPU: what is called when, allocated and freed, and what fails how."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from fake_machine import ORIN, PACKAGES, SHAPES, Machine, inputs
from fake_tensorrt import AROUSAL_TENSORS, VERSIONS, arousal_of, network
from networks import both_card
from support import make_card

from edge_ser.errors import ConfigError, EngineError, ModelError
from edge_ser.inference.loader import open_runner
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.tensorrt.manifest import EngineConfig, ProfileShapes
from edge_ser.tensorrt.runner import TensorRTRunner
from edge_ser.tensorrt.session import MAX_GRAPHS
from edge_ser.tensorrt.targets import profile_shapes

EACH = [(version, package) for version in VERSIONS for package in PACKAGES]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that sets up a machine."""
    return lambda *setting, **script: Machine(monkeypatch, tmp_path, *setting, **script)


def in_thread(function):
    """Return what a function returns or raises in another thread, of which no context may be left."""
    got = []

    def work():
        try:
            got.append(function())
        except EngineError as error:
            got.append(error)

    thread = threading.Thread(target=work, name="other")
    thread.start()
    thread.join()
    return got[0]


# --- calls in their order ------------------------------------------------------------------


@pytest.mark.parametrize(("version", "package"), EACH)
def test_every_version_on_every_package_gives_the_networks_logits(version, package, machine):
    here = machine(version, package)
    runner = here.open()
    for batch, n_frames in [(1, 97), (1, 97), (1, 97), (2, 22), (1, 50), (2, 22), (1, 97)]:
        x = inputs(batch, n_frames, seed=batch * n_frames)
        logits = runner.run(x)
        assert (logits.dtype, logits.flags.owndata) == (np.float32, True)
        np.testing.assert_array_equal(logits, network(x))
    runner.close()

    assert here.free()
    assert here.gpu.contexts() == []


@pytest.mark.parametrize(("version", "package"), EACH)
def test_the_order_of_calls(version, package, machine):
    here = machine(version, package)
    runner = here.open()
    opened = len(here.events)
    runner.run(inputs(1, 50))
    first = here.since(opened)
    plain = len(here.events)
    runner.run(inputs(1, 50))
    second = here.since(plain)
    settled = len(here.events)
    runner.run(inputs(1, 50))

    on_rtx = version.startswith("tensorrt_rtx")
    copies = ["cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync"]
    assert [e.partition("(")[0].removeprefix("IExecutionContext.") for e in first] == [
        "set_input_shape",
        "get_tensor_shape",
        "set_tensor_address",
        "set_tensor_address",
        copies[0],
        "execute_async_v3",
        copies[1],
        "cuStreamSynchronize",
    ]
    assert first[0] == "IExecutionContext.set_input_shape('features', (1, 13, 50))"
    graphs = package == "cuda-python"
    if graphs:
        assert [e.partition("(")[0].removeprefix("IExecutionContext.") for e in second] == [
            copies[0],
            *(["is_stream_capturable"] if on_rtx else []),
            "cuStreamBeginCapture",
            "execute_async_v3",
            "cuStreamEndCapture",
            "cuGraphInstantiate",
            "cuGraphDestroy",
            "cuGraphLaunch",
            copies[1],
            "cuStreamSynchronize",
        ]
    third = [e.partition("(")[0] for e in here.since(settled)]
    launch = "cuGraphLaunch" if graphs else "IExecutionContext.execute_async_v3"
    assert third == [copies[0], launch, copies[1], "cuStreamSynchronize"]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_context_is_current_only_while_something_is_done(package, machine):
    """Whoever had another context current, PyTorch for one, finds it as it was."""
    here = machine(package=package)
    here.gpu.contexts().append(0xBEEF)
    runner = here.open()
    runner.run(inputs())
    with pytest.raises(ModelError):
        runner.run(inputs(n_frames=98))
    here.gpu.fail("cuStreamSynchronize", "CUDA_ERROR_LAUNCH_FAILED")
    with pytest.raises(EngineError):
        runner.run(inputs())
    here.gpu.heal()
    runner.close()

    assert here.gpu.contexts() == [0xBEEF]


def test_card_and_backend(machine):
    here = machine()
    runner = here.open()
    assert runner.card == make_card()
    assert runner.backend == "tensorrt 10.3.0, Orin (SM 8.7), CUDA graph"
    assert here.open(cuda_graph=False).backend == "tensorrt 10.3.0, Orin (SM 8.7)"
    assert here.messages == []
    used = runner.device_memory()
    assert 0 < used.used < used.total == 1_000_000


def test_open_runner_and_the_recogniser_take_an_engine(machine, monkeypatch):
    here = machine()
    for device in ("auto", "cuda", "tensorrt"):
        assert isinstance(open_runner(here.path, device=device), TensorRTRunner)
    plan = here.path.with_suffix(".plan")
    plan.write_bytes(here.path.read_bytes())
    plan.with_name("m.plan.json").write_text(here.path.with_name("m.engine.json").read_text())
    assert isinstance(Recognizer(plan, device="cuda").runner, TensorRTRunner)
    with pytest.raises(ConfigError, match=r"m\.engine .*\bcpu\b.*\bONNX\b"):
        open_runner(here.path, device="cpu")


# --- memory --------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "package"), EACH)
def test_nothing_is_opened_over_many_runs(version, package, machine):
    here = machine(version, package)
    runner = here.open()
    batches = [inputs(1, 97), inputs(2, 30)]
    for x in (batches[0], batches[0], batches[1], batches[1]):
        runner.run(x)
    opened = here.gpu.opened.copy()
    assert opened["host"] == opened["device"] == 2
    assert opened["stream"] == 1
    for turn in range(1000):
        runner.run(batches[turn // 10 % 2])

    assert here.gpu.opened == opened
    runner.close()
    runner.close()
    assert here.free()


def test_buffers_are_of_the_largest_input(machine):
    here = machine()
    used = here.open().device_memory().used
    assert used == 4 * (2 * 13 * 97 + 2 * 3)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_runner_that_nobody_holds_is_freed(package, machine):
    here = machine(package=package)
    here.open().run(inputs())
    gc.collect()
    assert here.free()


@pytest.mark.parametrize(("version", "package"), EACH)
def test_a_failure_at_any_point_of_opening_frees_everything(version, package, machine):
    here = machine(version, package)
    runner = here.open()
    n_calls = here.gpu.n_calls
    runner.close()
    assert here.free()
    assert n_calls > 10

    for number in range(1, n_calls + 1):
        here.gpu.n_calls = 0
        here.gpu.heal()
        here.gpu.fail_call(number, "CUDA_ERROR_OUT_OF_MEMORY")
        with pytest.raises(EngineError, match=r"\bmemory|OUT_OF_MEMORY"):
            here.open()
        here.gpu.heal()
        gc.collect()
        assert here.free(), f"call {number}: {here.events[-9:]}, {here.gpu.wrongs}"
        # A context that could not be left is all that may stay.
        assert len(here.gpu.contexts()) == (here.gpu.failed[-1] == "cuCtxPopCurrent")
        here.gpu.contexts().clear()
    assert len(here.gpu.failed) == n_calls


@pytest.mark.parametrize(
    "refuses", [["set_input_shape"], ["set_tensor_address"], ["execute_async_v3"]]
)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_execution_context_refuses(version, refuses, machine):
    here = machine(version, refuses=refuses)
    with pytest.raises(EngineError, match=r"m\.engine .*: edge-ser build-engine"):
        here.open().run(inputs())
    gc.collect()
    assert here.free()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({"contexts": False}, "no execution context; .*memory"),
        ({"n_classes": 2}, r"logits \[2, 2\], expected \[2, 3\]"),
        ({"tensors": [("features", "INPUT", "FLOAT")]}, "outputs none"),
        ({"tensors": [("x", "INPUT", "FLOAT"), ("y", "OUTPUT", "FLOAT")]}, r"\binputs x\b"),
        (
            {"tensors": [("features", "INPUT", "HALF"), ("y", "OUTPUT", "FLOAT")]},
            "not float32: features",
        ),
        (
            {"tensors": [("features", "INPUT", "FLOAT"), ("y", "OUTPUT", "INT32")]},
            "features and outputs logits, .*not float32: y; build it again",
        ),
    ],
)
def test_an_engine_that_differs_from_its_manifest(script, message, machine):
    here = machine(**script)
    with pytest.raises(EngineError, match=message):
        here.open()
    gc.collect()
    assert here.free()


# --- graphs --------------------------------------------------------------------------------


def test_a_graph_for_each_shape_of_which_the_least_used_goes(machine):
    here = machine()
    runner = here.open()
    for n_frames in range(30, 30 + MAX_GRAPHS):
        runner.run(inputs(1, n_frames))
        runner.run(inputs(1, n_frames))
    assert here.gpu.live["graph"] == here.gpu.opened["graph"] == MAX_GRAPHS
    for n_frames in (30, 30, 90, 90, 30, 30):
        np.testing.assert_array_equal(runner.run(inputs(1, n_frames)), network(inputs(1, n_frames)))
    assert here.gpu.opened["graph"] == MAX_GRAPHS + 1, "30 was used lately, 31 went"
    runner.run(inputs(1, 31))
    runner.run(inputs(1, 31))
    assert here.gpu.opened["graph"] == MAX_GRAPHS + 2
    assert here.gpu.live["graph"] == MAX_GRAPHS
    assert here.gpu.live["template"] == 0
    runner.close()
    assert here.free()


def test_clips_of_all_lengths_are_never_captured(machine):
    here = machine()
    runner = here.open()
    for n_frames in range(22, 98):
        runner.run(inputs(1, n_frames))
    assert here.gpu.opened["graph"] == 0


@pytest.mark.parametrize(
    "how", ["begin", "end", "void", "instantiate", "destroy", "enqueue", "rtx"]
)
def test_a_capture_that_fails_is_told_once_and_inferences_go_on(how, machine):
    here = machine("tensorrt_rtx 1.7") if how == "rtx" else machine()
    runner = here.open()
    runner.run(inputs())
    error = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"
    names = {
        "begin": "cuStreamBeginCapture",
        "instantiate": "cuGraphInstantiate",
        "destroy": "cuGraphDestroy",
    }
    if how in names:
        here.gpu.fail(names[how], error)
    elif how == "rtx":
        here.trt.refuses.add("is_stream_capturable")
    elif how == "enqueue":
        here.trt.refuses.add("execute_async_v3")
        with pytest.raises(EngineError, match=r"m\.engine .*\[1, 13, 97\]"):
            runner.run(inputs())
        here.trt.refuses.clear()
    else:
        here.gpu.capture_is_void = True
    for seed in range(3):
        np.testing.assert_array_equal(runner.run(inputs(seed=seed)), network(inputs(seed=seed)))

    assert [level for level, _ in here.messages] == ["warning"]
    assert "enqueued" in here.messages[0][1]
    assert "CUDA graph" not in runner.backend
    assert here.gpu.live["graph"] == 0
    here.gpu.heal()
    runner.close()
    if how != "destroy":
        assert here.free()


def test_no_graphs_if_disabled_or_impossible(machine):
    here = machine()
    runner = here.open(cuda_graph=False)
    for _ in range(3):
        runner.run(inputs())
    assert here.gpu.opened["graph"] == 0
    assert here.messages == []

    here = machine(package="pycuda")
    runner = here.open()
    runner.run(inputs())
    ((level, text),) = here.messages
    assert level == "warning"
    assert text.startswith("pycuda 2026.1 ")
    assert "CUDA graphs" in text
    assert text.endswith("pip install 'edge-ser[tensorrt]'")
    assert runner.backend == "tensorrt 10.3.0, Orin (SM 8.7)"


# --- an arousal ----------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "package"), EACH)
def test_a_second_output(version, package, machine):
    here = machine(version, package, card=both_card(), tensors=AROUSAL_TENSORS)
    runner = here.open()
    assert runner.card.arousal
    for batch, n_frames in [(1, 97), (1, 97), (1, 97), (2, 22), (2, 22), (2, 22), (1, 97)]:
        x = inputs(batch, n_frames, seed=batch * n_frames)
        output = runner.infer(x)
        np.testing.assert_array_equal(output.logits, network(x))
        np.testing.assert_array_equal(output.arousal, arousal_of(x)[:, 0])
    runner.close()
    assert here.free()


@pytest.mark.parametrize("package", PACKAGES)
def test_both_outputs_are_copied_out(package, machine):
    here = machine(package=package, card=both_card(), tensors=AROUSAL_TENSORS)
    runner = here.open()
    opened = len(here.events)
    runner.infer(inputs(2, 50))
    copies = [e.partition("(")[0] for e in here.since(opened) if "Memcpy" in e]
    assert copies == ["cuMemcpyHtoDAsync"] + ["cuMemcpyDtoHAsync"] * 2


@pytest.mark.parametrize("package", PACKAGES)
def test_they_need_no_copies_on_an_integrated_gpu(package, machine):
    here = machine(package=package, card=both_card(), tensors=AROUSAL_TENSORS, integrated=True)
    runner = here.open(zero_copy=True)
    output, _ = runner.infer_timed(inputs())
    np.testing.assert_array_equal(output.logits, network(inputs()))
    np.testing.assert_array_equal(output.arousal, arousal_of(inputs())[:, 0])
    assert not [event for event in here.events if "Memcpy" in event]
    runner.close()
    assert here.free()


@pytest.mark.parametrize(
    ("card", "tensors"),
    [
        (make_card(), AROUSAL_TENSORS),
        (both_card(), AROUSAL_TENSORS[1:]),
        (both_card(), (*AROUSAL_TENSORS, ("baseline", "INPUT", "FLOAT"))),
    ],
    ids=["not in the card", "no arousal", "a second input"],
)
def test_an_engine_of_other_tensors_than_its_card(card, tensors, machine):
    here = machine(card=card, tensors=tensors)
    with pytest.raises(EngineError, match=r"m\.engine: .*\bfloat32\b.*: edge-ser build-engine"):
        here.open()
    gc.collect()
    assert here.free()


# --- what a run refuses --------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 13, 21), (1, 13, 98), (3, 13, 97)])
def test_an_input_outside_the_profile(shape, machine):
    here = machine()
    runner = here.open()
    before = len(here.events)
    with pytest.raises(ModelError) as raised:
        runner.run(np.zeros(shape, np.float32))
    for part in (SHAPES.minimum, SHAPES.maximum, shape):
        assert str(list(part)) in str(raised.value)
    assert here.events[before:] == []


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((13, 97), np.float32), r"(?=.*\[13, 97\]).*\bfeatures\b"),
        (np.zeros((1, 12, 97), np.float32), r"\bfeatures \['batch', 13, 'frames'\]"),
        (np.zeros((1, 13, 97)), r"\bfloat64\b"),
        (np.zeros((0, 13, 97), np.float32), r"\bempty\b"),
    ],
)
def test_an_invalid_input(x, message, machine):
    with pytest.raises(ModelError, match=message):
        machine().open().run(x)


def test_inputs_need_not_be_contiguous(machine):
    x = inputs(2, 96)
    runner = machine().open()
    for view in (x[:, :, ::2], x[::-1]):
        np.testing.assert_array_equal(runner.run(view), network(view))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite(bad, machine):
    here = machine()
    runner = here.open()
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(ModelError, match=r"m\.engine .*\blogits\b.*\bfinite\b"),
    ):
        runner.run(np.full((1, 13, 97), bad, np.float32))
    np.testing.assert_array_equal(runner.run(inputs()), network(inputs()))


def test_a_waveform_engine(machine):
    shapes = ProfileShapes("features", (1, 4000), (1, 16_000), (1, 16_000))
    runner = machine(card=make_card(input="waveform"), shapes=shapes).open()
    x = inputs().reshape(1, -1)
    x = np.resize(x, (1, 9000))
    np.testing.assert_array_equal(runner.run(x), network(x))
    with pytest.raises(ModelError, match=r"\bfeatures \['batch', 'samples'\]"):
        runner.run(inputs())


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("error", ["CUDA_ERROR_LAUNCH_FAILED", "CUDA_ERROR_OUT_OF_MEMORY"])
@pytest.mark.parametrize(
    ("function", "doing"),
    [
        ("cuCtxPushCurrent", "entering"),
        ("cuMemcpyHtoDAsync", "copying to"),
        ("cuGraphLaunch", "launching"),
        ("cuMemcpyDtoHAsync", "copying from"),
        ("cuStreamSynchronize", "waiting"),
        ("cuCtxPopCurrent", "leaving"),
    ],
)
def test_each_call_of_a_run_may_fail(function, doing, error, package, machine):
    if (function, package) == ("cuGraphLaunch", "pycuda"):
        function, doing = "cuStreamSynchronize", "waiting"
    here = machine(package=package)
    runner = here.open()
    for _ in range(3):
        runner.run(inputs())
    here.gpu.fail(function, error)
    with pytest.raises(EngineError) as raised:
        runner.run(inputs())
    message = str(raised.value)
    assert doing in message
    words = {
        "CUDA_ERROR_LAUNCH_FAILED": "launch failed",
        "CUDA_ERROR_OUT_OF_MEMORY": "out of memory",
    }
    assert (error if package == "cuda-python" else words[error]) in message
    assert ("--batch" if "MEMORY" in error else "dmesg") in message
    runner.close()
    runner.close()
    assert not runner._release.alive


def test_closing_a_lost_gpu_is_reported_and_raises_nothing(machine):
    here = machine()
    runner = here.open()
    here.gpu.fail("cuMemFree", "CUDA_ERROR_LAUNCH_FAILED")
    runner.close()

    assert [text for _, text in here.messages if "freed: CUDA failed" in text]
    assert here.gpu.live["stream"] == here.gpu.live["host"] == 0, "the rest went"


# --- threads and the end -------------------------------------------------------------------


@pytest.mark.parametrize("package", PACKAGES)
def test_a_runner_belongs_to_one_thread(package, machine):
    here = machine(package=package)
    runner = here.open()
    refused = in_thread(lambda: runner.run(inputs()))
    assert isinstance(refused, EngineError)
    assert "take_over()" in str(refused)

    def taken_over():
        runner.take_over()
        logits = runner.run(inputs())
        return logits, list(here.gpu.contexts())

    logits, contexts = in_thread(taken_over)
    np.testing.assert_array_equal(logits, network(inputs()))
    assert contexts == [], "a thread that ends with a context of pycuda's aborts the process"
    with pytest.raises(EngineError, match="take_over"):
        runner.run(inputs())
    runner.take_over()
    runner.run(inputs())
    assert in_thread(runner.close) is None
    assert here.free()


@pytest.mark.parametrize("use", ["run", "infer_timed", "take_over", "device_memory"])
def test_nothing_works_after_closing(use, machine):
    runner = machine().open()
    runner.close()
    arguments = [inputs()] if use in {"run", "infer_timed"} else []
    with pytest.raises(EngineError, match=r"\bm\.engine .*\bclosed\b"):
        getattr(runner, use)(*arguments)
    assert runner.backend.startswith("tensorrt 10.3.0, Orin")


# --- times and zero copy -------------------------------------------------------------------


@pytest.mark.parametrize(("version", "package"), EACH)
def test_the_gpu_times_its_own_steps(version, package, machine):
    here = machine(version, package)
    runner = here.open()
    runner.run(inputs())
    assert here.gpu.opened["event"] == 0, "who asks for no times pays for none"
    for seed in range(5):
        output, timings = runner.infer_timed(inputs(seed=seed))
        np.testing.assert_array_equal(output.logits, network(inputs(seed=seed)))
        assert timings.to_device_ms == timings.inference_ms == timings.to_host_ms == 0.5
    assert here.gpu.opened["event"] == 4
    runner.close()
    assert here.free()


@pytest.mark.parametrize("package", PACKAGES)
def test_without_copies_on_an_integrated_gpu(package, machine):
    here = machine(package=package, integrated=True)
    runner = here.open(zero_copy=True)
    for seed in range(3):
        output, _ = runner.infer_timed(inputs(seed=seed))
        np.testing.assert_array_equal(output.logits, network(inputs(seed=seed)))
    assert not [event for event in here.events if "Memcpy" in event]
    assert here.gpu.live["device"] == 0
    runner.close()
    assert here.free()


@pytest.mark.parametrize("package", PACKAGES)
def test_copies_are_spared_only_where_asked_and_where_it_helps(package, machine):
    here = machine(package=package, integrated=True)
    runner = here.open()
    assert here.gpu.opened["mapped"] == 0
    runner.close()
    here = machine(package=package)
    with pytest.raises(ConfigError, match=rf"^zero_copy\b.*{ORIN.name} \(SM 8\.7\)"):
        here.open(zero_copy=True)
    gc.collect()
    assert here.free()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_mapping_that_fails_frees_its_memory(package, machine):
    here = machine(package=package, integrated=True)
    here.gpu.fail("cuMemHostGetDevicePointer", "CUDA_ERROR_OUT_OF_MEMORY")
    with pytest.raises(EngineError, match="page-locked"):
        here.open(zero_copy=True)
    gc.collect()
    assert here.free()


@pytest.mark.parametrize("card", [make_card(), make_card(input="waveform")])
@pytest.mark.parametrize("seconds", [0.25, 0.5, 1.0])
def test_the_shortest_window_is_that_of_the_profile(machine, card, seconds):
    """A window of that length fits, and so does each that is longer by whole hops."""
    shapes = profile_shapes(card, "features", EngineConfig("fp32", window_s=(seconds, 1.0, 1.0)))
    runner = machine(card=card, shapes=shapes).open()
    assert runner.min_window_s == seconds
    n_samples = round(seconds * 16_000)
    shape = (
        (1, n_samples) if card.input == "waveform" else (1, 13, card.frontend.n_frames(n_samples))
    )
    assert runner.run(np.zeros(shape, np.float32)).shape == (1, 3)
