"""What the runtime computes on one architecture, and whether another computes the same.

    python benchmarks/aarch64.py measure --out here.json fp32=model.onnx int8=model.int8.onnx
    python benchmarks/aarch64.py compare here.json there.json --out result.json

Features, every window of every model on files and streams, and the voice detector, all on examples/;
and each network alone on calibration/default, whose features are the same numbers everywhere.
`deploy/aarch64/check.sh` runs it on an emulated aarch64.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edge_ser import Recognizer, __version__
from edge_ser._util.files import write_text
from edge_ser.audio.io import AudioChunk, load
from edge_ser.card import FrontendConfig
from edge_ser.errors import EdgeSerError
from edge_ser.frontend import kernel_for, mfcc
from edge_ser.recognition.prediction import Prediction, softmax

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
CALIBRATION = ROOT / "calibration" / "default" / "windows.npz"
RATES = (16_000, 48_000)
"""Hz at which clips are streamed: the model's own, and what USB microphones give."""
LONGEST_CHUNK_S = 0.4
N_CALIBRATION = 32
PACKAGES = ("numpy", "onnxruntime", "soxr", "soundfile")
FEATURES_TOLERANCE = 1e-3
"""dB; the tolerance within which the features are librosa's."""
PROBS_TOLERANCE = 1e-3
HALVES = ("fp16",)
HALVES_TOLERANCE = 0.01
"""ONNX Runtime computes FP16 in halves on aarch64 and in single precision on x86-64, so that
probabilities differ by design, by what three digits make of them."""
JITTER_DB = 3e-5
"""How far features are moved to see what a network makes of it on one machine: about as far as two
architectures are apart where NumPy computes them. In INT8 a value that lies on the edge of a step falls
to either side."""
JITTER_DRAWS = 20

Measures = dict[str, Any]


def main() -> int:
    """Measure, or compare two measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    measuring = commands.add_parser("measure", help="compute everything on this architecture")
    measuring.add_argument("models", nargs="+", metavar="NAME=FILE", help="ONNX files")
    comparing = commands.add_parser("compare", help="compare two measures; exit 1 if they differ")
    comparing.add_argument("here", type=Path)
    comparing.add_argument("there", type=Path)
    for command in (measuring, comparing):
        command.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args()
    try:
        if options.command == "measure":
            models = {
                name: Path(file) for name, _, file in (m.partition("=") for m in options.models)
            }
            write_text(options.out, json.dumps(measure(models)))
            return 0
        here, there = (json.loads(path.read_bytes()) for path in (options.here, options.there))
        rows = compare(here, there)
        result = {"created": datetime.now(timezone.utc).date().isoformat()}
        result |= {"edge_ser": __version__, "here": here["machine"], "there": there["machine"]}
        result |= {"rows": rows, "jitter_db": JITTER_DB, "jitter": here["jitter"]}
        write_text(options.out, json.dumps(result, indent=1) + "\n")
    except EdgeSerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(table(rows))
    for name, moved in here["jitter"].items():
        print(
            f"{name}, here alone: features moved by {JITTER_DB:g} dB move a probability by {moved:.2g}"
        )
    return 0 if all(row["ok"] for row in rows) else 1


def measure(models: dict[str, Path]) -> Measures:
    """Compute everything on this architecture.

    Args:
        models: ONNX files by the name that the table calls them.

    Returns:
        What `compare` takes: `machine`, `features` [n_features, n_frames] by clip, `windows` (label and
        probabilities) by model, way and clip, `jitter` by model, and `voice` probabilities by clip,
        None without a detector.
    """
    clips = sorted(EXAMPLES.glob("*.wav"))
    measures: Measures = {"machine": machine(), "features": {}, "windows": {}, "jitter": {}}
    calibration = np.load(CALIBRATION)["windows"][:N_CALIBRATION]
    for name, model in models.items():
        recognizer = Recognizer(model)
        frontend = recognizer.card.frontend
        measures["windows"][f"{name}, network alone, calibration"] = [
            {"end_s": place, "label": labelled(recognizer, row), "probs": row}
            for place, row in enumerate(probabilities(recognizer, calibration).tolist())
        ]
        if not os.environ.get("EMULATOR"):  # it would take minutes, and says nothing more there
            measures["jitter"][name] = jitter(recognizer, calibration)
        for clip in clips:
            samples = load(clip, frontend.sample_rate)
            measures["features"].setdefault(clip.name, mfcc(samples, frontend).tolist())
            recognition = recognizer.recognize(clip, vad=False)
            windows = (*recognition.windows, recognition.final)
            measures["windows"][f"{name}, files, {clip.name}"] = plain(windows)
            for rate in RATES:
                streamed = recognizer.stream(in_chunks(load(clip, rate), rate))
                measures["windows"][f"{name}, stream {rate} Hz, {clip.name}"] = plain(streamed)
    measures["voice"] = voice(clips)
    return measures


def machine() -> dict[str, Any]:
    """Return what computes: architecture, front end, emulator, Python and packages."""
    return {
        "architecture": platform.machine(),
        "front_end": kernel_for(FrontendConfig()).name,
        "emulator": os.environ.get("EMULATOR", ""),
        "emulated_cpu": os.environ["QEMU_CPU"] if "EMULATOR" in os.environ else "",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def probabilities(recognizer: Recognizer, features: np.ndarray) -> np.ndarray:
    """Return the network's probabilities [n, n_labels] of features [n, n_features, n_frames]."""
    return np.array([softmax(recognizer.runner.run(window[None])[0]) for window in features])


