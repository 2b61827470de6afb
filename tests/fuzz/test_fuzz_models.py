"""Damaged ONNX files, opened in a process of their own."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

import onnx
from fuzz_seeds import CARD, as_json
from fuzzing import HANG_MS, changed_text, damaged, fuzz
from hypothesis import strategies as st
from support import make_card, write_conv_model, write_tiny_model

from edge_ser.card import CARD_KEY
from edge_ser.errors import ModelError

WORKER = Path(__file__).with_name("onnx_worker.py")


class Worker:
    """`onnx_worker.py`, started again after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def open(self, path: Path) -> None:
        """Open a model there.

        Raises:
            ModelError: it was refused.
            AssertionError: it crashed, hung, or raised what is no EdgeSerError.
        """
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        process = self._process
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        answered = select.select([process.stdout], [], [], HANG_MS / 1000)[0]
        said = process.stdout.readline() if answered else ""
        if not said:
            self.close()
            how = f"ended with {process.returncode}" if answered else "hung"
            raise AssertionError(f"the process that opened the model {how}")
        assert not said.startswith("raised"), said
        if said.startswith("refused"):
            raise ModelError(said)

    def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.stdin.close()
            process.stdout.close()
            process.wait()


def test_a_damaged_model_is_opened_or_refused(tmp_path):
    files = [
        write_tiny_model(tmp_path / "features.onnx"),
        write_tiny_model(tmp_path / "waveform.onnx", make_card(input="waveform")),
        write_conv_model(tmp_path / "conv.onnx"),
    ]
    plain = onnx.load(files[0])

    def with_card(text: str) -> bytes:
        onnx.helper.set_model_props(plain, {CARD_KEY: text})
        return plain.SerializeToString()

    models = st.one_of(
        damaged([file.read_bytes() for file in files]),
        changed_text([as_json(CARD)]).map(with_card),
    )
    path, worker = tmp_path / "model.onnx", Worker()

    def use(data: bytes) -> None:
        path.write_bytes(data)
        worker.open(path)

    try:
        fuzz("ONNX models", models, use)
    finally:
        worker.close()
