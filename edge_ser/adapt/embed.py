"""Embeddings of a site's clips: inputs of the last layer, for the windows that `run` cuts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edge_ser._util.callbacks import OnItem
from edge_ser.adapt.head import AdaptableModel
from edge_ser.audio.io import AudioChunk, load
from edge_ser.corpora import Clip
from edge_ser.errors import ModelError
from edge_ser.inference.session import open_session
from edge_ser.recognition.windowing import WindowConfig, clip_inputs

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SiteClips:
    """Audible clips with labels of the model, and the embedding of each window."""

    clips: tuple[Clip, ...]
    embeddings: tuple[Float32, ...]
    """Embeddings of each clip, [n_windows, n_embedding], at least one window."""
    truth: NDArray[np.int64]
    """Class of each clip [n_clips]."""
    seconds: tuple[float, ...]
    """Length of each clip."""
    left_out: dict[str, int]
    """Number of unused clips, by reason."""


class Embedder:
    """The network up to its last layer, in ONNX Runtime.

    Raises:
        ModelError: ONNX Runtime rejects the graph, or it has other than one input.
    """

    def __init__(self, source: AdaptableModel, threads: int = 1) -> None:
        model = onnx.ModelProto()
        model.CopyFrom(source.model)
        self._output = source.place.embedding
        if self._output not in {value.name for value in model.graph.output}:
            n = source.head.weight.shape[1]
            model.graph.output.append(
                helper.make_tensor_value_info(self._output, TensorProto.FLOAT, ["batch", n])
            )
        try:
            self._session = open_session(model.SerializeToString(), threads)
        except Exception as error:  # noqa: BLE001 (onnxruntime's errors share no narrower base)
            raise ModelError(
                f"{source.path} cannot be loaded as an ONNX model ({str(error).splitlines()[0]}); "
                "export it again"
            ) from None
        names = [value.name for value in self._session.get_inputs()]
        if len(names) != 1:
            raise ModelError(
                f"{source.path}: expected one input, got {', '.join(names)}; export it again"
            )
        self._input = names[0]

    def __call__(self, windows: Float32) -> Float32:
        """Return embeddings [batch, n_embedding] of windows as `Runner.run` takes them."""
        embeddings: Float32 = self._session.run([self._output], {self._input: windows})[0]
        return embeddings


def embed_clips(
    source: AdaptableModel,
    clips: Sequence[Clip],
    *,
    threads: int = 1,
    progress: OnItem = lambda: None,
) -> SiteClips:
    """Return the embeddings of clips; silent, short and unknown ones are left out and counted.

    Args:
        source: the model.
        clips: labelled recordings.
        threads: CPU threads for one inference.
        progress: called after each clip.

    Raises:
        AudioError: a clip that cannot be read.
        ModelError: ONNX Runtime rejects the graph.
    """
    embed, config = Embedder(source, threads), WindowConfig.from_card(source.card)
    card = source.card
    rate = card.frontend.sample_rate
    used: list[Clip] = []
    embeddings: list[Float32] = []
    seconds: list[float] = []
    left_out: Counter[str] = Counter()
    for clip in clips:
        progress()
        if clip.emotion not in card.labels:
            left_out[f"labelled {clip.emotion}, which the model does not know"] += 1
            continue
        samples = load(clip.path, rate, clip.channel)
        if len(samples) < card.min_window_s * rate:
            left_out[f"shorter than {card.min_window_s:g} s"] += 1
            continue
        inputs = clip_inputs([AudioChunk(samples, rate)], config, clip.group)
        windows = [window for window in inputs if window is not None]
        if not windows:
            left_out["silent"] += 1
            continue
        used.append(clip)
        embeddings.append(embed(np.concatenate(windows)))
        seconds.append(len(samples) / rate)
    truth = np.array([card.labels.index(clip.emotion) for clip in used], dtype=np.int64)
    return SiteClips(tuple(used), tuple(embeddings), truth, tuple(seconds), dict(left_out))
