"""Evaluations: what `edge-ser run` says of the same files, on record, and read back the same."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import soundfile
from support import FakeRunner, make_card

from edge_ser.corpora import load_corpora
from edge_ser.errors import AudioError, ConfigError
from edge_ser.measure.evaluate import data_digest, evaluate
from edge_ser.measure.evaluation import TRAINED_CAVEAT, Evaluation
from edge_ser.measure.noise import open_noise
from edge_ser.measure.selection import select
from edge_ser.runtime.recognizer import Recognizer


def test_answers_are_those_of_the_recognizer(evaluation, model, site):
    recognizer = Recognizer(model)
    by_name = {clip.group: clip for clip in site}
    answered = [answer for answer in evaluation.clips if answer.predicted]

    assert len(answered) == 18
    for answer in answered:
        final = recognizer.recognize(by_name[answer.clip].path, vad=False).final
        assert answer.predicted == final.label
        assert answer.probs == pytest.approx(list(final.probs.values()), abs=1e-4)
        assert answer.truth == by_name[answer.clip].emotion


def test_files_at_another_rate_are_heard_as_run_hears_them(tmp_path):
    """48 kHz in two channels: resampled whole here, second by second there."""
    rng = np.random.default_rng(0)
    for label in ("low", "high"):
        (tmp_path / label / "a").mkdir(parents=True)
        soundfile.write(tmp_path / label / "a" / "1.wav", rng.normal(size=(150_000, 2)) / 9, 48_000)
    clips = load_corpora([f"folder:x={tmp_path}"])
    recognizer = Recognizer(FakeRunner())

    found = evaluate(recognizer, select(clips, recognizer.card))

    for clip, answer in zip(clips, found.clips, strict=True):
        probs = recognizer.recognize(clip.path, vad=False).final.probs
        assert answer.probs == pytest.approx(list(probs.values()), abs=1e-4)


def test_silent_and_short_clips_are_errors_and_counted(evaluation):
    f = evaluation.overall

    assert f.no_answer == {"silent": 1, "too short": 1}
    assert [row[-1] for row in f.confusion] == [1, 0, 1]
    assert f.n_clips == 20
    right = sum(answer.predicted == answer.truth for answer in evaluation.clips)
    assert f.wa.value == pytest.approx(right / 20)
    assert f.abstention[0].n_answered == 18


def test_what_was_measured_is_on_record(evaluation, model, card):
    assert evaluation.model.name == card.name
    assert evaluation.model.file == "site.onnx"
    assert len(evaluation.model.sha256) == 64
    assert evaluation.validation_speakers == ("site/s2",)
    assert evaluation.trained_speakers == ()
    assert evaluation.caveat("site") == ""
    assert [part.n_clips for part in evaluation.left_out] == [8, 6]
    assert {"python", "edge-ser", "numpy", "onnxruntime"} <= evaluation.versions.keys()
    assert 0.35 in [row.threshold for row in evaluation.overall.abstention]


def test_speakers_heard_in_training_mark_every_figure(heard_evaluation):
    assert heard_evaluation.trained_speakers == ("site/s1",)
    assert heard_evaluation.caveat("site") == TRAINED_CAVEAT
    assert heard_evaluation.caveat("all") == TRAINED_CAVEAT
    assert heard_evaluation.caveat("elsewhere") == ""


def test_noise_is_measured_from_the_highest_ratio_down(evaluation):
    assert [(level.noise, level.snr_db) for level in evaluation.noisy] == [
        ("pink", 20),
        ("pink", 0),
    ]
    assert all(level.figures[0].n_clips == 20 for level in evaluation.noisy)
    assert evaluation.noisy[0].figures != evaluation.figures
    assert evaluation.noisy[0].figures != evaluation.noisy[1].figures


def test_a_ratio_is_measured_the_same_whatever_others_are(evaluation, model, site, card):
    again = evaluate(
        Recognizer(model),
        select(site, card),
        model_file=model,
        noise=open_noise("pink", 16_000, seed=0),
        snr_db=(0,),
        n_draws=200,
    )
    assert again.noisy[0] == evaluation.noisy[1]
    assert again.figures == evaluation.figures


def test_several_corpora_are_summed_up_last(model, card, site_dir, tmp_path):
    for label in ("low", "high"):
        (tmp_path / label).mkdir()
        source = site_dir / label / "s1" / "0.wav"
        (tmp_path / label / "a.wav").write_bytes(source.read_bytes())
    clips = load_corpora([f"folder:site={site_dir}", f"folder:lab={tmp_path}"])

    found = evaluate(Recognizer(model), select(clips, card), n_draws=100)

    assert [f.of for f in found.figures] == ["lab", "site", "all"]
    assert [f.n_clips for f in found.figures] == [2, 20, 22]
    assert found.overall is found.figures[-1]
    assert found.corpora[0].missing_labels == ("middle",)
    assert found.n_speaker_unknown == 2
    assert found.figures[0].uar.interval == ()
    total = np.add(found.figures[0].confusion, found.figures[1].confusion)
    assert found.overall.confusion == tuple(map(tuple, total.tolist()))


def test_a_runner_of_no_file_can_be_measured(site):
    recognizer = Recognizer(FakeRunner(make_card()))
    found = evaluate(recognizer, select(site, recognizer.card), n_draws=100)
    assert found.model.sha256 == found.model.file == ""


def test_progress_is_told_after_each_clip(model, site, card):
    calls = []
    selection = select(site, card)
    evaluate(Recognizer(model), selection, n_draws=100, progress=lambda: calls.append(1))
    assert len(calls) == len(selection.clips)


def test_a_clip_that_cannot_be_read_stops_it(site, model, card, tmp_path):
    path = tmp_path / "broken.wav"
    path.write_bytes(b"no audio")
    clips = [*site, dataclasses.replace(site[-1], path=path, emotion="low", speaker="site/s3")]
    with pytest.raises(AudioError, match=r"broken\.wav cannot be read as audio"):
        evaluate(Recognizer(model), select(clips, card))


def test_the_digest_is_of_the_data_alone(site, tmp_path):
    digest = data_digest(site)
    copy = tmp_path / "copy.wav"
    copy.write_bytes(site[0].path.read_bytes())

    assert data_digest(site[::-1]) == digest
    assert data_digest([dataclasses.replace(site[0], path=copy), *site[1:]]) == digest
    assert data_digest([dataclasses.replace(site[0], emotion="other"), *site[1:]]) != digest
    assert data_digest([dataclasses.replace(site[0], path=site[1].path), *site[1:]]) != digest
    assert data_digest(site[1:]) != digest


def test_an_evaluation_comes_back_equal_and_names_no_place(evaluation, tmp_path, site_dir, model):
    evaluation.save(tmp_path / "e.json")

    assert Evaluation.load(tmp_path / "e.json") == evaluation
    text = (tmp_path / "e.json").read_text()
    assert str(site_dir) not in text
    assert str(model.parent) not in text
    assert json.loads(text)["schema"] == 1


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data.update(schema=2), "schema is 2, wanted: 1"),
        (lambda data: data.update(kind="something else"), "kind is 'something else'"),
        (lambda data: data.pop("figures"), "lacks figures"),
        (lambda data: data.update(figures=[]), "figures is "),
        (lambda data: data["figures"][0]["uar"].update(value="high"), "uar.value is 'high'"),
        (lambda data: data.update(colour=1), "unknown fields colour"),
    ],
)
def test_damaged_records_are_named(evaluation, tmp_path, damage, says):
    data = json.loads(json.dumps(dataclasses.asdict(evaluation)))
    damage(data)
    (tmp_path / "e.json").write_text(json.dumps(data))
    with pytest.raises(ConfigError, match=says.replace("(", r"\(")):
        Evaluation.load(tmp_path / "e.json")


def test_what_is_no_record(tmp_path):
    (tmp_path / "e.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        Evaluation.load(tmp_path / "e.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        Evaluation.load(tmp_path / "none.json")
