"""Inference with ONNX Runtime; on the CPU it is the reference for other backends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_ser.card import AROUSAL_OUTPUT, CARD_KEY, ModelCard
from edge_ser.errors import ConfigError, EdgeSerError, EngineError, ModelError
from edge_ser.frontend import mel_filterbank
from edge_ser.inference.base import ModelOutput, Runner
from edge_ser.inference.checks import check_input, finite_logits, probability
from edge_ser.inference.session import open_session

Float32 = NDArray[np.float32]


class OnnxRunner(Runner):
    """Model in ONNX Runtime; may be shared between threads."""

    def __init__(self, path: Path, threads: int = 1, device: str = "auto") -> None:
        """Load `path`.

        Args:
            path: an ONNX file.
            threads: CPU threads for one inference.
            device: a key of `session.PROVIDERS`; auto is the CPU.

        Raises:
            ModelError: not an ONNX file, without a ModelCard, or with one that does not match the graph.
            MissingDependency, EngineError: the device cannot be used; see `open_session`.
        """
        self.path = path
        self._device = "cpu" if device == "auto" else device
        try:
            self._session = open_session(str(path), threads, device)
        except EdgeSerError:
            raise
        except Exception as error:  # noqa: BLE001 (onnxruntime's share no narrower base)
            raise self._not_loaded(str(error).splitlines()[0]) from None
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
        """Card of the model file."""
        return self._card

    @property
    def backend(self) -> str:
        """Backend and device."""
        return f"onnxruntime {ort.__version__}, {self._device}"

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata properties of the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, inputs: Float32) -> Float32:
        """Return logits float32 [batch, n_classes]; see `Runner.infer`."""
        return self.infer(inputs).logits

    def infer(self, inputs: Float32) -> ModelOutput:
        """Return the logits, and the arousal if the model has it; see `Runner.infer`."""
        check_input(self.path, self._input.name, self._input.shape, inputs)
        try:
            logits, *others = self._session.run(self._outputs, {self._input.name: inputs})
        except Exception as error:  # noqa: BLE001 (as above)
            raise ModelError(
                f"{self.path} cannot run on {self._device} with an input of shape "
                f"{list(inputs.shape)} ({str(error).splitlines()[0]}); give it a longer window, or "
                "export it again"
            ) from None
        arousal = probability(self.path, AROUSAL_OUTPUT, others[0]) if others else None
        return ModelOutput(finite_logits(self.path, logits), arousal)

    def _not_loaded(self, reason: str) -> EdgeSerError:
        if self._device == "cpu":
            return ModelError(
                f"{self.path} cannot be loaded as an ONNX model ({reason}); export it again"
            )
        return EngineError(
            f"{self.path} cannot be loaded on {self._device} ({reason}); try device "
            "cpu: if it loads there, the GPU or its libraries are the cause"
        )

    def _read_card(self) -> ModelCard:
        metadata = self.metadata
        if CARD_KEY not in metadata:
            keys = ", ".join(sorted(metadata)) or "none"
            raise ModelError(
                f"{self.path} has no ModelCard (metadata keys: {keys}; expected {CARD_KEY}), so its "
                "labels and front end are unknown; use a model written by `edge-ser export`"
            )
        try:
            card = ModelCard.from_json(metadata[CARD_KEY])
            mel_filterbank(card.frontend)
        except (ModelError, ConfigError) as error:
            raise ModelError(f"{self.path}: {error}") from None
        return card

    def _check_graph(self) -> None:
        """Reject a card that belongs to another network."""
        card = self._card
        inputs = self._session.get_inputs()
        outputs = {tensor.name: tensor for tensor in self._session.get_outputs()}
        if len(inputs) != 1 or not outputs:
            raise ModelError(
                f"{self.path}: expected one input and one or more outputs, got {len(inputs)} inputs "
                f"({', '.join(tensor.name for tensor in inputs)}) and {len(outputs)} outputs; export "
                "the model again"
            )
        if card.arousal and AROUSAL_OUTPUT not in outputs:
            raise ModelError(
                f"{self.path}: expected an output {AROUSAL_OUTPUT} as in its ModelCard, got "
                f"{', '.join(outputs)}; export the model again"
            )
        self._input = inputs[0]
        logits = next(name for name in outputs if not (card.arousal and name == AROUSAL_OUTPUT))
        self._outputs = [logits, AROUSAL_OUTPUT] if card.arousal else [logits]
        taken = [*inputs, *(outputs[name] for name in self._outputs[1:])]
        for tensor in taken:
            if tensor.type != "tensor(float)":
                raise ModelError(
                    f"{self.path}: expected float32 for {tensor.name}, got {tensor.type}; export the "
                    "model again"
                )
        rows = card.frontend.n_features
        shapes: dict[str, list[int | None]] = {
            "features": [None, rows, None],
            "waveform": [None, None],
        }
        expected: list[tuple[str, list[int | None], list[int | str | None]]] = [
            ("input", shapes[card.input], self._input.shape),
            ("output", [None, len(card.labels)], outputs[logits].shape),
        ]
        if card.arousal:
            expected.append((AROUSAL_OUTPUT, [None, 1], outputs[AROUSAL_OUTPUT].shape))
        for name, shape, actual in expected:
            fits = len(shape) == len(actual) and all(
                size is None or size == n for size, n in zip(shape, actual, strict=True)
            )
            if not fits:
                raise ModelError(
                    f"{self.path}: the graph's {name} is {actual}, its ModelCard says "
                    f"{['any' if size is None else size for size in shape]}; export the model again"
                )
