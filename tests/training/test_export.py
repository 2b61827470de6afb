"""The exported file is complete, records its provenance, and equals PyTorch; else none is written."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from support import EXAMPLES

from edge_ser.audio.io import load
from edge_ser.card import CARD_KEY, ModelCard
from edge_ser.corpora import Terms
from edge_ser.errors import AudioError, ConfigError, TrainingError
from edge_ser.evaluation.left_out import Decisions
from edge_ser.frontend import mfcc
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.training import export as module
from edge_ser.training.checkpoint import load_checkpoint, save_checkpoint
from edge_ser.training.config import EncoderUse, RunRecord
from edge_ser.training.export import TOLERANCE, export

KINDS = ("features", "waveform")
pytestmark = pytest.mark.filterwarnings("error")


def session_of(path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


# --- the file ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_is_one_that_tensorrt_8_6_reads(exported, kind):
    model = onnx.load(exported[kind][0])

    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.ir_version <= 8
    assert not {node.op_type for node in model.graph.node} & {"Loop", "If", "Scan", "STFT"}
    names = [tensor.name for tensor in (*model.graph.input, *model.graph.output)]
    assert names == [{"features": "features", "waveform": "waveform"}[kind], "logits"]


@pytest.mark.parametrize("kind", KINDS)
def test_batch_and_length_are_free(exported, trainer, kind):
    path, card, _ = exported[kind]
    session = session_of(path)
    rng = np.random.default_rng(0)
    for batch, seconds in [(1, 0.5), (2, 1.0), (3, 1.234), (4, 3.0), (5, 0.77), (1, 10.0)]:
        audio = 0.1 * rng.normal(size=(batch, round(seconds * 16_000))).astype(np.float32)
        features = np.stack([mfcc(samples, card.frontend) for samples in audio])
        with torch.inference_mode():
            expected = trainer.averaged(torch.from_numpy(features)).numpy() / card.temperature

        (logits,) = session.run(None, {kind: features if kind == "features" else audio})

        np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_travels_in_the_file(exported, trained, kind):
    path, card, _ = exported[kind]
    (entry,) = onnx.load(path).metadata_props

    assert entry.key == CARD_KEY
    assert ModelCard.from_json(entry.value) == card == OnnxRunner(path).card
    assert card.input == kind
    assert card.labels == ("neutral", "happy", "sad", "angry")
    assert card.name == "first"
    assert (card.window_s, card.hop_s, card.min_window_s, card.seed) == (1.0, 0.25, 0.5, 0)
    assert card.weights_licence == Terms().weights_licence(["synth"])
    assert [(use.name, use.n_clips, use.licence) for use in card.corpora] == [
        ("synth", 64, Terms().licence_of("synth"))
    ]
    assert card.versions.keys() == {"edge-ser", "torch", "onnx", "onnxruntime", "numpy"}
    figures = json.loads((trained / "metrics.json").read_text())
    assert json.loads(json.dumps([dataclasses.asdict(a) for a in card.accuracy])) == figures
    assert {(a.protocol, a.split) for a in card.accuracy} == {
        ("speaker-independent", "validation"),
        ("speaker-independent", "test"),
    }


def test_parameters_are_counted_as_they_are_stored(exported, trainer):
    path, card, _ = exported["features"]
    stored = sum(
        onnx.numpy_helper.to_array(t).size
        for t in onnx.load(path).graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT
    )

    assert card.n_parameters == sum(p.numel() for p in trainer.averaged.parameters())
    # Batch normalisations are folded into convolutions; running statistics are stored, not learned.
    assert stored == pytest.approx(card.n_parameters, rel=0.02)


def test_name_and_licence_can_be_given(trained, tmp_path):
    card, _ = export(
        trained, tmp_path / "deep" / "x.onnx", name="Ann", weights_licence="MIT", gate_clips=1
    )

    assert (card.name, card.weights_licence) == ("Ann", "MIT")
    assert OnnxRunner(tmp_path / "deep" / "x.onnx").card == card


def with_use(trained, tmp_path, name, **terms):
    """Return a copy of a run recorded as trained on a corpus of that name."""
    run = tmp_path / name
    shutil.copytree(trained, run)
    record = RunRecord.load(run)
    used = (dataclasses.replace(record.used[0], name=name),)
    dataclasses.replace(record, used=used, terms=Terms(**terms)).save(run)
    return run


def test_the_licence_of_the_run_is_the_default(trained, tmp_path):
    run = with_use(trained, tmp_path, "EMO-DB", weights="ours")

    assert export(run, tmp_path / "a.onnx", gate_clips=1)[0].weights_licence == "ours"
    card, _ = export(run, tmp_path / "a.onnx", gate_clips=1, weights_licence="commercial")
    assert card.weights_licence.startswith("CC0 1.0; commercial ")


def test_commercial_weights_of_a_corpus_that_forbids_it(trained, tmp_path):
    run = with_use(trained, tmp_path, "TESS")

    with pytest.raises(ConfigError, match="TESS"):
        export(run, tmp_path / "a.onnx", weights_licence="commercial")
    assert not (tmp_path / "a.onnx").exists()


def test_the_corpora_of_a_pretrained_encoder_bind_the_weights(trained, tmp_path):
    run = with_use(trained, tmp_path, "EMO-DB")
    record = RunRecord.load(run)
    learned = dataclasses.replace(record.used[0], name="RAVDESS")
    dataclasses.replace(record, encoder=EncoderUse("", (learned,))).save(run)

    card, _ = export(run, tmp_path / "a.onnx", gate_clips=1)
    assert card.weights_licence == "CC0 1.0; CC BY-NC-SA 4.0"
    with pytest.raises(ConfigError, match="RAVDESS"):
        export(run, tmp_path / "a.onnx", weights_licence="commercial")


def test_a_run_from_before_licences_were_stated(trained, tmp_path):
    run = tmp_path / "old"
    shutil.copytree(trained, run)
    facts = json.loads((run / "run.json").read_text())
    del facts["terms"]
    (run / "run.json").write_text(json.dumps(facts))

    assert RunRecord.load(run).terms == Terms()


def test_licences_of_several_corpora_are_each_named_once(trainer):
    (use,) = trainer.record.used
    names = ("RAVDESS", "TESS", "CREMA-D", "mine")
    used = tuple(dataclasses.replace(use, name=name) for name in names)

    text = module._licence(dataclasses.replace(trainer.record, used=used))

    assert text == f"CC BY-NC-SA 4.0; ODbL 1.0; {Terms().weights_licence(['mine'])}"


def test_decisions_are_in_the_last_layer_and_in_the_card(trained, trainer, tmp_path, monkeypatch):
    decisions = Decisions(2.0, 0.3, 64, offsets=(1.0, -1.0, 0.5, 0.0), usual=(0.5, 0.1, -0.2, 0.0))
    monkeypatch.setattr(module, "_decisions", lambda *_: decisions)

    card, parity = export(trained, tmp_path / "x.onnx", gate_clips=2)

    features = np.random.default_rng(0).normal(size=(2, card.frontend.n_features, 60))
    features = features.astype(np.float32)
    with torch.inference_mode():
        logits = trainer.averaged(torch.from_numpy(features)).numpy()
    expected = (logits + np.array(decisions.offsets, np.float32)) / 2
    got = OnnxRunner(tmp_path / "x.onnx").run(features)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE["features"])
    assert parity.max_difference <= parity.tolerance
    assert (card.temperature, card.abstain_below) == (2.0, 0.3)
    assert card.usual_outputs == decisions.usual
    assert card.takes_baseline


def test_without_left_out_decisions_a_model_takes_no_baseline(exported):
    assert not exported["features"][1].takes_baseline


# --- the gate ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_parity_is_measured_and_holds(exported, kind):
    parity = exported[kind][2]

    assert parity.n_clips == 8
    assert parity.tolerance == {"features": 1e-4, "waveform": 1e-3}[kind]
    assert 0 <= parity.max_difference <= parity.tolerance


@pytest.mark.parametrize("kind", KINDS)
def test_parity_holds_on_the_examples(exported, trainer, example_clips, kind):
    path, card, _ = exported[kind]
    runner = OnnxRunner(path)
    for clip in example_clips:
        samples = load(clip, card.frontend.sample_rate)
        features = mfcc(samples, card.frontend)[None]
        with torch.inference_mode():
            expected = trainer.averaged(torch.from_numpy(features)).numpy() / card.temperature
        logits = runner.run(features if kind == "features" else samples[None])
        assert np.abs(logits - expected).max() <= TOLERANCE[kind]


def perturbed(network, record):
    """Return the model of a network that is not quite the one that was trained."""
    with torch.no_grad():
        network.network.head[2].bias += 0.01
    model = _honest(network, record)
    with torch.no_grad():
        network.network.head[2].bias -= 0.01
    return model


_honest = module._features_model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["weights", "tolerance"])
def test_a_model_that_differs_is_not_written(trained, tmp_path, monkeypatch, kind, fault):
    if fault == "weights":
        monkeypatch.setattr(module, "_features_model", perturbed)
    else:
        monkeypatch.setitem(TOLERANCE, kind, 1e-12)
    out = tmp_path / "models" / "x.onnx"

    with pytest.raises(TrainingError, match=rf"of PyTorch .*{out} "):
        export(trained, out, waveform=kind == "waveform", gate_clips=4)
    assert list(out.parent.iterdir()) == []

    out.write_bytes(b"what was there before")
    with pytest.raises(TrainingError, match="PyTorch"):
        export(trained, out, waveform=kind == "waveform", gate_clips=4)
    assert list(out.parent.iterdir()) == [out]
    assert out.read_bytes() == b"what was there before"


def test_logits_that_are_not_numbers_do_not_pass(run_copy, tmp_path):
    path = run_copy / "best.safetensors"
    tensors, header = load_checkpoint(path)
    tensors["head.2.bias"] = torch.full_like(tensors["head.2.bias"], torch.nan)
    save_checkpoint(path, tensors, header)

    with pytest.raises(Exception, match=r"not finite|PyTorch"):
        export(run_copy, tmp_path / "x.onnx", gate_clips=2)
    assert not (tmp_path / "x.onnx").exists()


def test_a_better_model_replaces_the_old_one(trained, tmp_path):
    out = tmp_path / "x.onnx"
    out.write_bytes(b"old")

    export(trained, out, gate_clips=1)

    assert OnnxRunner(out).card.name == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]


def test_other_speech_can_be_compared_on(trained, tmp_path, example_clips):
    _, parity = export(trained, tmp_path / "x.onnx", gate_audio=[EXAMPLES])
    assert parity.n_clips == len(example_clips)

    _, parity = export(trained, tmp_path / "x.onnx", gate_audio=example_clips[:3], gate_clips=2)
    assert parity.n_clips == 2


def test_speech_to_compare_on_that_is_not_there(trained, tmp_path):
    with pytest.raises(AudioError, match=r"nowhere\.wav"):
        export(trained, tmp_path / "x.onnx", gate_audio=[tmp_path / "nowhere.wav"])
    assert list(tmp_path.iterdir()) == []


def test_the_clips_compared_on_are_spread_over_all_parts(trained, job):
    record = RunRecord.load(trained)
    used = []

    def note(path, rate, channel):
        used.append(path)
        return np.zeros(16_000, np.float32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load", note)
        module._recordings(trained, record, (), 50)

    assert len(used) == 50
    places = [clip.path for clip in job.clips]
    assert places.index(used[0]) < 3
    assert places.index(used[-1]) >= len(places) - 3


# --- runs that cannot be exported --------------------------------------------------------


def test_a_run_that_did_not_end(run_copy, tmp_path):
    (run_copy / "metrics.json").unlink()

    with pytest.raises(TrainingError, match=rf"metrics\.json.*--resume --out {run_copy}"):
        export(run_copy, tmp_path / "x.onnx")


@pytest.mark.parametrize("text", ["", "{", "[{}]", "null", "{}", '[{"protocol": 1}]', "\xff"])
def test_damaged_figures_are_named(run_copy, tmp_path, text):
    path = run_copy / "metrics.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(TrainingError, match=str(path)):
        export(run_copy, tmp_path / "x.onnx")


def test_no_run(tmp_path):
    with pytest.raises(TrainingError, match=rf"^{tmp_path} .*\brun\.json\b"):
        export(tmp_path, tmp_path / "x.onnx")


def test_a_damaged_checkpoint_is_named(run_copy, tmp_path):
    path = run_copy / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-10])

    with pytest.raises(TrainingError, match=rf"{path} is damaged"):
        export(run_copy, tmp_path / "x.onnx", gate_audio=[EXAMPLES])


def test_a_checkpoint_of_another_network_is_named(run_copy, tmp_path):
    path = run_copy / "best.safetensors"
    tensors = load_file(path)
    tensors["head.2.bias"] = torch.zeros(7)
    save_checkpoint(path, tensors, {"history": []})

    with pytest.raises(TrainingError, match=rf"{path} .*\bbelong\b"):
        export(run_copy, tmp_path / "x.onnx", gate_audio=[EXAMPLES])


def test_without_its_corpora_a_run_needs_other_speech(run_copy, corpus_dir, tmp_path):
    root = shutil.copytree(corpus_dir, tmp_path / "corpus")
    record = RunRecord.load(run_copy)
    dataclasses.replace(record, corpora=(f"folder:synth={root}",)).save(run_copy)
    shutil.rmtree(root)

    with pytest.raises(TrainingError, match="--gate-audio"):
        export(run_copy, tmp_path / "x.onnx")
    card, parity = export(run_copy, tmp_path / "x.onnx", gate_audio=[EXAMPLES])

    assert parity.n_clips == 5
    assert card.labels == record.labels
