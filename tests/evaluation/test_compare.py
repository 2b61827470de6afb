"""Models against each other: themselves, a changed one, one in eight bits, and what makes no sense."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import onnx
import pytest
import soundfile
from networks import both_card, write_network
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from support import absent, make_card, write_conv_model

from edge_ser.card import CARD_KEY, CorpusUse, FrontendConfig, ModelCard, Normalization
from edge_ser.errors import AudioError, ConfigError, ModelError
from edge_ser.evaluation import compare as module
from edge_ser.evaluation.compare import compare, joint_card, open_models, unlabelled
from edge_ser.evaluation.evaluate import evaluate
from edge_ser.evaluation.layer_differences import LayerMeter, common_tensors
from edge_ser.evaluation.selection import select
from edge_ser.frontend import mfcc
from edge_ser.inference.base import Runner
from edge_ser.quantization.frontend_graph import with_frontend
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.recognition.windowing import WindowConfig

RATE = 16_000


@pytest.fixture
def first(tmp_path):
    return write_conv_model(tmp_path / "first.onnx")


@pytest.fixture
def changed(tmp_path):
    """The same network, its second convolution 5% larger."""
    return write_conv_model(tmp_path / "changed.onnx", changed={"conv2": 1.05})


@pytest.fixture
def recordings(tmp_path):
    """A clip of several windows, one shorter than a window, and one that is silent in its middle."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "recordings"
    folder.mkdir()
    gap = np.concatenate([np.ones(RATE), np.zeros(2 * RATE), np.ones(RATE)])
    for name, level in (("a", np.ones(2 * RATE)), ("b", np.ones(RATE // 2)), ("c", gap)):
        soundfile.write(folder / f"{name}.wav", rng.normal(size=len(level)) * level / 9, RATE)
    return folder


def compared(paths, recordings, **options):
    contenders = open_models(paths)
    return compare(contenders, unlabelled([recordings]), **options)


def against(first, other, recordings, **options):
    """Return the one difference."""
    (difference,) = compared([first, other], recordings, **options).differences
    return difference


def reference(path, recordings):
    """Return the logits that a runner gives for every window that the runtime recognises."""
    recognizer = Recognizer(path)
    run, logits = recognizer.runner.run, []

    class Remember(Runner):
        card = recognizer.card

        def run(self, inputs):
            logits.append(run(inputs)[0])
            return logits[-1][None]

    recognizer.classifier.runner = Remember()
    for file in sorted(recordings.glob("*.wav")):
        recognizer.recognize(file, vad=False)
    return np.array(logits)


# --- what is alike, and what is not ------------------------------------------------------


def test_a_model_equals_itself(first, recordings):
    difference = against(first, first, recordings)

    assert (difference.logits.max, difference.logits.mean) == (0, 0)
    assert (difference.windows.share, difference.clips.share) == (1, 1)
    assert difference.clips.n == 3
    assert difference.layers.first is None
    assert [layer.error for layer in difference.layers.layers] == [0] * 5
    assert difference.refused == {}


def test_differences_are_those_of_the_runtimes_own_windows(first, changed, recordings):
    difference = against(first, changed, recordings)
    one, other = reference(first, recordings), reference(changed, recordings)
    apart = np.abs(one.astype(np.float64) - other)

    assert difference.windows.n == len(one) > 5
    assert difference.logits.max == pytest.approx(apart.max())
    assert difference.logits.mean == pytest.approx(apart.mean())
    assert difference.windows.n_same == np.sum(one.argmax(1) == other.argmax(1))


def test_where_the_largest_difference_is_can_be_heard_again(first, changed, recordings):
    logits = against(first, changed, recordings).logits
    samples, _ = soundfile.read(logits.clip, dtype="float32")
    begin = round(logits.start_s * RATE)
    cut = recordings.parent / "cut"
    cut.mkdir()
    soundfile.write(cut / "w.wav", samples[begin : begin + RATE], RATE, subtype="FLOAT")

    assert against(first, changed, cut).logits.max == pytest.approx(logits.max, rel=1e-4)


@pytest.mark.parametrize("node", ["conv1", "conv2", "head"])
def test_the_first_layer_that_diverges_is_the_one_that_was_changed(
    first, tmp_path, recordings, node
):
    other = write_conv_model(tmp_path / "other.onnx", changed={node: 1.05})

    layers = against(first, other, recordings).layers

    assert layers.first.node == node
    assert layers.first.error == pytest.approx(0.05, rel=1e-3)
    assert {x.error for x in layers.layers if x.place < layers.first.place} <= {0}
    errors = [layer.error for layer in layers.layers]
    assert errors == sorted(errors, reverse=True)


def test_the_threshold_decides_what_diverges(first, changed, recordings):
    assert against(first, changed, recordings, layer_error=0.06).layers.first is None
    assert against(first, changed, recordings, layer_error=0.04).layers.threshold == 0.04


def test_a_few_windows_are_enough_for_the_layers(first, recordings):
    assert against(first, first, recordings, layer_windows=2).layers.n_windows == 2
    difference = against(first, first, recordings, layer_windows=0)
    assert (difference.layers, list(difference.refused)) == (None, ["layers"])
    assert re.search(r"\basked\b|\brequested\b", difference.refused["layers"])


class _Windows(CalibrationDataReader):
    def __init__(self):
        noise = np.random.default_rng(2).normal(size=(16, RATE)).astype(np.float32) / 9
        self._windows = iter([mfcc(samples, make_card().frontend)[None] for samples in noise])

    def get_next(self):
        window = next(self._windows, None)
        return None if window is None else {"features": window}


def quantized(first, path):
    quantize_static(
        str(first),
        str(path),
        _Windows(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["Conv", "Gemm"],
        extra_options={"ActivationSymmetric": True, "QuantizeBias": False},
    )
    return path


def test_a_float_model_and_its_form_in_eight_bits(first, tmp_path, recordings):
    path = quantized(first, tmp_path / "int8.onnx")

    comparison = compared([first, path], recordings / "a.wav", layer_error=1e-6)
    (difference,) = comparison.differences

    assert [model.precision for model in comparison.models] == ["fp32", "int8"]
    logits = reference(first, recordings)
    assert 0 < difference.logits.max < 0.05 * np.abs(logits).max()
    assert 0 < max(layer.error for layer in difference.layers.layers) < 0.05
    assert difference.layers.first.node == "conv1"
    assert {layer.node for layer in difference.layers.layers} == {
        "conv1", "relu", "conv2", "pool", "head",
    }  # fmt: skip


def test_a_folded_relu_is_not_compared_with_what_it_was_folded_into():
    def graph(*nodes):
        value = helper.make_tensor_value_info("y", 1, ["n"])
        return helper.make_graph([helper.make_node(*n) for n in nodes], "g", [value], [value])

    apart = graph(("Neg", ["x"], ["a"]), ("Relu", ["a"], ["b"]), ("Abs", ["b"], ["y"]))
    folded = graph(("Neg", ["x"], ["b"]), ("Identity", ["b"], ["y"]))

    assert list(common_tensors(apart, folded)) == ["y"]


def test_tensors_that_overflow_diverge_and_stay_out_of_the_sums(first, tmp_path):
    model = onnx.load(str(first))
    for tensor in model.graph.initializer:
        if tensor.name == "conv2_w":
            weights = numpy_helper.to_array(tensor).copy()
            weights[0, 0, 0] = np.inf
            tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    onnx.save(model, str(tmp_path / "inf.onnx"))
    meter = LayerMeter(first, tmp_path / "inf.onnx")
    window = np.ones((1, 13, 50), np.float32)
    meter.add(window, window)

    result = meter.result()

    assert (result.first.node, result.first.error) == ("conv2", None)
    assert result.layers[0].node == "conv2"


# --- models that differ in more than their weights -----------------------------------------


def test_labels_in_another_order_are_put_in_order(first, tmp_path, recordings):
    model = onnx.load(str(first))
    order = [2, 0, 1]
    card = make_card()
    shuffled = dataclasses.replace(card, labels=tuple(card.labels[k] for k in order))
    for tensor in model.graph.initializer:
        if tensor.name == "head_w":
            rows = numpy_helper.to_array(tensor)[order]
            tensor.CopyFrom(numpy_helper.from_array(rows, tensor.name))
    helper.set_model_props(model, {CARD_KEY: shuffled.to_json()})
    onnx.save(model, str(tmp_path / "shuffled.onnx"))

    difference = against(first, tmp_path / "shuffled.onnx", recordings)

    assert difference.logits.max == 0
    assert difference.windows.share == 1


def test_answers_of_other_labels_are_compared_among_the_common_ones(first, tmp_path, recordings):
    card = make_card(labels=("middle", "low", "odd"))
    other = write_conv_model(tmp_path / "other.onnx", card)

    comparison = compared([first, other], recordings)
    (difference,) = comparison.differences

    assert comparison.labels == ("low", "middle")
    assert difference.logits is None
    assert "labels differ" in difference.refused["logits"]
    low_middle, middle_low = reference(first, recordings), reference(other, recordings)
    same = low_middle[:, :2].argmax(1) == middle_low[:, [1, 0]].argmax(1)
    assert difference.windows.n_same == same.sum()


@pytest.mark.parametrize(("labels", "n_common"), [(("x", "y"), "0"), (("low", "y"), "1")])
def test_models_without_common_labels_are_refused(first, tmp_path, labels, n_common):
    other = write_conv_model(tmp_path / "other.onnx", make_card(labels=labels))
    with pytest.raises(ConfigError) as raised:
        open_models([first, other])
    assert absent(raised.value, n_common, "low, middle, high", ", ".join(labels)) == []


@pytest.mark.parametrize("changes", [{"window_s": 0.5}, {"hop_s": 0.5}])
def test_other_windows_leave_the_clips_to_compare(first, tmp_path, recordings, changes):
    other = write_conv_model(tmp_path / "other.onnx", make_card(**changes))

    difference = against(first, other, recordings)

    assert (difference.logits, difference.windows, difference.layers) == (None, None, None)
    assert difference.clips.n == 3
    assert set(difference.refused) == {"logits", "windows", "layers"}
    assert absent(difference.refused["windows"], "1 s", "0.25 s", "0.5 s") == []


def test_other_front_ends_hear_the_same_windows_but_have_other_layers(first, tmp_path, recordings):
    card = make_card(frontend=FrontendConfig(n_mels=30, n_mfcc=13))
    other = write_conv_model(tmp_path / "other.onnx", card)

    difference = against(first, other, recordings)

    assert difference.logits.max > 0
    assert difference.windows.n == len(reference(first, recordings))
    assert "front ends" in difference.refused["layers"]


def test_audio_in_and_features_in_are_the_same_model(first, tmp_path, recordings):
    model = onnx.load(str(first))
    card = make_card(input="waveform")
    whole = with_frontend(model, card.frontend)
    helper.set_model_props(whole, {CARD_KEY: card.to_json()})
    onnx.save(whole, str(tmp_path / "audio.onnx"))

    difference = against(first, tmp_path / "audio.onnx", recordings)

    assert difference.logits.max < 1e-3
    assert difference.layers.first is None
    assert len(difference.layers.layers) == 5


def test_models_with_an_arousal_are_compared(tmp_path, recordings):
    card = both_card()
    paths = [write_network(tmp_path / f"{form}.onnx", card=card, waveform=form) for form in (0, 1)]

    difference = against(*paths, recordings)

    assert difference.layers.first is None
    assert {"arousal"} <= {layer.tensor for layer in difference.layers.layers}


def test_graphs_of_other_origin_have_no_common_layer(first, tiny_model, recordings):
    model = onnx.load(str(tiny_model))
    model.graph.node[-1].output[0] = model.graph.output[0].name = "scores"
    onnx.save(model, str(tiny_model))

    difference = against(first, tiny_model, recordings)

    assert list(difference.refused) == ["layers"]
    assert "tensor" in difference.refused["layers"]
    assert difference.logits.max > 0


# --- labelled speech -----------------------------------------------------------------------


def test_scores_are_those_of_evaluate(first, changed, site):
    contenders = open_models([first, changed])
    selection = select(site, joint_card(contenders))
    comparison = compare(contenders, selection)

    for path, score in zip((first, changed), comparison.scores, strict=True):
        measured = evaluate(Recognizer(path), selection, n_draws=100).blocks[0].overall
        assert (score.wa, score.uar) == (measured.wa.value, measured.uar.value)
        assert score.n_no_answer == sum(measured.no_answer.values()) == 2
    assert comparison.n_no_answer == 2
    assert comparison.scores[0].n_speakers == 4


def test_speakers_that_either_model_was_trained_on_are_left_out(tmp_path, site):
    def trained_on(speaker):
        card = make_card(corpora=(CorpusUse("site", 6, (f"site/{speaker}",), "own", ""),))
        return write_conv_model(tmp_path / f"{speaker}.onnx", card)

    contenders = open_models([trained_on("s1"), trained_on("s2")])
    selection = select(site, joint_card(contenders))

    assert {clip.speaker for clip in selection.clips} == {"site/s3", "site/s4"}


def test_several_corpora_are_also_scored_together(first, site, tmp_path):
    own = [dataclasses.replace(clip, corpus="other") for clip in site[::2]] + list(site[1::2])
    contenders = open_models([first, first])
    comparison = compare(contenders, select(own, joint_card(contenders)))

    assert [(s.model, s.corpus) for s in comparison.scores] == [
        (model, corpus) for model in (0, 1) for corpus in ("other", "site", "all")
    ]
    parts = comparison.scores[:3]
    assert parts[0].n_clips + parts[1].n_clips == parts[2].n_clips


# --- how it is done ------------------------------------------------------------------------


def test_audio_is_decoded_once_and_features_once_for_each_front_end(
    first, changed, tmp_path, recordings, monkeypatch
):
    frontend = FrontendConfig(n_mels=30, n_mfcc=13)
    other = write_conv_model(tmp_path / "other.onnx", make_card(frontend=frontend))
    decoded, heard = [], []
    file_chunks, clip_inputs = module.file_chunks, module.clip_inputs
    monkeypatch.setattr(
        module, "file_chunks", lambda path, *a: decoded.append(path) or file_chunks(path, *a)
    )
    monkeypatch.setattr(
        module,
        "clip_inputs",
        lambda chunks, config, name: (
            heard.append(config.frontend) or clip_inputs(chunks, config, name)
        ),
    )

    compared([first, changed, first, other], recordings)

    assert len(decoded) == 3
    assert len(heard) == 2 * 3
    assert heard.count(frontend) == 3


def test_the_record_is_json_without_holes(first, changed, recordings, tmp_path):
    comparison = compared([first, changed], recordings)
    comparison.save(tmp_path / "c.json")

    data = json.loads((tmp_path / "c.json").read_text())
    assert data["kind"] == "edge-ser comparison"
    assert data["differences"][0]["logits"]["max"] == comparison.differences[0].logits.max
    assert [model["file"] for model in data["models"]] == [str(first), str(changed)]
    assert data["data_sha256"] == comparison.data_sha256 != ""


def test_progress_is_told(first, recordings):
    told = []
    compared([first, first], recordings, progress=lambda: told.append(1))
    assert len(told) == 3


def test_only_silence_is_refused(first, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    with pytest.raises(AudioError) as raised:
        compared([first, first], tmp_path / "silent.wav")
    assert absent(raised.value, "silent", str(first)) == []


def test_one_model_is_refused(first):
    with pytest.raises(ConfigError, match=r"\b1 model\b"):
        open_models([first])


def test_a_file_that_is_no_model_is_refused(first, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"text")
    with pytest.raises(ModelError, match=r"a\.onnx"):
        open_models([first, tmp_path / "a.onnx"])


def test_normalisation_is_no_part_of_what_is_heard():
    """Networks apply it themselves, so two models that differ in it share their features."""
    one: ModelCard = make_card()
    other = make_card(normalization=Normalization((1.0,) * 13, (2.0,) * 13))
    assert WindowConfig.from_card(one) == WindowConfig.from_card(other)
