"""The networks that are measured: the bundled one in each precision, and the paper's."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import warnings
from pathlib import Path

import onnx
import torch
from speech import ROOT

from edge_ser.inference.loader import bundled_model
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.quantization.frontend_graph import IR_VERSION, OPSET
from edge_ser.training.baselines.paper.trainer import PaperNetwork
from edge_ser.training.distillation.teacher import WIDTH
from edge_ser.training.model import CompactAttentionCnn, ModelConfig, count_parameters

PAPER_LENGTH, PAPER_CLASSES = 2_268, 7
"""Numbers that describe a clip of the paper's longest corpus, RAVDESS, and its classes: with so many
the network has the paper's 37.4 million parameters."""


def quantized(folder: Path, *options: str) -> Path:
    """Quantise the bundled model as the README says; return the file."""
    out = folder / f"model{''.join(options) or '--int8'}.onnx"
    command = [sys.executable, "-m", "edge_ser", "quantize", str(bundled_model()), *options]
    calibration = ["--calibration", str(ROOT / "calibration" / "default"), "--out", str(out)]
    subprocess.run([*command, *calibration], check=True, capture_output=True)
    return out


def compact_in_torch() -> CompactAttentionCnn:
    """Return the bundled model's architecture in PyTorch, with random weights.

    Raises:
        ValueError: another number of parameters than the bundled model has.
    """
    card = OnnxRunner(bundled_model()).card
    said = json.loads(bundled_model().with_name("bundled_training.json").read_text("utf-8"))
    sizes = {name: tuple(said[name]) for name in ("channels", "strides") if name in said}
    config = ModelConfig(
        n_features=card.frontend.n_features,
        n_classes=len(card.labels),
        embedding=WIDTH if said.get("teacher_weight") else 0,
        **sizes,
    )
    network = CompactAttentionCnn(config, card.normalization).eval()
    if count_parameters(network) != card.n_parameters:
        raise ValueError(
            f"{count_parameters(network)} parameters built, the bundled model has {card.n_parameters}"
        )
    return network


def paper_in_torch() -> PaperNetwork:
    """Return the paper's network with random weights."""
    return PaperNetwork(PAPER_LENGTH, PAPER_CLASSES).eval()


def export(network: torch.nn.Module, example: torch.Tensor, out: Path) -> Path:
    """Write a network as ONNX with the settings of `edge-ser export`; return the file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            buffer,
            input_names=["features"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    model.ir_version = IR_VERSION
    onnx.save(model, str(out))
    return out
