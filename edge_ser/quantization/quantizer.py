"""From an FP32 model to INT8, FP16 or both, through a gate: what was lost is measured first."""

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
    GateClip,
    Score,
    heard_windows,
    interleaved_ms,
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
"""The default: on the bundled model and its validation speakers it loses the least, with one scale a
channel (UAR 0.0 points, 99.2% of the clips keep their label); see `compare_methods`."""


@dataclass(frozen=True)
class QuantizeConfig:
    """What is asked for.

    Raises:
        ConfigError: neither INT8 nor FP16, or a method that there is not.
    """

    int8: bool = True
    fp16: bool = False
    method: str = METHOD
    """How ranges of activations are chosen; one of METHODS."""
    per_channel: bool = True
    """Whether each output channel of the weights has a scale of its own."""
    exclude: tuple[str, ...] = ()
    """Layers to keep in float whatever they cost."""

    def __post_init__(self) -> None:
        if not (self.int8 or self.fp16):
            raise ConfigError("neither INT8 nor FP16 was asked for; choose one of them, or both")
        if self.method not in METHODS:
            raise ConfigError(f"method is {self.method!r}, wanted: one of {', '.join(METHODS)}")

    @property
    def kind(self) -> str:
        """The kind of `Precision` that comes of it."""
        return "+".join(name for name, on in (("int8", self.int8), ("fp16", self.fp16)) if on)


@dataclass(frozen=True, eq=False)
class Quantized:
    """A model that passed its gate."""

    network: onnx.ModelProto
    """From features to logits."""
    model: onnx.ModelProto
    """The whole, with its card and precision record."""
    score: Score
    quantized: tuple[str, ...]
    """Layers in INT8."""
    kept_in_float: tuple[str, ...]
    """Layers that would have been, and were kept in float for the gate, in this order."""


