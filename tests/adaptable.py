"""A model with a last layer to adapt, and recordings of a site that it is wrong about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import soundfile
from onnx import TensorProto, helper, numpy_helper
from scipy.signal import lfilter
from support import make_card

from edge_ser.adapt.embed import SiteClips
from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.corpora import Clip

RATE = 16_000


def write_adaptable(
    path: Path,
    *,
    gemm: bool = True,
    arousal: bool = False,
    card: ModelCard | None = None,
) -> Path:
    """Write a network of one linear layer over the mean of each feature.

    Args:
        path: where to.
        gemm: make the layer a Gemm, else a MatMul and an Add.
        arousal: give a second output.
        card: by default that of `make_card`, with a mean of 2 for each feature.
    """
    card = card or make_card()
    rows, n_labels = card.frontend.n_features, len(card.labels)
    rng = np.random.default_rng(0)
    weight = (rng.normal(size=(n_labels, rows)) / 50).astype(np.float32)
    bias = np.array([0.3, -0.2, 0.1], dtype=np.float32)
    node = helper.make_node
    nodes = [node("ReduceMean", ["features"], ["mean"], axes=[2], keepdims=0)]
    stored = [numpy_helper.from_array(bias, "bias")]
    if gemm:
        nodes.append(node("Gemm", ["mean", "weight", "bias"], ["logits"], transB=1))
        stored.append(numpy_helper.from_array(weight, "weight"))
    else:
        nodes.append(node("MatMul", ["mean", "weight"], ["product"]))
        nodes.append(node("Add", ["product", "bias"], ["logits"]))
        stored.append(numpy_helper.from_array(np.ascontiguousarray(weight.T), "weight"))
    inputs = [
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", rows, "frames"])
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", n_labels])]
    if arousal:
        nodes.append(node("ReduceMean", ["mean"], ["level"], axes=[1], keepdims=1))
        nodes.append(node("Sigmoid", ["level"], ["arousal"]))
        outputs.append(helper.make_tensor_value_info("arousal", TensorProto.FLOAT, ["batch", 1]))
    graph = helper.make_graph(nodes, "adaptable", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    onnx.save(model, str(path))
    return path


def write_site(
    folder: Path, speakers: tuple[str, ...] = ("a",), n: int = 8, s: float = 3.0
) -> Path:
    """Write noise of another colour for each of two labels, `n` clips a speaker."""
    rng = np.random.default_rng(0)
    for label, colour in (("low", 0.97), ("high", -0.5)):
        for speaker in speakers:
            place = folder / label / speaker
            place.mkdir(parents=True)
            for take in range(n):
                samples = lfilter([1], [1, -0.9 * colour], rng.normal(size=int(s * RATE)))
                samples *= rng.uniform(0.03, 0.1) / samples.std()
                soundfile.write(place / f"{take}.wav", samples, RATE)
    return folder


def site_clips(
    folder: Path,
    n: int = 40,
    speakers: int = 4,
    classes: tuple[int, ...] = (0, 2),
    shift: float = 2.0,
) -> SiteClips:
    """Return clips of 4 s whose class shifts their embedding [13]; the files hold only their number."""
    rng = np.random.default_rng(1)
    folder.mkdir(exist_ok=True)
    clips, embeddings = [], []
    truth = np.array([classes[place % len(classes)] for place in range(n)])
    for place, label in enumerate(truth):
        path = folder / f"{place}.wav"
        path.write_text(str(place))
        speaker = f"site/{place // len(classes) % speakers}"
        clips.append(Clip(path, "site", speaker, "", "", None, f"site/{place}", None))
        mean = rng.normal(size=13)
        mean[label] += shift
        embeddings.append((mean + rng.normal(size=(1 + place % 3, 13)) / 4).astype(np.float32))
    return SiteClips(tuple(clips), tuple(embeddings), truth, (4.0,) * n, {})