def labelled(recognizer: Recognizer, probs: list[float]) -> str:
    """Return the likeliest label."""
    return recognizer.card.labels[int(np.argmax(probs))]


def jitter(recognizer: Recognizer, features: np.ndarray) -> float:
    """Return how far a probability moves at most when features move by at most JITTER_DB."""
    rng = np.random.default_rng(0)
    before = probabilities(recognizer, features)
    furthest = 0.0
    for _ in range(JITTER_DRAWS):
        moved = features + rng.uniform(-JITTER_DB, JITTER_DB, features.shape).astype(np.float32)
        furthest = max(furthest, float(np.abs(probabilities(recognizer, moved) - before).max()))
    return furthest


def in_chunks(samples: np.ndarray, rate: int) -> Iterator[AudioChunk]:
    """Cut samples [n_samples] into pieces of random sizes, the same ones each time."""
    rng = np.random.default_rng(0)
    start = 0
    while start < len(samples):
        n = int(rng.integers(1, int(LONGEST_CHUNK_S * rate)))
        yield AudioChunk(samples[start : start + n], rate)
        start += n


def plain(windows: Iterable[Prediction]) -> list[dict[str, Any]]:
    """Return what is compared of predictions."""
    return [
        {"end_s": window.end_s, "label": window.label, "probs": list(window.probs.values())}
        for window in windows
    ]


def voice(clips: list[Path]) -> dict[str, list[float]] | None:
    """Return the voice detector's probability of each frame, by clip."""
    if find_spec("edge_ser.vad.detectors") is None:
        return None
    from edge_ser.vad.detectors import open_detector

    detector = open_detector()
    probs: dict[str, list[float]] = {}
    for clip in clips:
        samples = load(clip, detector.sample_rate)
        whole = len(samples) // detector.frame_samples * detector.frame_samples
        frames = samples[:whole].reshape(-1, detector.frame_samples)
        detector.reset()
        probs[clip.name] = [detector.push(frame) for frame in frames]
    return probs


