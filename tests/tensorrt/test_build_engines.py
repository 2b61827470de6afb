"""Each version's way through build and load, driven by a fake that has that version's names only."""

from __future__ import annotations

import hashlib
import sys

import onnx
import pytest
from fake_tensorrt import VERSIONS
from support import make_card, write_tiny_model

from edge_ser.errors import ConfigError, EngineError, MissingDependency, ModelError
from edge_ser.precision import KEY, Precision
from edge_ser.tensorrt.build import build_engine
from edge_ser.tensorrt.engine import load_engine
from edge_ser.tensorrt.library import find_tensorrt
from edge_ser.tensorrt.manifest import EngineConfig, EngineManifest, manifest_path

QUANTISED = (("q", "QUANTIZE", "INT8"), ("conv", "CONVOLUTION", "FLOAT"))
HALF = (("conv", "CONVOLUTION", "HALF"), ("kept", "SOFTMAX", "FLOAT"))
BOTH = (*QUANTISED, *HALF)
LAYERS = {"int8": QUANTISED, "fp16": HALF, "int8+fp16": BOTH}
ON_DEVICE = [v for v in VERSIONS if not v.startswith("tensorrt_rtx")]


def silent(level, text):
    """Ignore messages."""


@pytest.fixture
def model(tmp_path):
    """Return a function that writes a model of a precision."""

    def write(kind="fp32", excluded=("kept",)):
        path = write_tiny_model(tmp_path / f"m.{kind}.onnx")
        if kind != "fp32":
            proto = onnx.load(path)
            entry = proto.metadata_props.add()
            entry.key = KEY
            entry.value = Precision(
                kind, "5a", "", per_channel=False, calibration_digest="ca11", excluded=excluded
            ).to_json()
            onnx.save(proto, path)
        return path

    return write


def build(model, out, kind="fp32", **more):
    """Build with options and arguments mixed."""
    names = EngineConfig.__dataclass_fields__
    options = {name: more.pop(name) for name in list(more) if name in names}
    return build_engine(model, out, EngineConfig(kind, **options), on_message=silent, **more)


def starts(events, *prefixes):
    """Keep the events that begin with one of these."""
    return [e for e in events if e.startswith(prefixes)]


