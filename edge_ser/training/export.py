"""Export of a run directory to a self-contained ONNX file.

A file is written only if its logits in ONNX Runtime equal those of PyTorch on real clips. The input is
either features or the waveform.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

import edge_ser
from edge_ser._util.files import read_json, replacing
from edge_ser._util.records import build
from edge_ser.audio.io import find_audio, load
from edge_ser.card import CARD_KEY, Accuracy, ModelCard
from edge_ser.errors import ConfigError, EdgeSerError, TrainingError
from edge_ser.evaluation.left_out import Decisions
from edge_ser.evaluation.results import RunResult
from edge_ser.frontend import mfcc
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.quantization.frontend_graph import IR_VERSION, OPSET, with_frontend
from edge_ser.recognition.prior import log_ratios, parse_prior
from edge_ser.training.checkpoint import BEST, load_weights
from edge_ser.training.config import RunRecord
from edge_ser.training.distillation.teacher import TEACHER
from edge_ser.training.job import METRICS_FILE, accuracies_of, replan
from edge_ser.training.model import CompactAttentionCnn, count_parameters
from edge_ser.training.run_record import PAPER, recipe_of
from edge_ser.training.scoring import score
from edge_ser.training.temperature import Calibration

Float32 = NDArray[np.float32]

TOLERANCE = {"features": 1e-4, "waveform": 1e-3}
"""Largest accepted absolute difference of logits, by kind of input."""

ARCHITECTURE = "compact-attention-cnn"


@dataclass(frozen=True)
class Parity:
    """Result of the comparison of PyTorch with ONNX Runtime."""

    n_clips: int
    max_difference: float
    """Largest absolute difference of a logit or of arousal."""
    tolerance: float


def export(
    run: Path,
    out: Path,
    *,
    waveform: bool = False,
    name: str | None = None,
    weights_licence: str | None = None,
    gate_audio: Sequence[Path] = (),
    gate_clips: int = 32,
    decisions: Path | None = None,
    prior: str = "",
) -> tuple[ModelCard, Parity]:
    """Write the best epoch of a run as ONNX, if it equals PyTorch on real clips.

    Args:
        run: the run directory.
        out: the file to write.
        waveform: include the front end in the graph, so that the input is audio.
        name: name of the model; by default that of the run directory.
        weights_licence: terms of the weights; `commercial` is checked against the corpora; by default
            those of the run.
        gate_audio: recordings to compare on; by default clips of the run's corpora.
        gate_clips: number of clips to compare on.
        decisions: a record of `edge-ser cross-validate --protocol cross-corpus` of the same recipe,
            to use its class offsets, temperature, threshold, usual outputs and arousal calibration,
            fitted on left-out corpora; by default temperature and threshold are those fitted on the
            run's validation speakers.
        prior: factors of the prior odds of classes, as `neutral=2`; empty for none.

    Raises:
        ConfigError: decisions of other labels, or commercial weights from a corpus that forbids them.
        TrainingError: an unfinished or damaged run, a run of the paper's recipe, no audio to compare
            on, or logits that differ.
    """
    _refuse_paper(run)
    record = RunRecord.load(run)
    licence = _licence(record, weights_licence)
    accuracy = _accuracy(run)
    recordings = _recordings(run, record, gate_audio, gate_clips)
    ratios = parse_prior(prior, record.labels) if prior else {}
    fitted = _decisions(run, record, decisions)
    if ratios:
        fitted = fitted.with_prior(log_ratios(ratios, record.labels))
    if decisions or ratios:
        accuracy = _accuracy_with(run, record, fitted)
    network = _network(run, record, fitted)
    model = _features_model(network, record)
    if waveform:
        model = with_frontend(model, record.config.frontend)
    card = ModelCard(
        name=name or run.resolve().name,
        architecture=ARCHITECTURE,
        n_parameters=count_parameters(network.network),
        labels=record.labels,
        input="waveform" if waveform else "features",
        frontend=record.config.frontend,
        normalization=record.normalization,
        window_s=record.config.window_s,
        hop_s=record.config.hop_s,
        min_window_s=record.config.min_window_s,
        corpora=record.used,
        weights_licence=licence,
        taught_by=(TEACHER,) if record.config.teacher_weight else (),
        augmented_with=record.sounds.names,
        temperature=fitted.temperature,
        prior=ratios,
        abstain_below=fitted.abstain_below,
        calibrated_on=_calibrated_on(fitted, left_out=decisions is not None),
        arousal=record.model.arousal,
        usual_outputs=fitted.usual,
        accuracy=accuracy,
        seed=record.config.seed,
        created=record.created,
        versions={
            "edge-ser": edge_ser.__version__,
            **{p: importlib.metadata.version(p) for p in ("torch", "onnx", "onnxruntime", "numpy")},
        },
    )
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json()})
    model.producer_name, model.producer_version = "edge-ser", edge_ser.__version__
    onnx.checker.check_model(model, full_check=True)
    with replacing(out) as temporary:
        onnx.save(model, str(temporary))
        parity = _compare(network, temporary, recordings, record)
        if not parity.max_difference <= parity.tolerance:
            raise TrainingError(
                f"expected logits within {parity.tolerance:.0e} of PyTorch over {parity.n_clips} clips, "
                f"got a difference of {parity.max_difference:.2e}; {out} was not written. Please "
                "report this with the versions of torch and onnxruntime"
            )
    return card, parity


def _refuse_paper(run: Path) -> None:
    if recipe_of(run) == PAPER:
        raise TrainingError(
            f"{run} holds the paper's network, which is not exported: it takes librosa's features of a "
            "whole clip and cannot follow a stream; for a model to run, train with --recipe compact"
        )


class ExportedNetwork(torch.nn.Module):
    """Exported form of the network: features to logits and calibrated arousal."""

    def __init__(self, network: CompactAttentionCnn, decisions: Decisions) -> None:
        super().__init__()
        self.network = network
        self.slope, self.offset = decisions.arousal_slope, decisions.arousal_offset

    def forward(self, features: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return logits [batch, n_classes] and, if the network has it, arousal [batch, 1] in [0, 1]."""
        embedded = self.network.embed(features)
        if not self.network.config.arousal:
            return self.network.classify(embedded)
        logits, arousal = self.network.classify_with_arousal(embedded)
        return logits, torch.sigmoid(self.slope * arousal + self.offset)