class Quantizer:
    """Make lower precisions of one model, judged on the same clips.

    Args:
        source: the FP32 model.
        calibration: windows to learn ranges from.
        heard: clips to judge on, None for the calibration windows themselves.

    Raises:
        CalibrationError: a set of another front end or window.
    """

    def __init__(
        self, source: Source, calibration: CalibrationSet, heard: GateClip | None = None
    ) -> None:
        calibration.require(source.card)
        self.source = source
        self.calibration = calibration
        self.layers = weighted_layers(source.body)
        heard = heard or heard_windows(calibration.windows)
        self.judge = AccuracyGate(source.body, heard)
        self._float = prepared(source.body, [layer.name for layer in self.layers])
        self._ranges: dict[str, object] = {}

    @property
    def tried(self) -> tuple[Layer, ...]:
        """Layers whose sensitivity is measured."""
        return tuple(layer for layer in self.layers if layer.role != AROUSAL)

    def example(self) -> Float32:
        """Return an input of the model's window: features, or noise where audio goes in."""
        card = self.source.card
        if card.input == "features":
            return self.calibration.windows[:1]
        n_samples = round(card.window_s * card.frontend.sample_rate)
        noise = np.random.default_rng(0).normal(scale=0.1, size=(1, n_samples))
        return noise.astype(np.float32)

    def candidates(self, wish: QuantizeConfig) -> tuple[Layer, ...]:
        """Return the layers that INT8 is tried on.

        Raises:
            ConfigError: an exclusion of a layer that there is not, or of all that there are.
        """
        names = [layer.name for layer in self.layers]
        if unknown := [name for name in wish.exclude if name not in names]:
            raise ConfigError(
                f"there is no layer {unknown[0]!r} to exclude; the layers are {', '.join(names)}"
            )
        worth = set(worth_quantizing(self.layers)) - set(wish.exclude)
        if not worth:
            raise ConfigError(
                f"no layer is left for INT8: {', '.join(names) or 'none'} are excluded, too small, or "
                "gates; exclude fewer"
            )
        return tuple(layer for layer in self.layers if layer.name in worth)

    def network(self, wish: QuantizeConfig, layers: Sequence[str]) -> onnx.ModelProto:
        """Return the network with these layers in INT8, not judged.

        Raises:
            CalibrationError: FP16 was asked for and would overflow.
        """
        network = self.source.body
        if wish.int8:
            ranges = self._ranges_by(wish.method)
            network = with_qdq(self._float, layers, ranges, wish.per_channel)
        if wish.fp16:
            plain = self._float if wish.int8 else network
            sizes = largest(plain, self.calibration.windows)
            network = to_float16(network, sizes, layers if wish.int8 else ())
        return network

    def sensitivity(self, wish: QuantizeConfig, progress: OnItem = lambda: None) -> Sensitivity:
        """Quantise each layer alone, gates and small layers too, but not the arousal's branch."""

        def score(name: str) -> Score:
            ranges = self._ranges_by(wish.method)
            return self.judge.score(with_qdq(self._float, [name], ranges, wish.per_channel))

        costs = ranked(self.tried, score, progress)
        return Sensitivity(wish.method, wish.per_channel, self.judge.heard.what, costs)

    def quantize(
        self, wish: QuantizeConfig, gate: Gate, sensitivity: Sensitivity | None = None
    ) -> Quantized:
        """Return the model that was asked for; layers are kept in float until the gate holds.

        Args:
            wish: what is asked for.
            gate: what must be kept of the FP32 model.
            sensitivity: if it was measured already; else it is when the gate does not hold.

        Raises:
            CalibrationError: the gate cannot be held, or FP16 would overflow.
        """
        layers = [layer.name for layer in self.candidates(wish)] if wish.int8 else []
        kept_in_float: list[str] = []
        while True:
            network = self.network(wish, layers)
            score = self.judge.score(network)
            if gate.holds(score):
                break
            if not layers:
                raise CalibrationError(_not_held(wish, gate, score, self.judge.heard))
            sensitivity = sensitivity or self.sensitivity(wish)
            worst = next(c.layer.name for c in sensitivity.costs if c.layer.name in layers)
            layers.remove(worst)
            kept_in_float.append(worst)
            if not layers:
                raise CalibrationError(_not_held(wish, gate, score, self.judge.heard))
        model = self.assemble(wish, network, layers, score)
        return Quantized(network, model, score, tuple(layers), tuple(kept_in_float))

    def assemble(
        self, wish: QuantizeConfig, network: onnx.ModelProto, layers: Sequence[str], score: Score
    ) -> onnx.ModelProto:
        """Return the whole model, with its card and the record of how it was made."""
        if wish.int8:
            excluded = tuple(x.name for x in self.layers if x.name not in layers)
        else:
            excluded = kept_in_fp32(self.source.body)
        precision = Precision(
            kind=wish.kind,
            source_sha256=self.source.sha256,
            method=wish.method if wish.int8 else "",
            per_channel=wish.int8 and wish.per_channel,
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


def _not_held(wish: QuantizeConfig, gate: Gate, score: Score, heard: GateClip) -> str:
    """Say what was lost, and what to try."""
    lost = f"agreement {score.agreement:.1%}"
    if score.uar is not None and score.uar_fp32 is not None:
        lost = f"UAR {score.uar:.1%} for {score.uar_fp32:.1%} in FP32, {lost}"
    return (
        f"{wish.kind.upper()} does not pass its gate on {heard.what}: {lost}; wanted: "
        f"{gate.in_words(bool(heard.truth))}. Try another --method (--compare-methods shows all), "
        "a larger calibration set, or a looser gate"
    )


_N_ROUNDS = 200


@dataclass(frozen=True)
class MethodRow:
    """One method, before any layer is kept in float for the gate."""

    method: str
    per_channel: bool
    score: Score
    size: float
    """Of the file, as a share of the FP32 file's."""
    speed: float
    """Median time of FP32 over median time of this, one window on one core in ONNX Runtime."""


def compare_methods(
    quantizer: Quantizer, wish: QuantizeConfig, progress: OnItem = lambda: None
) -> tuple[MethodRow, ...]:
    """Quantise by every method and measure each.

    Args:
        quantizer: of the model.
        wish: what else is asked for; its method and granularity are not looked at.
        progress: called after each row.
    """
    layers = [layer.name for layer in quantizer.candidates(wish)]
    source, window = quantizer.source, quantizer.calibration.windows[:1]
    rows = []
    for per_channel in (True, False):
        for method in METHODS:
            asked = dataclasses.replace(wish, int8=True, method=method, per_channel=per_channel)
            network = quantizer.network(asked, layers)
            score = quantizer.judge.score(network)
            fp32_ms, ms = interleaved_ms([source.body, network], window, _N_ROUNDS)
            n_bytes = quantizer.assemble(asked, network, layers, score).ByteSize()
            size, speed = n_bytes / source.n_bytes, fp32_ms / ms
            rows.append(MethodRow(method, per_channel, score, size, speed))
            progress()
    return tuple(rows)