FLAGS = {
    "tensorrt 8.6": ("EXPLICIT_BATCH", ["TF32", "INT8", "FP16", "OBEY_PRECISION_CONSTRAINTS"]),
    "tensorrt 10.3": ("STRONGLY_TYPED", ["TF32"]),
    "tensorrt 10.13": ("STRONGLY_TYPED", ["TF32"]),
    "tensorrt 11.4": ("STRONGLY_TYPED", ["TF32"]),
    "tensorrt_rtx 1.7": ("STRONGLY_TYPED", ["TF32"]),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_builds_and_loads_in_order(
    version, install, on_orin, model, tmp_path, monkeypatch
):
    trt = install(version, layers=BOTH)
    out = tmp_path / "m.engine"
    targets = ()
    if trt.__name__ == "tensorrt_rtx":
        targets = ("8.6", "12.0")
        monkeypatch.setattr("edge_ser.tensorrt.build.cuda_device", lambda: None)
    manifest = build(model("int8+fp16"), out, "int8+fp16", targets=targets)
    events = list(trt.events)

    creation, flags = FLAGS[version]
    assert (
        events[0] == f"Builder.create_network({1 << trt.NetworkDefinitionCreationFlag[creation]})"
    )
    assert events[1] == "OnnxParser.parse(…)"
    touched = starts(events, "IBuilderConfig.set_flag", "IBuilderConfig.clear_flag")
    assert [e.split("(")[1][:-1] for e in touched] == flags
    order = [
        "Builder.create_network",
        "OnnxParser.parse",
        "INetworkDefinition.get_input",
        "Builder.create_builder_config",
        "IBuilderConfig.set_memory_pool_limit(WORKSPACE, 268435456)",
        "IOptimizationProfile.set_shape('features', (1, 13, 22), (1, 13, 97), (1, 13, 97))",
        "IBuilderConfig.add_optimization_profile",
        "Builder.build_serialized_network",
    ]
    places = [next(i for i, e in enumerate(events) if e.startswith(o)) for o in order]
    assert places == sorted(places)
    assert out.read_bytes() == b"a plan"
    assert manifest.engine_sha256 == hashlib.sha256(b"a plan").hexdigest()
    assert (manifest.built_by.module, manifest.built_by.version) == (trt.__name__, trt.__version__)
    assert EngineManifest.from_json(manifest_path(out).read_text()) == manifest

    if trt.__name__ == "tensorrt_rtx":
        assert manifest.built_by.compute_capabilities == targets
        assert manifest.layers == {}
        assert starts(events, "IBuilderConfig.num_compute", "IBuilderConfig.set_compute") == [
            "IBuilderConfig.num_compute_capabilities = 2",
            "IBuilderConfig.set_compute_capability(SM86, 0)",
            "IBuilderConfig.set_compute_capability(SM120, 1)",
        ]
        with pytest.raises(EngineError, match=r"SM 8\.6, 12\.0, .*GPU .* has SM 8\.7"):
            load_engine(out, silent)
        return
    assert manifest.built_by.compute_capabilities == ("8.7",)
    assert manifest.layers == {"fused": "fp16"}
    trt.events.clear()
    loaded = load_engine(out, silent)
    assert trt.events == ["Runtime.deserialize_cuda_engine(…)"]
    assert loaded.manifest == manifest


@pytest.mark.parametrize(
    ("kind", "layers", "pinned"),
    [
        (
            "fp16",
            [
                "log UNARY",
                "down CAST HALF",
                "conv CONVOLUTION",
                "up CAST",
                "max SOFTMAX",
                "r REDUCE",
            ],
            ["log", "max", "r"],
        ),
        (
            "int8+fp16",
            [
                "q QUANTIZE INT8",
                "d DEQUANTIZE",
                "view SHUFFLE",
                "conv CONVOLUTION",
                "relu ACTIVATION",
                "add ELEMENTWISE",
                "max SOFTMAX",
                "down CAST HALF",
                "gate CONVOLUTION",
            ],
            ["max"],
        ),
        ("int8", ["q QUANTIZE INT8", "d DEQUANTIZE", "max SOFTMAX"], []),
    ],
)
def test_8_6_pins_the_layers_that_the_file_keeps_in_fp32(
    kind, layers, pinned, install, on_orin, model, tmp_path
):
    """A weakly typed network reports FLOAT for everything but casts, constants and integers."""
    script = [(*layer.split(), "FLOAT")[:3] for layer in layers]
    trt = install("tensorrt 8.6", layers=script)
    build(model(kind), tmp_path / "m.engine", kind)

    pin = ["ILayer.precision = 'float32'", "ILayer.set_output_type(0, 'float32')"]
    assert starts(trt.events, "ILayer.precision", "ILayer.set_output_type") == pin * len(pinned)
    places = [[name for name, *_ in script].index(name) for name in pinned]
    pins = [i for i, e in enumerate(trt.events) if e.startswith("ILayer.precision")]
    assert [trt.events[i - 1] for i in pins] == [
        f"INetworkDefinition.get_layer({place})" for place in places
    ]


@pytest.mark.parametrize("version", list(VERSIONS)[1:])
@pytest.mark.parametrize(("kind", "layers"), [("fp32", HALF), ("fp16", QUANTISED), ("int8", BOTH)])
def test_types_other_than_those_of_the_record_are_refused(
    version, kind, layers, install, model, on_orin, tmp_path
):
    install(version, layers=layers)
    targets = ("8.6",) if "rtx" in version else ()

    with pytest.raises(EngineError, match=rf"\b{kind} graph\b.*\bgot \w+"):
        build(model(kind), tmp_path / "m.engine", kind, targets=targets)
    assert not list(tmp_path.glob("*.engine*"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({"parses": False}, r"\bnode 7: .*\bNonsense\b.*\bedge-ser export\b"),
        ({"plan": None}, r"\bm\.fp32\.onnx\b"),
    ],
)
def test_a_failure_of_parse_or_build_leaves_nothing(
    version, script, message, install, on_orin, model, tmp_path
):
    trt = install(version, **script)
    targets = ("8.9",) if trt.__name__ == "tensorrt_rtx" else ()

    with pytest.raises(EngineError, match=message):
        build(model(), tmp_path / "m.engine", targets=targets)
    assert [p.name for p in tmp_path.iterdir()] == ["m.fp32.onnx"]


def test_the_builders_own_errors_are_in_the_message_and_logged(install, on_orin, model, tmp_path):
    trt = install("tensorrt 10.3")
    messages = []
    build_log = {}

    def failing(config):
        build_log["log"].log(trt.ILogger.WARNING, "hot")
        build_log["log"].log(trt.ILogger.ERROR, "OOM-17")
        build_log["log"].log(trt.ILogger.INFO, "by the way")

    trt._build = failing
    trt.Builder = lambda log: build_log.update(log=log) or trt.thing("Builder")

    with pytest.raises(EngineError, match=r"m\.fp32\.onnx: OOM-17$"):
        build_engine(
            model(),
            tmp_path / "m.engine",
            EngineConfig("fp32"),
            on_message=lambda *message: messages.append(message),
        )
    assert messages == [("warning", "hot"), ("error", "OOM-17")]


def test_a_failing_build_leaves_the_engine_that_was_there(install, on_orin, model, tmp_path):
    out = tmp_path / "m.engine"
    install("tensorrt 10.3")
    build(model(), out)
    before = manifest_path(out).read_bytes()
    install("tensorrt 10.3", plan=None)

    with pytest.raises(EngineError):
        build(model(), out)
    assert (out.read_bytes(), manifest_path(out).read_bytes()) == (b"a plan", before)


class Watcher:
    """Remembers progress; raises an error at one event."""

    def __init__(self, fails_at=None, error=None):
        self.seen, self.fails_at, self.error = [], fails_at, error

    def note(self, *what):
        self.seen.append(what)
        if what[0] == self.fails_at:
            raise self.error

    def start(self, phase, parent, steps):
        self.note("start", phase, parent, steps)

    def step(self, phase, done):
        self.note("step", phase, done)

    def finish(self, phase):
        self.note("finish", phase)


@pytest.mark.parametrize("version", ON_DEVICE)
def test_progress_is_reported_from_10_on(version, install, on_orin, model, tmp_path):
    install(version, phases=[("Building engine", None, 2), ("Tuning", "Building engine", 1)])
    watcher = Watcher()
    build(model(), tmp_path / "m.engine", progress=watcher)

    expected = [
        ("start", "Building engine", None, 2),
        ("step", "Building engine", 1),
        ("step", "Building engine", 2),
        ("finish", "Building engine"),
        ("start", "Tuning", "Building engine", 1),
        ("step", "Tuning", 1),
        ("finish", "Tuning"),
    ]
    assert watcher.seen == ([] if version == "tensorrt 8.6" else expected)


@pytest.mark.parametrize("event", ["start", "step", "finish"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bar broke")])
def test_ctrl_c_in_a_build_stops_it(event, error, install, on_orin, model, tmp_path):
    install("tensorrt 10.3")

    with pytest.raises(type(error)):
        build(model(), tmp_path / "m.engine", progress=Watcher(event, error))
    assert not list(tmp_path.glob("*engine*"))


@pytest.mark.parametrize("version", ON_DEVICE)
def test_timings_are_kept_by_device_and_version(version, install, on_orin, model, tmp_path):
    trt = install(version)
    folder = tmp_path / "timings"
    build(model(), tmp_path / "m.engine", timing_folder=folder)

    assert [p.name for p in folder.iterdir()] == [f"orin-nano-sm8.7-{trt.__version__}.timing"]
    assert next(folder.iterdir()).read_bytes() == b"timings"
    expected = ["create_timing_cache(…)", "set_timing_cache(…, False)", "get_timing_cache()"]
    assert starts(
        trt.events, "IBuilderConfig.create_t", "IBuilderConfig.set_t", "IBuilderConfig.get_t"
    ) == [f"IBuilderConfig.{name}" for name in expected]


def test_timings_that_cannot_be_kept_do_not_cost_the_build(install, on_orin, model, tmp_path):
    install("tensorrt 10.3")
    (tmp_path / "timings").write_text("a file instead of a folder")
    messages = []
    build_engine(
        model(),
        tmp_path / "m.engine",
        EngineConfig("fp32"),
        on_message=lambda *message: messages.append(message),
        timing_folder=tmp_path / "timings",
    )

    assert [level for level, _ in messages] == ["warning"]
    assert str(tmp_path / "timings") in messages[0][1]
    assert (tmp_path / "m.engine").is_file()


def test_timings_that_tensorrt_refuses_are_made_anew(
    install, on_orin, model, tmp_path, monkeypatch
):
    trt = install("tensorrt 10.3")
    folder = tmp_path / "timings"
    folder.mkdir()
    (folder / "orin-nano-sm8.7-10.3.0.timing").write_bytes(b"rubbish")
    answer = trt.called
    refused = iter([False, True])
    trt.called = lambda name, arguments, thing: (
        next(refused) if name.endswith("set_timing_cache") else answer(name, arguments, thing)
    )
    messages = []
    build_engine(
        model(),
        tmp_path / "m.engine",
        EngineConfig("fp32"),
        on_message=lambda *message: messages.append(message),
        timing_folder=folder,
    )

    assert messages[0][0] == "warning"
    assert "orin-nano-sm8.7-10.3.0.timing" in messages[0][1]
    assert len(starts(trt.events, "IBuilderConfig.set_timing_cache")) == 2
    assert next(folder.iterdir()).read_bytes() == b"timings"


@pytest.mark.parametrize("version", ON_DEVICE)
def test_a_dla_gets_one_shape_and_flags_where_types_come_by_flags(
    version, install, on_orin, model, tmp_path
):
    trt = install(version, dla_cores=2, layers=HALF)
    out = tmp_path / "m.engine"
    manifest = build(model("fp16"), out, "fp16", dla_core=1, gpu_fallback=True)

    assert manifest.shapes.minimum == manifest.shapes.maximum == (1, 13, 97)
    assert starts(trt.events, "IBuilderConfig.default", "IBuilderConfig.DLA") == [
        "IBuilderConfig.default_device_type = DLA",
        "IBuilderConfig.DLA_core = 1",
    ]
    flags = starts(trt.events, "IBuilderConfig.set_flag")
    weak = version != "tensorrt 11.4"
    assert ("IBuilderConfig.set_flag(FP16)" in flags) == weak
    assert flags[-1] == "IBuilderConfig.set_flag(GPU_FALLBACK)"
    trt.events.clear()
    load_engine(out, silent)
    assert trt.events[0] == "Runtime.DLA_core = 1"


def test_what_a_dla_cannot_is_refused(install, on_orin, model, tmp_path):
    out = tmp_path / "m.engine"
    install("tensorrt 10.3", dla_cores=1, layers=HALF)
    with pytest.raises(EngineError, match=r"\bDLA core\b.*\bgot 1\b.*--dla\b"):
        build(model("fp16"), out, "fp16", dla_core=1)
    with pytest.raises(ConfigError, match=r"\bDLA\b.*\b1 1 2\b"):
        build(model("fp16"), out, "fp16", dla_core=0, batch=(1, 1, 2))
    with pytest.raises(EngineError, match=r"\b10\.3\.0\b.*\bint8\b.*--fp16\b"):
        build(model("int8"), out, "int8", dla_core=0)
    with pytest.raises(ConfigError, match=r"\bDLA\b.*\bFP32\b"):
        EngineConfig("fp32", dla_core=0)
    with pytest.raises(ConfigError, match="gpu_fallback"):
        EngineConfig("fp16", gpu_fallback=True)


@pytest.mark.parametrize("version", ON_DEVICE)
def test_a_version_compatible_engine_may_bring_its_code(version, install, on_orin, model, tmp_path):
    trt = install(version)
    out = tmp_path / "m.engine"
    build(model(), out, version_compatible=True)
    assert "IBuilderConfig.set_flag(VERSION_COMPATIBLE)" in trt.events
    trt.events.clear()
    trt.__version__ = trt.__version__.split(".")[0] + ".99.0"
    load_engine(out, silent)

    assert trt.events[0] == "Runtime.engine_host_code_allowed = True"


def test_rtx_refuses_what_it_would_ignore(install, model, tmp_path, monkeypatch):
    monkeypatch.setattr("edge_ser.tensorrt.build.cuda_device", lambda: None)
    install("tensorrt_rtx 1.7", dla_cores=2)
    out = tmp_path / "m.engine"

    with pytest.raises(EngineError, match=r"rtx 1\.7.*\bDLA\b.*--dla\b"):
        build(model("fp16"), out, "fp16", dla_core=0, targets=["8.6"])
    with pytest.raises(EngineError, match=r"rtx 1\.7.*--version-compatible\b"):
        build(model(), out, version_compatible=True, targets=["8.6"])
    with pytest.raises(EngineError, match=r"\b7\.5, 8\.0, 8\.6, 8\.9, 12\.0\b.*\b8\.7\b"):
        build(model(), out, targets=["8.7"])
    with pytest.raises(EngineError, match=r"\bno GPU\b.*--compute-capability\b"):
        build(model(), out)
    build(model(), out, targets=["8.6"], timing_folder=tmp_path / "timings")
    assert not (tmp_path / "timings").exists()


def test_tensorrt_builds_only_for_the_gpu_it_has(install, model, tmp_path, monkeypatch, request):
    install("tensorrt 10.3")
    out = tmp_path / "m.engine"
    monkeypatch.setattr("edge_ser.tensorrt.build.cuda_device", lambda: None)
    with pytest.raises(EngineError, match=r"^tensorrt 10\.3\.0\b.*--tensorrt tensorrt_rtx\b"):
        build(model(), out)
    request.getfixturevalue("on_orin")
    with pytest.raises(EngineError, match=r"\b8\.7\b.*\bOrin Nano\b.*\b8\.6\b"):
        build(model(), out, targets=["8.6"])
    assert build(model(), out, targets=["8.7"]).built_by.compute_capabilities == ("8.7",)


@pytest.mark.parametrize(
    ("has", "asked", "message"),
    [
        (
            "fp32",
            "fp16",
            r"got fp32.*edge-ser quantize .* --calibration FOLDER --fp16 --out .*m.fp32.fp16.onnx",
        ),
        (
            "fp32",
            "int8",
            r"got fp32.*edge-ser quantize .* --calibration FOLDER --int8 --out",
        ),
        ("int8", "fp32", "fp32 engine, got int8; use --int8"),
        ("int8", "int8+fp16", r"int8\+fp16 engine, got int8; use --int8,"),
        ("int8+fp16", "int8", "use --int8 --fp16, or give the int8 file"),
    ],
)
def test_another_precision_than_the_files_is_refused(
    has, asked, message, install, on_orin, model, tmp_path
):
    trt = install("tensorrt 10.3")

    with pytest.raises(EngineError, match=message):
        build(model(has), tmp_path / "m.engine", asked)
    assert trt.events == []


def test_the_profile_is_as_asked_or_refused(install, on_orin, model, tmp_path):
    install("tensorrt 10.3")
    out = tmp_path / "m.engine"
    shapes = build(model(), out, batch=(1, 2, 8), window_s=(0.5, 1, 2)).shapes
    assert shapes.minimum == (1, 13, 47)
    assert shapes.optimum == (2, 13, 97)
    assert shapes.maximum == (8, 13, 197)
    waveform = write_tiny_model(tmp_path / "w.onnx", make_card(input="waveform"))
    assert build(waveform, out).shapes.maximum == (1, 16_000)
    for wrong in ({"batch": (2, 1, 2)}, {"window_s": (1, 2, 1.5)}, {"window_s": (0, 1, 1)}):
        with pytest.raises(ConfigError, match="ascending numbers above 0"):
            build(model(), out, **wrong)
    with pytest.raises(ConfigError, match=r"\b0\.25 s\b.*\b0\.1 s\b"):
        build(model(), out, window_s=(0.1, 1, 1))


def test_the_model_file_has_to_be_there_and_ours(install, on_orin, tmp_path):
    install("tensorrt 10.3")
    with pytest.raises(ModelError, match=r"none\.onnx"):
        build(tmp_path / "none.onnx", tmp_path / "m.engine")
    with pytest.raises(ModelError, match="no ModelCard"):
        build(write_tiny_model(tmp_path / "t.onnx", key=""), tmp_path / "m.engine")


def test_which_tensorrt_is_found(install, monkeypatch):
    install("tensorrt 10.3")
    assert str(find_tensorrt()) == "tensorrt 10.3.0"
    with pytest.raises(MissingDependency, match=r"package tensorrt_rtx.*edge-ser\[tensorrt-rtx\]"):
        find_tensorrt("tensorrt_rtx")
    fake = install("tensorrt_rtx 1.7")
    assert find_tensorrt().is_rtx
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx_bindings", fake)
    assert str(find_tensorrt("tensorrt_rtx")) == "tensorrt_rtx 1.7.1.116"
    monkeypatch.setitem(sys.modules, "tensorrt_rtx_bindings", None)
    with pytest.raises(MissingDependency, match="system-site-packages"):
        find_tensorrt()


@pytest.mark.parametrize("version", ["8.5.2", "9.3.0", "7.1"])
def test_versions_that_are_not_served_are_refused(version, install):
    install("tensorrt 8.6").__version__ = version
    with pytest.raises(EngineError, match=rf"8\.6, 10 or later, got tensorrt {version}"):
        find_tensorrt()


def test_a_tensorrt_that_does_not_load_gives_the_reason(tmp_path, monkeypatch):
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependency, match=r"libnvinfer\.so\.10"):
        find_tensorrt("tensorrt")


def test_an_int8_file_of_another_calibration_set_is_refused(
    install, on_orin, model, tmp_path, monkeypatch
):
    install("tensorrt 10.3", layers=QUANTISED)
    out = tmp_path / "m.engine"

    with pytest.raises(EngineError, match=r"\bd1ff….*\bca11….*edge-ser quantize"):
        build(model("int8"), out, "int8", calibration_digest="d1ff")
    manifest = build(model("int8"), out, "int8", calibration_digest="ca11")
    assert manifest.precision.calibration_digest == "ca11"