def _calibrated_on(decisions: Decisions, *, left_out: bool) -> str:
    if not decisions.n_clips:
        return ""
    clips = f"{decisions.n_clips} clips of"
    if left_out:
        return f"{clips} corpora that were left out of training in turn"
    return f"{clips} validation speakers of the training corpora"


def _decisions(run: Path, record: RunRecord, path: Path | None) -> Decisions:
    if path is None:
        calibration = Calibration.load(run)
        return Decisions(calibration.temperature, calibration.abstain_below, calibration.n_clips)
    result = RunResult.load(path)
    if result.decisions is None:
        raise ConfigError(
            f"{path}: expected a record with decisions, got one of protocol {result.protocol}; make one "
            "with edge-ser cross-validate --protocol cross-corpus --system compact"
        )
    if result.labels != record.labels:
        raise ConfigError(
            f"{path}: expected decisions for {', '.join(record.labels)}, got some for "
            f"{', '.join(result.labels)}; run edge-ser cross-validate with --labels "
            f"{','.join(record.labels)}"
        )
    return result.decisions


def _network(run: Path, record: RunRecord, decisions: Decisions) -> ExportedNetwork:
    """Return the network with the decisions merged into its last layer.

    Its logits are those of the run, plus the offsets, divided by the temperature.
    """
    network = CompactAttentionCnn(record.model, record.normalization)
    load_weights(network, run / BEST)
    with torch.no_grad():
        last = dict(network.head[-1].named_parameters())
        if decisions.offsets:
            last["bias"].add_(torch.tensor(decisions.offsets))
        for parameter in last.values():
            parameter.div_(decisions.temperature)
    exported = ExportedNetwork(network, decisions)
    exported.eval()
    return exported


