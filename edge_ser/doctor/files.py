"""Checks of the requirements of `edge-ser run --wav`."""

from __future__ import annotations

import importlib
import shutil

from edge_ser.card import FrontendConfig
from edge_ser.doctor.check import MISSING, WARNING, Check, Examine, Probes
from edge_ser.doctor.self_test import TOLERANCE, expected
from edge_ser.errors import EdgeSerError
from edge_ser.frontend.compiled import CompiledKernel, NotCompiled

_DIGEST = 12
"""Characters of a digest that are shown."""


def python(here: Probes) -> Check:
    """Python interpreter and its environment."""
    facts = here.facts
    if facts.environment is None:
        where = "the system's, no virtual environment"
    else:
        sees = "sees" if facts.sees_system_packages else "does not see"
        where = f"environment {facts.environment}, {sees} the system's packages"
    return Check("Python", f"{facts.python}, {where}")


def onnx_runtime(here: Probes) -> Check:  # noqa: ARG001
    """ONNX Runtime and its execution providers."""
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
    """Packages that read and resample audio."""
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
    """Program that decodes formats which libsndfile cannot read."""
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
    """Whether the bundled model loads and gives the probabilities of its release."""
    if not here.with_self_test:
        return None
    try:
        actual, reference = here.self_test, expected()
    except EdgeSerError as error:
        return Check("bundled model", str(error), MISSING, "install edge-ser again")
    named = f"{actual.model}, {len(actual.labels)} classes, SHA-256 {actual.sha256[:_DIGEST]}…"
    if actual.sha256 != reference.sha256:
        return Check(
            "bundled model",
            f"{named}; expected {reference.sha256[:_DIGEST]}… of this edge-ser",
            WARNING,
            "install edge-ser again, unless the model was replaced on purpose",
        )
    off = max(abs(actual.probs[label] - p) for label, p in reference.probs.items())
    if actual.label != reference.label or off > TOLERANCE:
        return Check(
            "bundled model",
            f"{named}; expected {reference.label!r} for the test signal, got {actual.label!r} "
            f"(probabilities off by up to {off:.3f})",
            MISSING,
            "install numpy, soxr and onnxruntime again; if that does not help, report it",
        )
    return Check(
        "bundled model", f"{named}; gives {actual.label!r} for the test signal, as expected"
    )


def speed(here: Probes) -> Check | None:
    """Time per window, for information: files need no real-time processing."""
    if not here.with_self_test:
        return None
    try:
        return Check("speed", speed_text(here))
    except EdgeSerError as error:
        return Check("speed", str(error), MISSING)


def speed_text(here: Probes) -> str:
    """Return the speed of the self-test as text; raises as `Probes.self_test`."""
    result = here.self_test
    return (
        f"p50 {result.p50_ms:.1f} ms a window, RTF {result.rtf:.3f} "
        f"({result.n_windows} windows, {result.audio_s:g} s of synthetic voice at 48 kHz, ONNX Runtime)"
    )


def _broken(feature: str, packages: str, error: Exception) -> Check:
    return Check(
        feature,
        f"does not load: {error}",
        MISSING,
        f"python -m pip install --force-reinstall {packages}",
    )


CHECKS: tuple[Examine, ...] = (python, onnx_runtime, audio_files, front_end, model, speed, ffmpeg)
