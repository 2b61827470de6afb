"""Evaluations: what `edge-ser run` says of the same files, on record, and read back the same."""

from __future__ import annotations

import dataclasses
import errno
import json
import os

import numpy as np
import pytest
import soundfile
from streams import LevelDetector
from support import FakeRunner, absent, make_card

from edge_ser.corpora import load_corpora
from edge_ser.errors import AudioError, ConfigError
from edge_ser.evaluation.evaluate import evaluate
from edge_ser.evaluation.noise import open_noise
from edge_ser.evaluation.report import TRAINED_CAVEAT, Evaluation
from edge_ser.evaluation.resampling import OVER_BOTH
from edge_ser.evaluation.selection import noise_clips, select, select_all
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.splits import data_digest


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
    f = evaluation.blocks[0].overall

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
    assert evaluation.mode == "clip"
    assert evaluation.detector == ""
    assert [(c.name, c.scope, c.n_speaker_unknown) for c in evaluation.corpora] == [
        ("site", "new speakers", 0)
    ]
    assert [part.n_clips for part in evaluation.left_out] == [8, 6]
    assert {"python", "edge-ser", "numpy", "onnxruntime"} <= evaluation.versions.keys()
    assert 0.35 in [row.threshold for row in evaluation.blocks[0].overall.abstention]


def test_speakers_of_the_training_mark_their_block(evaluation, heard_evaluation):
    assert heard_evaluation.trained_speakers == ("site/s1",)
    assert [(b.scope, b.caveat) for b in heard_evaluation.blocks] == [
        ("trained speakers", TRAINED_CAVEAT)
    ]
    assert [(b.scope, b.caveat) for b in evaluation.blocks] == [("new speakers", "")]


def test_noise_is_measured_from_the_highest_ratio_down(evaluation):
    (block,) = evaluation.blocks
    assert [(level.noise, level.snr_db) for level in block.noisy] == [("pink", 20), ("pink", 0)]
    assert all(level.figures[0].n_clips == 20 for level in block.noisy)
    assert block.noisy[0].figures != block.figures
    assert block.noisy[0].figures != block.noisy[1].figures


def test_a_ratio_is_measured_the_same_whatever_others_are(evaluation, model, site, card):
    again = evaluate(
        Recognizer(model),
        select(site, card),
        model_file=model,
        noise=open_noise("pink", 16_000, seed=0),
        snr_db=(0,),
        n_draws=200,
    )
    assert again.blocks[0].noisy[0] == evaluation.blocks[0].noisy[1]
    assert again.blocks[0].figures == evaluation.blocks[0].figures


def test_a_running_baseline_is_each_speakers_own(tmp_path):
    rng = np.random.default_rng(0)
    for speaker in ("a", "b", "?"):
        for label, gain in (("high", 0.2), ("low", 0.02)):
            (tmp_path / label / speaker).mkdir(parents=True)
            for take in range(2):
                samples = gain * rng.normal(size=32_000)
                soundfile.write(tmp_path / label / speaker / f"{take}.wav", samples, 16_000)
    clips = load_corpora([f"folder:x={tmp_path}"])
    card = make_card(usual_outputs=(0.5, -0.5, 0.1))
    by_way = {}
    for way in ("none", "running"):
        recognizer = Recognizer(FakeRunner(card), baseline=way)
        by_way[way] = evaluate(
            recognizer,
            select(clips, card),
            noise=open_noise("white", 16_000, seed=0),
            snr_db=(10,),
            n_draws=10,
        )

    assert "running baseline" in by_way["running"].protocol
    assert "baseline" not in by_way["none"].protocol
    seen: set[str] = set()
    for plain, other in zip(by_way["none"].clips, by_way["running"].clips, strict=True):
        first = plain.speaker not in seen or plain.speaker == "x/?"
        assert (plain.probs == other.probs) is first
        seen.add(plain.speaker)
    assert len(seen) == 3


@pytest.fixture(scope="module")
def two_corpora(model, card, site_dir, tmp_path_factory):
    """The site, which training knows, and two other corpora, one of unknown speakers."""
    other = tmp_path_factory.mktemp("other")
    for corpus, speaker in (("lab", ""), ("home", "anna")):
        for label in ("low", "high"):
            folder = other / corpus / label / speaker
            folder.mkdir(parents=True)
            source = site_dir / label / "s1" / "0.wav"
            (folder / "a.wav").write_bytes(source.read_bytes())
    specs = [f"folder:site={site_dir}", *(f"folder:{n}={other / n}" for n in ("lab", "home"))]
    return evaluate(Recognizer(model), select(load_corpora(specs), card), n_draws=100)