def _features_model(network: ExportedNetwork, record: RunRecord) -> onnx.ModelProto:
    example = torch.zeros(1, record.model.n_features, record.config.window_frames)
    axes = {"features": {0: "batch", 2: "frames"}, "logits": {0: "batch"}}
    outputs = ["logits"]
    if record.model.arousal:
        outputs.append("arousal")
        axes["arousal"] = {0: "batch"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter needs opset 18 or later; TensorRT 8.6 supports up to 17.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (example,),
            buffer,  # type: ignore[arg-type]
            input_names=["features"],
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    model.ir_version = IR_VERSION
    return model


def _licence(record: RunRecord, stated: str | None = None) -> str:
    """Return the terms of the weights: `stated`, or else those of the run."""
    terms = dataclasses.replace(record.terms, weights=stated) if stated else record.terms
    uses = (*record.used, *(record.encoder.corpora if record.encoder else ()))
    return terms.weights_licence(use.name for use in uses)


def _accuracy(run: Path) -> tuple[Accuracy, ...]:
    path = run / METRICS_FILE
    if not path.is_file():
        raise TrainingError(
            f"{run} has no {METRICS_FILE}: its training did not end; continue it with "
            f"edge-ser train --resume --out {run}"
        )
    try:
        items = read_json(path)
        if not isinstance(items, list):
            raise ConfigError(f"expected a list, got {type(items).__name__}")
        return tuple(build(Accuracy, item, str(path)) for item in items)
    except ConfigError as error:
        raise TrainingError(f"{path} is damaged ({error}); train again") from None


def _accuracy_with(run: Path, record: RunRecord, decisions: Decisions) -> tuple[Accuracy, ...]:
    """Return the accuracy on the scored clips of the run, with other decisions.

    Raises:
        TrainingError: the corpora have changed since.
    """
    job = replan(run)
    network = CompactAttentionCnn(record.model, record.normalization)
    load_weights(network, run / BEST)
    return tuple(
        accuracy
        for split, clips in job.scored.items()
        if clips
        for accuracy in accuracies_of(
            job, split, clips, decisions.apply(score(network, job.cut_clips(clips)))
        )
    )


def _recordings(
    run: Path, record: RunRecord, gate_audio: Sequence[Path], n_clips: int
) -> list[Float32]:
    """Return up to `n_clips` recordings, evenly spaced over the run's clips or the given audio."""
    sources: list[tuple[Path, int | None]]
    if gate_audio:
        sources = [(file, None) for path in gate_audio for file in find_audio(path)]
    else:
        try:
            sources = [(clip.path, clip.channel) for clip in replan(run).clips]
        except EdgeSerError as error:
            raise TrainingError(
                f"the comparison with PyTorch needs the clips of the run, but {error}; "
                "or give other speech with --gate-audio"
            ) from None
    rate = record.config.frontend.sample_rate
    chosen = np.linspace(0, len(sources) - 1, min(n_clips, len(sources))).round().astype(int)
    return [load(path, rate, channel) for path, channel in (sources[i] for i in chosen)]


def _compare(
    network: ExportedNetwork, path: Path, recordings: Sequence[Float32], record: RunRecord
) -> Parity:
    """Compare PyTorch on NumPy's features with the file on its own kind of input."""
    runner = OnnxRunner(path)
    largest = 0.0
    for samples in recordings:
        features = mfcc(samples, record.config.frontend)[None]
        with torch.inference_mode():
            expected = network(torch.from_numpy(features))
        logits, arousal = expected if isinstance(expected, tuple) else (expected, None)
        actual = runner.infer(features if runner.card.input == "features" else samples[None])
        largest = max(largest, float(np.abs(actual.logits - logits.numpy()).max()))
        if arousal is not None and actual.arousal is not None:
            largest = max(largest, float(np.abs(actual.arousal - arousal.numpy()[:, 0]).max()))
    return Parity(len(recordings), largest, TOLERANCE[runner.card.input])
