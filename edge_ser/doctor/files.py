"""What `edge-ser run --wav` needs."""

from __future__ import annotations

import importlib
import shutil

from edge_ser.card import FrontendConfig
from edge_ser.doctor.check import MISSING, WARNING, Check, Examine, Probes
from edge_ser.doctor.self_test import TOLERANCE, expected
from edge_ser.errors import EdgeSerError
from edge_ser.frontend.compiled import CompiledKernel, NotCompiled

_DIGEST = 12
"""Characters of a digest that people compare."""


def python(here: Probes) -> Check:
    """The interpreter, and the environment that it runs in."""
    facts = here.facts
    if facts.environment is None:
        where = "the system's, no virtual environment"
    else:
        sees = "sees" if facts.sees_system_packages else "does not see"
        where = f"environment {facts.environment}, {sees} the system's packages"
    return Check("Python", f"{facts.python}, {where}")


def onnx_runtime(here: Probes) -> Check:  # noqa: ARG001
    """The package that runs models, and what it can run them on."""
    try:
        ort = importlib.import_module("onnxruntime")
        providers = [
            name.removesuffix("ExecutionProvider") for name in ort.get_available_providers()
        ]
    except (ImportError, OSError, AttributeError) as error:
        return _broken("ONNX Runtime", "onnxruntime", error)
    return Check(
        "ONNX Runtime", f"{ort.__version__}, for {', '.join(providers)}; edge-ser uses the CPU"
    )


def audio_files(here: Probes) -> Check:  # noqa: ARG001
    """The packages that read and resample audio."""
    try:
        soundfile, soxr = (importlib.import_module(name) for name in ("soundfile", "soxr"))
    except (ImportError, OSError) as error:
        return _broken("audio files", "soundfile soxr", error)
    read = f"libsndfile {soundfile.__libsndfile_version__}"
    mp3 = "" if "MP3" in soundfile.available_formats() else ", without MP3"
    return Check("audio files", f"{read}{mp3}, soxr {soxr.__version__}")


def front_end(here: Probes) -> Check:  # noqa: ARG001
    """Whether features come from the compiled kernel."""
    try:
        return Check("front end", CompiledKernel(FrontendConfig()).name)
    except NotCompiled as error:
        return Check("front end", f"NumPy; {error.found}", WARNING, f"faster: {error.remedy}")


def ffmpeg(here: Probes) -> Check:  # noqa: ARG001
    """The program that turns what libsndfile cannot read into a pipe."""
    path = shutil.which("ffmpeg")
    if path:
        return Check("ffmpeg", path)
    return Check(
        "ffmpeg",
        "not found",
        WARNING,
        "only for --url, M4A, video and the like: sudo apt install ffmpeg",
    )


def model(here: Probes) -> Check | None:
    """Whether the bundled model opens and answers as it did when it was released."""
    if not here.with_self_test:
        return None
    try:
        got, wanted = here.self_test, expected()
    except EdgeSerError as error:
        return Check("bundled model", str(error), MISSING, "install edge-ser again")
    named = f"{got.model}, {len(got.labels)} classes, SHA-256 {got.sha256[:_DIGEST]}…"
    if got.sha256 != wanted.sha256:
        return Check(
            "bundled model",
            f"{named}; {wanted.sha256[:_DIGEST]}… came with this edge-ser",
            WARNING,
            "install edge-ser again, if nobody put another model there on purpose",
        )
    off = max(abs(got.probs[label] - p) for label, p in wanted.probs.items())
    if got.label != wanted.label or off > TOLERANCE:
        return Check(
            "bundled model",
            f"{named}; hears {got.label!r} in the test signal, {wanted.label!r} was expected "
            f"(probabilities off by up to {off:.3f})",
            MISSING,
            "install numpy, soxr and onnxruntime again; if that does not help, report it",
        )
    return Check("bundled model", f"{named}; hears {got.label!r} in the test signal, as it should")


def speed(here: Probes) -> Check | None:
    """How long a window takes: information for files, which need not be kept up with."""
    if not here.with_self_test:
        return None
    try:
        return Check("speed", said_of_speed(here))
    except EdgeSerError as error:
        return Check("speed", str(error), MISSING)


def said_of_speed(here: Probes) -> str:
    """Return the figures of the self-test in words; raises as `Probes.self_test`."""
    got = here.self_test
    return (
        f"p50 {got.p50_ms:.1f} ms a window, RTF {got.rtf:.3f} "
        f"({got.n_windows} windows, {got.audio_s:g} s of made-up voice at 48 kHz, ONNX Runtime)"
    )


def _broken(feature: str, packages: str, error: Exception) -> Check:
    return Check(
        feature,
        f"does not load: {error}",
        MISSING,
        f"python -m pip install --force-reinstall {packages}",
    )


CHECKS: tuple[Examine, ...] = (python, onnx_runtime, audio_files, front_end, model, speed, ffmpeg)