def compare(here: Measures, there: Measures) -> list[dict[str, Any]]:
    """Compare two measures.

    Returns:
        A row for the features, each model and way, and the voice detector: `what`, the `n` numbers or
        windows, `different_labels`, `ties` (labels that differ where two are as good as equally
        likely: what the tolerance allows may turn them), `max_difference`, `tolerance`, `ok`.
    """
    rows = [
        _row("MFCCs, dB", *_joined(here["features"], there["features"]), FEATURES_TOLERANCE),
    ]
    groups = dict.fromkeys(case.rpartition(", ")[0] for case in here["windows"])
    for group in groups:
        mine, theirs = (_windows(measures, group) for measures in (here, there))
        tolerance = _tolerance(group, here["jitter"])
        row = _row(group, _probs(mine), _probs(theirs), tolerance)
        same_places = [w["end_s"] for w in mine] == [w["end_s"] for w in theirs]
        other = [a for a, b in zip(mine, theirs, strict=same_places) if a["label"] != b["label"]]
        wrong = sum(_lead(window) > 2 * tolerance for window in other) if same_places else len(mine)
        counts = {"n": len(mine), "different_labels": wrong, "ties": len(other) - wrong}
        rows.append({**row, **counts, "ok": row["ok"] and same_places and wrong == 0})
    if here["voice"] is not None or there["voice"] is not None:
        voices = _joined(here["voice"] or {}, there["voice"] or {})
        rows.append(_row("voice detector", *voices, PROBS_TOLERANCE))
    return rows


def _lead(window: dict[str, Any]) -> float:
    """Return by how much the likeliest class is likelier than the next."""
    second, first = sorted([0.0, 0.0, *window["probs"]])[-2:]
    return float(first - second)


def _tolerance(group: str, jitter: dict[str, float]) -> float:
    """Return how far probabilities may be apart."""
    model, _, way = group.partition(", ")
    if model in HALVES:
        return HALVES_TOLERANCE
    if way == "network alone":
        return PROBS_TOLERANCE
    # Features differ by their last bits, and a network may make much of them: not more than on one
    # machine alone, with room for more steps than were drawn there.
    return max(PROBS_TOLERANCE, 2 * jitter[model])


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as aligned text."""
    heads = ("what", "n", "other labels", "ties", "largest difference", "allowed")
    lines = ["{:<24} {:>7} {:>13} {:>5} {:>19} {:>8}".format(*heads)]
    for row in rows:
        labels, ties = ("" if row[k] is None else str(row[k]) for k in ("different_labels", "ties"))
        difference = "shapes" if row["max_difference"] is None else f"{row['max_difference']:.2g}"
        lines.append(
            f"{row['what']:<24} {row['n']:>7,} {labels:>13} {ties:>5} {difference:>19} "
            f"{row['tolerance']:>8.2g}  {'same' if row['ok'] else 'DIFFERENT'}"
        )
    return "\n".join(lines)


def _row(what: str, mine: np.ndarray, theirs: np.ndarray, tolerance: float) -> dict[str, Any]:
    comparable = mine.shape == theirs.shape and mine.size > 0
    difference = float(np.abs(mine - theirs).max()) if comparable else None
    return {
        "what": what,
        "n": mine.size,
        "different_labels": None,
        "ties": None,
        "max_difference": difference,
        "tolerance": tolerance,
        # Not `> tolerance`: NaN is above nothing.
        "ok": difference is not None and difference <= tolerance,
    }


def _joined(mine: dict[str, Any], theirs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of all clips as [n], where both sides have the same clips and lengths."""
    if {k: np.shape(v) for k, v in mine.items()} != {k: np.shape(v) for k, v in theirs.items()}:
        return np.empty(1), np.empty(0)
    flat = [np.concatenate([np.ravel(side[clip]) for clip in mine]) for side in (mine, theirs)]
    return flat[0], flat[1]


def _windows(measures: Measures, group: str) -> list[dict[str, Any]]:
    cases = measures["windows"].items()
    return [
        window for case, windows in cases if case.startswith(f"{group}, ") for window in windows
    ]


def _probs(windows: list[dict[str, Any]]) -> np.ndarray:
    return np.array([p for window in windows for p in window["probs"]])


if __name__ == "__main__":
    sys.exit(main())