def test_corpora_that_training_does_not_know_come_first_and_apart(two_corpora):
    unseen, new = two_corpora.blocks

    assert (unseen.scope, new.scope) == ("unseen corpora", "new speakers")
    assert [f.of for f in unseen.figures] == ["home", "lab", "all"]
    assert [f.of for f in unseen.corpora] == ["home", "lab"]
    assert [f.of for f in new.figures] == ["site"]
    assert [f.n_clips for f in unseen.figures] == [2, 2, 4]
    total = np.add(unseen.figures[0].confusion, unseen.figures[1].confusion)
    assert unseen.overall.confusion == tuple(map(tuple, total.tolist()))
    assert {c.name: c.scope for c in two_corpora.corpora} == {
        "home": "unseen corpora",
        "lab": "unseen corpora",
        "site": "new speakers",
    }


def test_unknown_speakers_are_no_speaker_and_their_clips_are_drawn_one_by_one(two_corpora):
    home, lab, both = two_corpora.blocks[0].figures

    assert (home.n_speakers, home.n_speaker_unknown, home.intervals_over) == (1, 0, "")
    assert home.uar.interval == ()
    assert (lab.n_speakers, lab.n_speaker_unknown, lab.intervals_over) == (0, 2, "clips")
    assert lab.speakers == ()
    assert len(lab.uar.interval) == 2
    assert both.intervals_over == OVER_BOTH
    corpora = {corpus.name: corpus for corpus in two_corpora.corpora}
    assert corpora["lab"].missing_labels == ("middle",)
    assert corpora["lab"].speakers == ()
    assert corpora["lab"].n_speaker_unknown == 2


def test_live_mode_scores_the_utterance_and_is_on_record(model, site, card):
    found = evaluate(Recognizer(model), select(site, card), detector=LevelDetector(), n_draws=100)

    assert (found.mode, found.detector) == ("live", "level")
    f = found.blocks[0].overall
    assert f.no_answer == {"no speech": 2}
    assert f.live.n_without_speech == sum(a.live.n_utterances == 0 for a in found.clips)
    assert f.live.speech_s == pytest.approx(sum(a.live.speech_s for a in found.clips))
    assert all(answer.live is not None for answer in found.clips)


def test_plain_corpora_take_no_part_in_accuracy(evaluation, model, site, card, tmp_path, site_dir):
    source = (site_dir / "low" / "s1" / "0.wav").read_bytes()
    for name in ("crowd", "talk", "hum"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").write_bytes(source)
    clips = (
        *site,
        *load_corpora(
            [f"neutral:crowd={tmp_path / 'crowd'}", f"unlabelled:talk={tmp_path / 'talk'}"]
        ),
        *noise_clips([tmp_path / "hum"]),
    )

    found = evaluate(Recognizer(model), select_all(clips, card), n_draws=200)

    assert found.blocks[0].figures == evaluation.blocks[0].figures
    assert [(d.of, d.kind, d.expected) for d in found.distributions] == [
        ("crowd", "neutral", "neutral"),
        ("hum", "no speech", ""),
        ("talk", "unlabelled", "neutral"),
    ]
    assert len(found.clips) == 23
    assert found.data_sha256 != evaluation.data_sha256


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
    with pytest.raises(AudioError) as raised:
        evaluate(Recognizer(model), select(clips, card))
    assert absent(raised.value, str(path), "ffmpeg") == []


def test_the_digest_is_of_the_data_alone(site, tmp_path):
    digest = data_digest(site)
    copy = tmp_path / site[0].path.name
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
    assert json.loads(text)["schema"] == 3


@pytest.mark.parametrize(
    ("damage", "values"),
    [
        (lambda data: data.update(schema=2), ["schema 3", "schema 2"]),
        (lambda data: data.update(mode="both"), ["mode", "'both'"]),
        (lambda data: data["blocks"][0].update(scope="mine"), ["scope", "'mine'"]),
        (
            lambda data: data.update(blocks=[], distributions=[]),
            ["blocks", "distributions", "empty"],
        ),
        (lambda data: data.update(kind="something else"), ["kind", "'something else'"]),
        (lambda data: data.pop("blocks"), ["e.json", "blocks"]),
        (lambda data: data["blocks"][0].update(figures=[]), ["figures"]),
        (lambda data: data["blocks"][0]["figures"][0].update(uar="high"), ["uar", "str", "object"]),
        (lambda data: data.update(colour=1), ["unknown", "colour"]),
    ],
)
def test_damaged_records_are_named(evaluation, tmp_path, damage, values):
    data = json.loads(json.dumps(dataclasses.asdict(evaluation)))
    damage(data)
    (tmp_path / "e.json").write_text(json.dumps(data))
    with pytest.raises(ConfigError) as raised:
        Evaluation.load(tmp_path / "e.json")
    assert absent(raised.value, *values) == []


def test_what_is_no_record(tmp_path):
    (tmp_path / "e.json").write_text("{")
    with pytest.raises(ConfigError) as raised:
        Evaluation.load(tmp_path / "e.json")
    assert absent(raised.value, str(tmp_path / "e.json"), "JSON") == []
    with pytest.raises(ConfigError) as raised:
        Evaluation.load(tmp_path / "none.json")
    assert absent(raised.value, str(tmp_path / "none.json"), os.strerror(errno.ENOENT)) == []
