"""Opens models that it is told of, a path a line, and says what came of it, a line each.

A process of its own, because what ONNX Runtime does with a damaged file may end the process.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edge_ser.errors import EdgeSerError
from edge_ser.inference.onnxruntime import OnnxRunner


def main() -> None:
    """Answer until the input ends: `taken`, `refused` and why, or `raised` and what."""
    for line in sys.stdin:
        try:
            runner = OnnxRunner(Path(line.rstrip("\n")))
            rows = runner.card.frontend.n_features
            shape = (1, rows, 20) if runner.card.input == "features" else (1, 800)
            runner.run(np.ones(shape, dtype=np.float32))
            said = "taken"
        except EdgeSerError as error:
            said = f"refused {error}"
        except BaseException as error:  # noqa: BLE001 (it is what is looked for)
            said = f"raised {type(error).__name__}: {error}"
        print(said.replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
