"""Quantise an FP32 model to INT8, FP16 or both, with an accuracy gate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnItem
from edge_ser.errors import CalibrationError, ConfigError
from edge_ser.precision import Precision
from edge_ser.quantization.accuracy_gate import (
    AccuracyGate,
    GateClips,
    Score,
    interleaved_ms,
    window_clips,
)
from edge_ser.quantization.calibration_set import CalibrationSet
from edge_ser.quantization.float16 import kept_in_fp32, to_float16
from edge_ser.quantization.gate_config import Gate
from edge_ser.quantization.layers import (
    AROUSAL,
    WEIGHTED,
    Layer,
    weighted_layers,
    worth_quantizing,
)
from edge_ser.quantization.model_parts import Source
from edge_ser.quantization.qdq import prepared, with_qdq
from edge_ser.quantization.ranges import METHODS, activation_ranges, largest
from edge_ser.quantization.sensitivity import Sensitivity, ranked

Float32 = NDArray[np.float32]

METHOD = "minmax"
"""Default method. On the bundled model and its validation speakers it loses the least, with one scale
per channel (UAR 0.0 points, 99.2% of the clips keep their label); see `compare_methods`."""


@dataclass(frozen=True)
class QuantizeConfig:
    """Quantisation options.

    Raises:
        ConfigError: neither INT8 nor FP16, or an unknown method.
    """

    int8: bool = True
    fp16: bool = False
    method: str = METHOD
    """Calibration method of the activation ranges; one of METHODS."""
    per_channel: bool = True
    """Whether each output channel of the weights has its own scale."""
    exclude: tuple[str, ...] = ()
    """Layers to keep in float."""

    def __post_init__(self) -> None:
        if not (self.int8 or self.fp16):
            raise ConfigError(
                "expected INT8, FP16 or both, got neither; choose one of them, or both"
            )
        if self.method not in METHODS:
            raise ConfigError(f"method: expected one of {', '.join(METHODS)}, got {self.method!r}")

    @property
    def kind(self) -> str:
        """Kind of the resulting `Precision`."""
        return "+".join(name for name, on in (("int8", self.int8), ("fp16", self.fp16)) if on)


@dataclass(frozen=True, eq=False)
class Quantized:
    """Quantised model that passed the gate."""

    network: onnx.ModelProto
    """Graph from features to logits."""
    model: onnx.ModelProto
    """Complete model, with its card and precision record."""
    score: Score
    quantized: tuple[str, ...]
    """Layers in INT8."""
    kept_in_float: tuple[str, ...]
    """Candidates that were kept in float to pass the gate, in this order."""


class Quantizer:
    """Quantiser of one model, which evaluates all variants on the same clips.

    Args:
        source: the FP32 model.
        calibration: windows for the activation ranges.
        clips: clips to evaluate on; None for the calibration windows.

    Raises:
        CalibrationError: the calibration set has another front end or window.
    """

    def __init__(
        self, source: Source, calibration: CalibrationSet, clips: GateClips | None = None
    ) -> None:
        calibration.require(source.card)
        self.source = source
        self.calibration = calibration
        self.layers = weighted_layers(source.body)
        clips = clips or window_clips(calibration.windows)
        self.accuracy_gate = AccuracyGate(source.body, clips)
        self._float = prepared(source.body, [layer.name for layer in self.layers])
        self._ranges: dict[str, object] = {}

    @property
    def tried(self) -> tuple[Layer, ...]:
        """Layers whose sensitivity is measured."""
        return tuple(layer for layer in self.layers if layer.role != AROUSAL)

    def example(self) -> Float32:
        """Return an input of one window: features, or noise if the model takes audio."""
        card = self.source.card
        if card.input == "features":
            return self.calibration.windows[:1]
        n_samples = round(card.window_s * card.frontend.sample_rate)
        noise = np.random.default_rng(0).normal(scale=0.1, size=(1, n_samples))
        return noise.astype(np.float32)

    def candidates(self, config: QuantizeConfig) -> tuple[Layer, ...]:
        """Return the layers to quantise to INT8.

        Raises:
            ConfigError: `exclude` names an unknown layer, or leaves no layer.
        """
        names = [layer.name for layer in self.layers]
        if unknown := [name for name in config.exclude if name not in names]:
            raise ConfigError(
                f"expected names of layers to exclude ({', '.join(names)}), got {unknown[0]!r}"
            )
        worth = set(worth_quantizing(self.layers)) - set(config.exclude)
        if not worth:
            raise ConfigError(
                f"no layer is left for INT8: {', '.join(names) or 'none'} are excluded, too small, or "
                "gates; exclude fewer"
            )
        return tuple(layer for layer in self.layers if layer.name in worth)

    def network(self, config: QuantizeConfig, layers: Sequence[str]) -> onnx.ModelProto:
        """Return the network with these layers in INT8, without evaluating it.

        Raises:
            CalibrationError: FP16 would overflow.
        """
        network = self.source.body
        if config.int8:
            ranges = self._ranges_by(config.method)
            network = with_qdq(self._float, layers, ranges, config.per_channel)
        if config.fp16:
            plain = self._float if config.int8 else network
            sizes = largest(plain, self.calibration.windows)
            network = to_float16(network, sizes, layers if config.int8 else ())
        return network

    def sensitivity(self, config: QuantizeConfig, progress: OnItem = lambda: None) -> Sensitivity:
        """Quantise each layer alone, gates and small layers included, the arousal branch excluded."""

        def score(name: str) -> Score:
            ranges = self._ranges_by(config.method)
            return self.accuracy_gate.score(
                with_qdq(self._float, [name], ranges, config.per_channel)
            )

        costs = ranked(self.tried, score, progress)
        return Sensitivity(
            config.method, config.per_channel, self.accuracy_gate.clips.description, costs
        )

    def quantize(
        self, config: QuantizeConfig, gate: Gate, sensitivity: Sensitivity | None = None
    ) -> Quantized:
        """Return the quantised model; layers are moved back to float until the gate holds.

        Args:
            config: the quantisation options.
            gate: the accuracy limits.
            sensitivity: the sensitivity, if already measured; else it is measured if the gate
                does not hold.

        Raises:
            CalibrationError: the gate cannot be passed, or FP16 would overflow.
        """
        layers = [layer.name for layer in self.candidates(config)] if config.int8 else []
        kept_in_float: list[str] = []
        while True:
            network = self.network(config, layers)
            score = self.accuracy_gate.score(network)
            if gate.holds(score):
                break
            if not layers:
                raise CalibrationError(_not_held(config, gate, score, self.accuracy_gate.clips))
            sensitivity = sensitivity or self.sensitivity(config)
            worst = next(c.layer.name for c in sensitivity.costs if c.layer.name in layers)
            layers.remove(worst)
            kept_in_float.append(worst)
            if not layers:
                raise CalibrationError(_not_held(config, gate, score, self.accuracy_gate.clips))
        model = self.assemble(config, network, layers, score)
        return Quantized(network, model, score, tuple(layers), tuple(kept_in_float))

    def assemble(
        self, config: QuantizeConfig, network: onnx.ModelProto, layers: Sequence[str], score: Score
    ) -> onnx.ModelProto:
        """Return the complete model, with its card and precision record."""
        if config.int8:
            excluded = tuple(x.name for x in self.layers if x.name not in layers)
        else:
            excluded = kept_in_fp32(self.source.body)
        precision = Precision(
            kind=config.kind,
            source_sha256=self.source.sha256,
            method=config.method if config.int8 else "",
            per_channel=config.int8 and config.per_channel,
            calibration_digest=self.calibration.digest,
            excluded=excluded,
            gate=score.figures(),
        )
        return self.source.assemble(network, precision)

    def _ranges_by(self, method: str) -> object:
        if method not in self._ranges:
            windows = self.calibration.windows
            self._ranges[method] = activation_ranges(self._float, windows, method, WEIGHTED)
        return self._ranges[method]


def _not_held(config: QuantizeConfig, gate: Gate, score: Score, clips: GateClips) -> str:
    """Return the message of a failed gate: the measured loss, and what to try."""
    lost = f"agreement {score.agreement:.1%}"
    if score.uar is not None and score.uar_fp32 is not None:
        lost = f"UAR {score.uar:.1%} for {score.uar_fp32:.1%} in FP32, {lost}"
    return (
        f"{config.kind.upper()} does not pass its gate on {clips.description}: expected "
        f"{gate.in_words(bool(clips.truth))}, got {lost}. Try another --method (--compare-methods "
        "shows all), a larger calibration set, or a looser gate"
    )


_N_ROUNDS = 200


@dataclass(frozen=True)
class MethodRow:
    """Result of one method, before any layer is moved back to float for the gate."""

    method: str
    per_channel: bool
    score: Score
    size: float
    """File size as a share of the FP32 file's."""
    speed: float
    """Median time of FP32 / median time of this method, one window on one core in ONNX Runtime."""


def compare_methods(
    quantizer: Quantizer, config: QuantizeConfig, progress: OnItem = lambda: None
) -> tuple[MethodRow, ...]:
    """Quantise with every method and evaluate each.

    Args:
        quantizer: the quantiser of the model.
        config: the quantisation options; its method and granularity are ignored.
        progress: called after each row.
    """
    layers = [layer.name for layer in quantizer.candidates(config)]
    source, window = quantizer.source, quantizer.calibration.windows[:1]
    rows = []
    for per_channel in (True, False):
        for method in METHODS:
            variant = dataclasses.replace(config, int8=True, method=method, per_channel=per_channel)
            network = quantizer.network(variant, layers)
            score = quantizer.accuracy_gate.score(network)
            fp32_ms, ms = interleaved_ms([source.body, network], window, _N_ROUNDS)
            n_bytes = quantizer.assemble(variant, network, layers, score).ByteSize()
            size, speed = n_bytes / source.n_bytes, fp32_ms / ms
            rows.append(MethodRow(method, per_channel, score, size, speed))
            progress()
    return tuple(rows)
