"""Time the bundled model in each precision, in PyTorch, and the paper's network, on one window."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import harness
import models
import numpy as np
import torch
from harness import Contestant, in_turns
from numpy.typing import NDArray
from report import Part, Table, Target, deliver, parser, timing_table
from speech import clip

from edge_ser.evaluation import onnx_graph
from edge_ser.frontend import mfcc
from edge_ser.inference.loader import bundled_model
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.inference.session import open_session

Float32 = NDArray[np.float32]

FP32, FP16, INT8 = "ONNX Runtime FP32", "ONNX Runtime FP16", "ONNX Runtime INT8"
EAGER, COMPILED, PAPER = "PyTorch", "PyTorch, torch.compile", "paper's network, ONNX Runtime FP32"

IN_A_ROW = 10
METHOD = (
    "Features of a window of 3 s go in, logits come out; contestants take turns in an order drawn anew "
    "each round. PyTorch runs the bundled model's architecture with random weights, and so the paper's "
    "network has them: they take the same time as trained ones."
)

CACHES = (
    "One by one, a network meets caches that the others have filled, the paper's 150 MB among "
    "them; a device that runs one network is nearer to the other table."
)


@dataclass(frozen=True)
class Network:
    """A file, and how much work it is."""

    name: str
    n_bytes: int
    macs: int

    def cells(self, base: Network) -> list[str]:
        """Return a row of the table of sizes."""
        return [
            self.name,
            f"{self.n_bytes:,}",
            f"{self.n_bytes / base.n_bytes:.2f}",
            f"{self.macs / 1e6:.1f} M",
            f"{self.macs / base.macs:.2f}",
        ]


def main() -> int:
    """Time and print."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=200)
    chosen = options.parse_args()
    harness.on_one_core()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        part = measure(chosen.rounds, Path(folder))
    return deliver(part, chosen.json)


def measure(rounds: int, folder: Path) -> Part:
    """Return what was found."""
    frontend = OnnxRunner(bundled_model()).card.frontend
    window = mfcc(clip(3.0), frontend)[None]
    row = np.random.default_rng(0).standard_normal((1, models.PAPER_LENGTH)).astype(np.float32)
    paper = models.export(models.paper_in_torch(), torch.from_numpy(row), folder / "paper.onnx")
    files = {
        FP32: (bundled_model(), window),
        FP16: (models.quantized(folder, "--fp16"), window),
        INT8: (models.quantized(folder), window),
        PAPER: (paper, row),
    }
    contestants = [Contestant(name, in_onnx_runtime(*given)) for name, given in files.items()]
    network = models.compact_in_torch()
    contestants.append(Contestant(EAGER, in_torch(network, window)))
    notes = [f"{rounds} runs of each.", CACHES]
    try:
        contestants.append(Contestant(COMPILED, in_torch(torch.compile(network), window)))
    except Exception as error:  # noqa: BLE001 (a compiler that is not there has many ways to say so)
        notes.append(f"torch.compile was not measured: {str(error).splitlines()[0]}.")
    cold = in_turns(contestants, rounds)
    warm = in_turns(contestants, max(1, rounds // IN_A_ROW), in_a_row=IN_A_ROW)
    sizes = {
        name: Network(name, path.stat().st_size, macs(path, given.shape))
        for name, (path, given) in files.items()
    }
    ours, theirs = sizes[INT8], sizes[PAPER]
    return Part(
        title="Inference",
        method=METHOD,
        versions=harness.versions("onnxruntime", "torch", "numpy"),
        tables=[
            timing_table(list(warm.values()), warm[INT8], f"{IN_A_ROW} in a row"),
            timing_table(list(cold.values()), cold[INT8], "One by one"),
            Table(
                ["", "bytes", "times INT8", "MACs", "times INT8"],
                [network.cells(ours) for network in sizes.values()],
            ),
        ],
        targets=[
            *(
                Target.at_least(
                    f"paper's network, times the latency, {how}",
                    50,
                    times[PAPER].ratio(times[INT8]),
                )
                for how, times in ((f"{IN_A_ROW} in a row", warm), ("one by one", cold))
            ),
            Target.at_least("paper's network, times the size", 250, theirs.n_bytes / ours.n_bytes),
            Target.at_least("paper's network, times the MACs", 30, theirs.macs / ours.macs),
        ],
        notes=notes,
    )


def in_onnx_runtime(path: Path, given: Float32) -> Callable[[], object]:
    """Return an inference with the settings of `edge-ser run`."""
    session = open_session(str(path))
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: given})


def in_torch(network: Callable[..., object], window: Float32) -> Callable[[], object]:
    """Return an inference that has been run once."""
    given = torch.from_numpy(window)

    def run() -> object:
        with torch.inference_mode():
            return network(given)

    run()
    return run


def macs(path: Path, shape: tuple[int, ...]) -> int:
    """Return the multiplications for one input, as `edge-ser inspect` counts them.

    Raises:
        ValueError: a layer whose shape is not known.
    """
    counts = [layer.macs for layer in onnx_graph.layers(onnx_graph.load_model(path), shape)]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        raise ValueError(f"{path} has layers whose shape is not known")
    return sum(known)


if __name__ == "__main__":
    sys.exit(main())
