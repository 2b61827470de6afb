"""From an FP32 model to INT8, FP16 or both, through a gate: what was lost is measured first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnItem
from edge_ser.build.calibration import CalibrationSet
from edge_ser.build.float16 import kept_in_fp32, to_float16
from edge_ser.build.gate import Gate
from edge_ser.build.judge import Heard, Judge, Score, heard_windows
from edge_ser.build.layers import (
    AROUSAL,
    WEIGHTED,
    Layer,
    weighted_layers,
    worth_quantizing,
)
from edge_ser.build.qdq import prepared, with_qdq
from edge_ser.build.ranges import METHODS, activation_ranges, largest
from edge_ser.build.sensitivity import Sensitivity, ranked
from edge_ser.build.source import Source
from edge_ser.errors import CalibrationError, ConfigError
from edge_ser.precision import Precision

Float32 = NDArray[np.float32]

METHOD = "minmax"
"""The default: on the bundled model and its validation speakers it loses the least, with one scale a
channel (UAR 0.0 points, 99.2% of the clips keep their label); see `compare_methods`."""


@dataclass(frozen=True)
class Wish:
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
    sacrificed: tuple[str, ...]
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
        self, source: Source, calibration: CalibrationSet, heard: Heard | None = None
    ) -> None:
        calibration.require(source.card)
        self.source = source
        self.calibration = calibration
        self.layers = weighted_layers(source.body)
        heard = heard or heard_windows(calibration.windows)
        self.judge = Judge(source.body, heard)
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

    def candidates(self, wish: Wish) -> tuple[Layer, ...]:
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

    def network(self, wish: Wish, layers: Sequence[str]) -> onnx.ModelProto:
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

    def sensitivity(self, wish: Wish, progress: OnItem = lambda: None) -> Sensitivity:
        """Quantise each layer alone, gates and small layers too, but not the arousal's branch."""

        def score(name: str) -> Score:
            ranges = self._ranges_by(wish.method)
            return self.judge.score(with_qdq(self._float, [name], ranges, wish.per_channel))

        costs = ranked(self.tried, score, progress)
        return Sensitivity(wish.method, wish.per_channel, self.judge.heard.what, costs)

    def quantize(self, wish: Wish, gate: Gate, sensitivity: Sensitivity | None = None) -> Quantized:
        """Return the model that was asked for; layers are kept in float until the gate holds.

        Args:
            wish: what is asked for.
            gate: what must be kept of the FP32 model.
            sensitivity: if it was measured already; else it is when the gate does not hold.

        Raises:
            CalibrationError: the gate cannot be held, or FP16 would overflow.
        """
        layers = [layer.name for layer in self.candidates(wish)] if wish.int8 else []
        sacrificed: list[str] = []
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
            sacrificed.append(worst)
            if not layers:
                raise CalibrationError(_not_held(wish, gate, score, self.judge.heard))
        model = self.assemble(wish, network, layers, score)
        return Quantized(network, model, score, tuple(layers), tuple(sacrificed))

    def assemble(
        self, wish: Wish, network: onnx.ModelProto, layers: Sequence[str], score: Score
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


def _not_held(wish: Wish, gate: Gate, score: Score, heard: Heard) -> str:
    """Say what was lost, and what to try."""
    lost = f"agreement {score.agreement:.1%}"
    if score.uar is not None and score.uar_fp32 is not None:
        lost = f"UAR {score.uar:.1%} for {score.uar_fp32:.1%} in FP32, {lost}"
    return (
        f"{wish.kind.upper()} does not pass its gate on {heard.what}: {lost}; wanted: "
        f"{gate.in_words(bool(heard.truth))}. Try another --method (--compare-methods shows all), "
        "a larger calibration set, or a looser gate"
    )
