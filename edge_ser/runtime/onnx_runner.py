"""Inference by ONNX Runtime on the CPU: the reference that other backends are compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.errors import ConfigError, ModelError
from edge_ser.frontend import mel_filterbank
from edge_ser.runtime.runner import Runner

Float32 = NDArray[np.float32]

_ERRORS_ONLY = 3


class OnnxRunner(Runner):
    """A model in ONNX Runtime. Close to no state: may be shared between threads."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Load `path`.

        Raises:
            ModelError: not an ONNX file, no ModelCard in it, or one that does not fit the graph.
        """
        self.path = path
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # A spinning worker would burn a core of a small device between two windows.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 (onnxruntime's share no narrower base)
            reason = str(error).splitlines()[0]
            raise ModelError(
                f"{path} cannot be loaded as an ONNX model ({reason}); export it again"
            ) from None
        try:
            self._card = self._read_card()
            self._check_graph()
        except UnicodeDecodeError as error:
            raise ModelError(
                f"{path} is damaged: a name or a text in it is not UTF-8 ({error.reason}); export it "
                "again"
            ) from None

    @property
    def card(self) -> ModelCard:
        """What the model file says of itself."""
        return self._card

    @property
    def backend(self) -> str:
        """What computes, and on what."""
        return f"onnxruntime {ort.__version__}, cpu"

    @property
    def metadata(self) -> dict[str, str]:
        """All metadata properties of the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, inputs: Float32) -> Float32:
        """Return logits float32 [batch, n_classes]; see `Runner.run`."""
        expected = self._input.shape
        if inputs.ndim != len(expected) or any(
            isinstance(want, int) and want != got
            for want, got in zip(expected, inputs.shape, strict=True)
        ):
            raise ModelError(
                f"{self.path} takes {self._input.name} {expected}, {list(inputs.shape)} came; "
                "compute the features with the front end of the model's card"
            )
        if inputs.dtype != np.float32 or inputs.size == 0:
            raise ModelError(
                f"{self.path} takes float32 that is not empty, {inputs.dtype} came, of shape "
                f"{list(inputs.shape)}; give it what the front end makes"
            )
        logits: Float32 = self._session.run(None, {self._input.name: inputs})[0]
        if not np.isfinite(logits).all():
            raise ModelError(f"{self.path} returned logits that are not finite; export it again")
        return logits

    def _read_card(self) -> ModelCard:
        metadata = self.metadata
        if CARD_KEY not in metadata:
            keys = ", ".join(sorted(metadata)) or "none"
            raise ModelError(
                f"{self.path} has no ModelCard (metadata keys: {keys}; wanted {CARD_KEY}), so its "
                "labels and front end are unknown; use a model written by `edge-ser export`"
            )
        try:
            card = ModelCard.from_json(metadata[CARD_KEY])
            mel_filterbank(card.frontend)
        except (ModelError, ConfigError) as error:
            raise ModelError(f"{self.path}: {error}") from None
        return card

    def _check_graph(self) -> None:
        """Refuse a card that was put on another network."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or not outputs:
            raise ModelError(
                f"{self.path} has {len(inputs)} inputs and {len(outputs)} outputs, one of each was "
                "wanted; export the model again"
            )
        self._input = inputs[0]
        if self._input.type != "tensor(float)":
            raise ModelError(
                f"{self.path} takes {self._input.type}, float32 was wanted; export the model again"
            )
        rows = self._card.frontend.n_features
        shapes: dict[str, list[int | None]] = {
            "features": [None, rows, None],
            "waveform": [None, None],
        }
        wanted: dict[str, tuple[list[int | None], list[int | str | None]]] = {
            "input": (shapes[self._card.input], self._input.shape),
            "output": ([None, len(self._card.labels)], outputs[0].shape),
        }
        for what, (want, got) in wanted.items():
            fits = len(want) == len(got) and all(
                w is None or w == g for w, g in zip(want, got, strict=True)
            )
            if not fits:
                raise ModelError(
                    f"{self.path}: the graph's {what} is {got}, its ModelCard says "
                    f"{['any' if w is None else w for w in want]}; export the model again"
                )
