"""Training jobs, from corpora to a run directory: labels, records, errors and metrics."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from official_trees import touch_all
from support import make_card

from edge_ser.card import FrontendConfig, ModelCard, Normalization
from edge_ser.corpora import Clip, PaperAugmentation, Terms
from edge_ser.errors import AudioError, ConfigError, LeakError, TrainingError
from edge_ser.inference.base import Runner
from edge_ser.metrics import recalls
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.scores import Scores
from edge_ser.splits import PROTOCOLS, SplitConfig, fold_digest, speakers
from edge_ser.training.augmentation.augment import AugmentConfig
from edge_ser.training.augmentation.scenes import SceneConfig
from edge_ser.training.augmentation.sounds import Sounds
from edge_ser.training.config import RunRecord, TrainConfig
from edge_ser.training.export import export
from edge_ser.training.job import Job, finish, plan, replan, start
from edge_ser.training.model import CompactAttentionCnn, ModelConfig
from edge_ser.training.scoring import cut_clips, score
from edge_ser.training.temperature import Calibration

CPU = torch.device("cpu")


def touch_corpus(root: Path, *labels: str, speakers: tuple[str, ...] = ("a", "b", "c", "d")) -> str:
    """Make a corpus of empty files and return its specification."""
    for label in labels:
        for speaker in speakers:
            (root / label / speaker).mkdir(parents=True)
            (root / label / speaker / "1.wav").touch()
    return f"folder:{root.name}={root}"


# --- labels ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "labels", "left_out"),
    [
        (None, ("sad", "angry"), {"happy": 4, "bored": 4, "whisper": 4}),
        ("all", ("happy", "sad", "angry", "bored", "whisper"), {}),
        (" ALL ", ("happy", "sad", "angry", "bored", "whisper"), {}),
        ("Whisper, happy,", ("happy", "whisper"), {"sad": 8, "angry": 8, "bored": 4}),
    ],
)
def test_labels(tmp_path, requested, labels, left_out):
    corpora = [
        touch_corpus(tmp_path / "one", "sad", "anger", "joy"),
        touch_corpus(tmp_path / "two", "boredom", "sad", "angry", "whisper"),
    ]

    job = plan(corpora, TrainConfig(), requested)

    assert job.labels == labels
    assert job.left_out == left_out
    assert {clip.emotion for clip in job.clips} == set(labels)


@pytest.mark.parametrize(
    ("requested", "message"),
    [
        ("sad,joyful", r"(?=.*\bjoyful\b).*happy, sad"),
        ("sad", "1 label"),
        ("", "0 label"),
    ],
)
def test_labels_that_cannot_be_learned(tmp_path, requested, message):
    corpus = touch_corpus(tmp_path / "one", "sad", "happy")

    with pytest.raises(ConfigError, match=message):
        plan([corpus], TrainConfig(), requested)


def test_corpora_without_a_common_label(tmp_path):
    corpora = [touch_corpus(tmp_path / "one", "sad"), touch_corpus(tmp_path / "two", "happy")]

    with pytest.raises(ConfigError, match="--labels all"):
        plan(corpora, TrainConfig())


# --- the plan ----------------------------------------------------------------------------


def test_targets_are_the_indices_of_the_labels(job):
    for clips in (job.fold.train, job.fold.validation, job.fold.test):
        assert [job.labels[target] for target in job.targets(clips)] == [c.emotion for c in clips]
    assert Counter(clip.speaker for clip in job.clips) == {f"synth/s{n}": 16 for n in range(1, 7)}


def test_paths_are_recorded_absolute(tmp_path, monkeypatch):
    touch_corpus(tmp_path / "one", "sad", "happy")
    monkeypatch.chdir(tmp_path)

    assert plan(["folder:Me=one"], TrainConfig()).corpora == (f"folder:Me={tmp_path / 'one'}",)
    assert plan(["folder=one"], TrainConfig()).corpora == (f"folder:one={tmp_path / 'one'}",)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"batch_size": 1},
        {"patience": 0},
        {"learning_rate": 0.0},
        {"learning_rate": 1.0},
        {"learning_rate": float("nan")},
        {"window_s": 0.01},
        {"hop_s": 0.0},
        {"hop_s": 0.001},
        {"min_window_s": 4.0},
        {"min_window_s": 0.0},
        {"ema_decay": 1.5},
        {"label_smoothing": -1.0},
        {"seed": 2**80},
    ],
    ids=str,
)
def test_settings_that_no_training_can_use(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        TrainConfig(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"speeds": ()},
        {"speeds": (0.9, 1.0)},
        {"speeds": (1.0, 0.0)},
        {"stretch": 1.0},
        {"vtlp": 1.0},
        {"snr_db": (40.0, 5.0)},
        {"snr_db": (5.0,)},
        {"time_mask": -1},
        {"noise_share": 2.0},
        {"partial_share": -0.1},
        {"partial_least": 0.0},
    ],
    ids=str,
)
def test_augmentation_that_cannot_work(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        AugmentConfig(**changes)


# --- the run directory -------------------------------------------------------------------


def test_the_run_directory(trained, job):
    names = {path.name for path in trained.iterdir()}
    assert names == {
        "run.json",
        "best.safetensors",
        "last.safetensors",
        "metrics.json",
        "calibration.json",
        "curves.png",
        "confusion-validation.png",
        "confusion-test.png",
    }
    record = RunRecord.load(trained)
    assert record.config == job.config
    assert record.labels == ("neutral", "happy", "sad", "angry")
    assert record.split == SplitConfig(test_speakers="s6", validation_speakers="s3")
    assert (record.split.protocol, record.fold) == ("speaker-independent", "named")
    assert record.leaks == job.leaks
    assert len(record.leaks.overlaps) == 12
    assert record.leaks.found == ()
    assert record.train_speakers == ("synth/s1", "synth/s2", "synth/s4", "synth/s5")
    assert (record.validation_speakers, record.test_speakers) == (("synth/s3",), ("synth/s6",))
    (use,) = record.used
    assert (use.name, use.n_clips, use.speakers) == ("synth", 64, record.train_speakers)


@pytest.mark.parametrize("name", ["curves.png", "confusion-validation.png", "confusion-test.png"])
def test_plots_show_something(trained, name):
    from matplotlib.image import imread

    pixels = imread(trained / name)

    assert pixels.shape[0] > 300
    assert pixels.shape[1] > 300
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20
    assert (trained / name).stat().st_size < 200_000


def test_figures_are_those_of_the_scores(trained, trainer, job):
    figures = json.loads((trained / "metrics.json").read_text())

    assert [figure["split"] for figure in figures] == ["validation", "test"]
    for figure, clips in zip(figures, (job.fold.validation, job.fold.test), strict=True):
        scores = trainer.score(job.cut_clips(clips))
        right = scores.probs.argmax(1) == scores.truth
        assert figure["protocol"] == "speaker-independent"
        assert figure["corpus"] == "synth"
        assert figure["speakers"] == sorted({clip.speaker for clip in clips})
        assert figure["n_clips"] == len(clips) == 16
        assert figure["wa"] == pytest.approx(right.mean())
        assert figure["recall"] == {
            label: pytest.approx(right[scores.truth == index].mean())
            for index, label in enumerate(job.labels)
        }
        assert figure["uar"] == pytest.approx(np.mean(list(figure["recall"].values())))


def test_several_corpora_are_measured_each_and_together(trainer, job, run_copy):
    """Half of the clips called another corpus; the file shows three figures for each part."""

    def rename(clips: tuple[Clip, ...]) -> tuple[Clip, ...]:
        return tuple(
            dataclasses.replace(clip, corpus="other" if place % 2 else "synth")
            for place, clip in enumerate(clips)
        )

    parts = {name: rename(getattr(job.fold, name)) for name in ("train", "validation", "test")}
    two = dataclasses.replace(job, fold=dataclasses.replace(job.fold, **parts))
    copy = object.__new__(type(trainer))
    vars(copy).update(vars(trainer), run=run_copy)

    accuracies, calibration = finish(two, copy)

    assert [(a.split, a.corpus, a.n_clips) for a in accuracies] == [
        (split, corpus, n)
        for split in ("validation", "test")
        for corpus, n in (("other", 8), ("synth", 8), ("all", 16))
    ]
    each, both = accuracies[:2], accuracies[2]
    assert both.wa == pytest.approx(np.mean([a.wa for a in each]))
    assert calibration.n_clips == 16
    assert Calibration.load(run_copy) == calibration


def test_without_a_test_set_there_is_only_validation(corpus, config, tmp_path):
    split = SplitConfig(test_speakers="none", validation_speakers="s3")
    job = plan([corpus], config, split=split)
    trainer = start(job, tmp_path / "run", CPU)
    next(trainer.epochs())

    assert [a.split for a in finish(job, trainer)[0]] == ["validation"]
    assert not (tmp_path / "run" / "confusion-test.png").exists()
    assert replan(tmp_path / "run").fold == job.fold


def test_a_clip_could_have_had_the_labels_of_its_corpus(tmp_path):
    for corpus, emotions in (
        ("one", ("sad", "happy")),
        ("two", ("sad", "calm")),
        ("site", ("sad",)),
    ):
        touch_corpus(tmp_path / corpus, *emotions, speakers=("ann", "bob", "eve"))
    split = SplitConfig(test_speakers="none", validation_speakers="none")
    specs = [f"folder:{name}={tmp_path / name}" for name in ("one", "two", "site")]
    job = plan(specs, TrainConfig(), labels="all", split=split)

    assert job.labels == ("calm", "happy", "sad")
    could = dict(zip((clip.corpus for clip in job.clips), job.possible(job.clips), strict=True))
    assert could == {
        "one": (False, True, True),
        "two": (True, False, True),
        "site": (True, True, True),  # of a single label nothing could be learned otherwise
    }


def test_a_neutral_crowd_denies_all_other_labels_and_does_not_narrow_them(tmp_path):
    touch_corpus(tmp_path / "one", "sad", "neutral", speakers=("ann", "bob", "eve"))
    touch_corpus(tmp_path / "two", "sad", "neutral", "calm", speakers=("joe", "kim", "liz"))
    for name in ("crowd", "talk"):
        (tmp_path / name).mkdir()
        for number in range(40):
            (tmp_path / name / f"{number}.wav").write_bytes(f"{name}{number}".encode())
    specs = [f"folder:{name}={tmp_path / name}" for name in ("one", "two")]
    specs += [f"neutral:crowd={tmp_path / 'crowd'}#train", f"unlabelled:talk={tmp_path / 'talk'}"]

    config = TrainConfig(
        teacher_weight=1.0, imitation_epochs=1, augment=AugmentConfig(mixup_alpha=0.0)
    )

    job = plan(specs, config)

    assert job.labels == ("neutral", "sad")
    assert len(job.unlabelled) == 40
    assert job.left_out["unlabelled"] == 40
    assert {c.corpus for c in job.fold.train} == {"one", "two", "crowd#train"}
    assert {c.corpus for c in (*job.fold.validation, *job.fold.test)} == {"one", "two"}

    job = plan(specs, config, labels="all")

    assert job.labels == ("neutral", "calm", "sad")
    could = dict(zip((clip.corpus for clip in job.clips), job.possible(job.clips), strict=True))
    assert could["crowd#train"] == could["two"] == (True, True, True)
    assert could["one"] == (True, False, True)
    assert job.corpora[2] == specs[2]
    assert plan(job.corpora, config, labels="all").digest == job.digest


def test_licences_are_checked_and_written_down(tmp_path):
    names = ("03a01Wa", "03a01Ta", "08a01Wa", "08a01Ta", "09a01Wa", "09a01Ta")
    touch_all(tmp_path / "emodb", [f"{name}.wav" for name in names])
    touch_all(
        tmp_path / "nemo",
        [f"{s}0_{e}_1.wav" for s in ("EB", "IC", "KD") for e in ("anger", "sadness")],
    )
    touch_all(tmp_path / "crowd", ["1.wav"])
    crowd = f"neutral:crowd={tmp_path / 'crowd'}"
    emo_db, nemo = f"EMO-DB={tmp_path / 'emodb'}", f"nEMO={tmp_path / 'nemo'}"
    commercial = Terms("commercial", {"crowd": "Apache-2.0"})

    job = plan([emo_db, crowd], TrainConfig(), labels="all", terms=commercial)

    licences = {use.name: use.licence for use in job.facts["used"]}
    assert licences["crowd"] == commercial.licence_of("crowd")
    assert licences["EMO-DB"].startswith("CC0 1.0")
    assert job.facts["terms"] == commercial
    with pytest.raises(ConfigError, match="nEMO"):
        plan([emo_db, nemo], TrainConfig(), terms=Terms("commercial"))
    # A corpus that is only tested on does not bind the weights.
    across = SplitConfig("cross-corpus", fold="nEMO", validation_speakers="none")
    assert plan([emo_db, nemo], TrainConfig(), split=across, terms=Terms("commercial"))
    with pytest.raises(ConfigError, match="'lab'"):
        plan([emo_db], TrainConfig(), terms=Terms("", {"lab": "MIT"}))


def test_unlabelled_is_no_label(tmp_path):
    touch_corpus(tmp_path / "one", "sad", "unlabelled", "calm", speakers=("ann", "bob", "eve"))
    specs = [f"folder:one={tmp_path / 'one'}"]

    assert plan(specs, TrainConfig(), labels="all").labels == ("calm", "sad")
    with pytest.raises(ConfigError, match=r"(?=.*\bunlabelled\b).*calm, sad"):
        plan(specs, TrainConfig(), labels="sad,unlabelled")


def test_scores_count():
    probs = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]])
    scores = Scores.of(probs, [0, 1, 1])

    np.testing.assert_allclose(scores.probs, probs)
    assert scores.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert scores.loss == pytest.approx(-np.log([0.7, 0.8, 0.3]).mean())
    assert recalls(scores.confusion)[:2].tolist() == [1.0, 0.5]


def test_scores_are_means_over_windows_at_a_temperature():
    windows = np.log([[0.8, 0.2], [0.2, 0.8], [0.5, 0.5]])
    scores = Scores((windows,), np.array([0]), temperature=0.5)

    squares = np.array([0.64, 0.04, 0.25]) / np.array([0.68, 0.68, 0.5])
    np.testing.assert_allclose(scores.probs, [[squares.mean(), 1 - squares.mean()]])


def test_a_silent_clip_is_an_error_whatever_it_was():
    silent = np.empty((0, 2))
    scores = Scores((silent, np.log([[0.9, 0.1]]), silent), np.array([0, 0, 1]))

    assert scores.predicted.tolist() == [2, 0, 2]
    assert scores.confusion.tolist() == [[1, 0, 1], [0, 0, 1]]
    assert recalls(scores.confusion).tolist() == [0.5, 0.0]


# --- refused -----------------------------------------------------------------------------


def test_a_run_is_not_overwritten(job, run_copy):
    before = {path: path.read_bytes() for path in run_copy.iterdir()}

    with pytest.raises(TrainingError, match=rf"^{run_copy} .*--resume"):
        start(job, run_copy, CPU)

    assert {path: path.read_bytes() for path in run_copy.iterdir()} == before


@pytest.mark.parametrize("speaker", ["s1", "s3", "s6"], ids=["training", "validation", "test"])
def test_a_clip_that_cannot_be_read_leaves_no_run(corpus_dir, config, tmp_path, speaker):
    """Also one that is needed only when the training has ended: hours later, it is too late."""
    root = Path(shutil.copytree(corpus_dir, tmp_path / "corpus"))
    clip = root / "sad" / speaker / "0.wav"
    clip.write_bytes(clip.read_bytes()[:-1000])

    split = SplitConfig(test_speakers="s6", validation_speakers="s3")
    with pytest.raises(AudioError, match=str(clip)):
        start(plan([f"folder:synth={root}"], config, None, split), tmp_path / "run", CPU)

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("make", [False, True])
def test_no_run_to_go_on_with(tmp_path, make):
    run = tmp_path / "run"
    if make:
        run.mkdir()

    with pytest.raises(TrainingError, match=rf"^{run} .*\brun\.json\b"):
        replan(run)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda _: "",
        lambda _: "[]",
        lambda text: text.replace('"epochs": 6', '"epochs": 0'),
        lambda text: text.replace('"epochs"', '"rounds"'),
        lambda text: text.replace('"hop_length": 160', '"hop_length": "160"'),
        lambda text: text.encode().replace(b"synth", b"\xff\xfe"),
    ],
    ids=["half", "empty", "list", "range", "name", "type", "encoding"],
)
def test_a_damaged_record_is_named(run_copy, damage):
    path = run_copy / "run.json"
    damaged = damage(path.read_text())
    path.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())

    with pytest.raises(TrainingError, match=str(path)):
        replan(run_copy)


@pytest.fixture
def moved(run_copy, corpus_dir, tmp_path) -> tuple[Path, Path]:
    """A run, and its corpus in a place where it may be changed."""
    root = Path(shutil.copytree(corpus_dir, tmp_path / "corpus"))
    record = dataclasses.replace(RunRecord.load(run_copy), corpora=(f"folder:synth={root}",))
    record.save(run_copy)
    return run_copy, root


def test_a_run_is_planned_again_as_it_was(moved, job):
    again = replan(moved[0])

    assert (again.labels, again.digest, again.config) == (job.labels, job.digest, job.config)
    for one, other in zip(again.clips, job.clips, strict=True):
        assert dataclasses.replace(one, path=other.path) == other
    assert again.targets(again.fold.test) == job.targets(job.fold.test)


def invert(path: Path) -> None:
    """Write other audio of the same size."""
    samples, rate = soundfile.read(path)
    soundfile.write(path, -samples, rate)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "sad" / "s1" / "0.wav").unlink(),
        lambda root: shutil.copy(root / "sad" / "s1" / "0.wav", root / "sad" / "s1" / "new.wav"),
        lambda root: (root / "sad" / "s1" / "0.wav").rename(root / "sad" / "s1" / "x.wav"),
        lambda root: (root / "sad" / "s1" / "0.wav").rename(root / "sad" / "s2" / "9.wav"),
        lambda root: soundfile.write(root / "sad" / "s1" / "0.wav", np.zeros(999), 16_000),
        lambda root: invert(root / "sad" / "s1" / "0.wav"),
        lambda root: [shutil.rmtree(folder) for folder in root.glob("*/s6")],
        lambda root: shutil.rmtree(root / "sad"),
        shutil.rmtree,
    ],
    ids=["gone", "new", "renamed", "speaker", "size", "content", "test speaker", "label", "all"],
)
def test_corpora_that_changed_are_refused(moved, change):
    run, root = moved
    change(root)

    with pytest.raises(TrainingError, match=rf" {run} .*={root}\)"):
        replan(run)


def test_odd_names_of_speakers_and_labels_survive_a_stop(tmp_path):
    """A comma separates names on the command line, and may stand in the name of a folder."""
    speakers = ("Doe, Ann", "doe, ann", "1", "01", "none", "a=b")
    corpus = touch_corpus(tmp_path / "own", "sad", "well, well", speakers=speakers)
    job = plan([corpus], TrainConfig())
    record_of(job).save(tmp_path / "run")

    assert replan(tmp_path / "run") == job


# --- scenes ------------------------------------------------------------------------------


@pytest.fixture
def scenic(tmp_path, config) -> tuple[TrainConfig, Sounds]:
    """Settings with a scene of noise and a microphone, and the recordings for it."""
    rng = np.random.default_rng(0)
    for name, samples in (("street", rng.normal(0, 0.1, 16_000)), ("mics", [0.9, 0.3, -0.1])):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", samples, 16_000)
    scene = SceneConfig(scenes=1, room_share=0.0, line_share=0.0)
    augment = dataclasses.replace(config.augment, scene=scene)
    sounds = Sounds.find([tmp_path / "street"], [tmp_path / "mics"])
    return dataclasses.replace(config, epochs=1, augment=augment), sounds


def test_a_run_with_scenes_is_recorded_resumed_and_exported(corpus, scenic, tmp_path):
    config, sounds = scenic
    split = SplitConfig(test_speakers="s6", validation_speakers="none")
    job = plan([corpus], config, split=split, sounds=sounds)
    run, cache = tmp_path / "run", tmp_path / "cache"
    trainer = start(job, run, CPU, cache=cache)
    list(trainer.epochs())
    finish(job, trainer)

    assert trainer.bank.starts.shape == (len(job.fold.train), 3)
    assert RunRecord.load(run).sounds == sounds
    assert replan(run) == job
    assert len(list((cache / "features").rglob("*.npy"))) == 3 * len(job.fold.train)
    again = start(replan(run), run, CPU, resume=True, cache=cache)
    assert torch.equal(again.bank.frames, trainer.bank.frames)
    card, _ = export(run, tmp_path / "model.onnx", gate_clips=2)
    assert card.augmented_with == ("street", "mics")


@pytest.mark.parametrize("change", ["content", "new", "gone", "folder"])
def test_a_run_does_not_go_on_with_other_recordings(corpus, scenic, tmp_path, change):
    config, sounds = scenic
    job = plan([corpus], config, sounds=sounds)
    dataclasses.replace(record_of(job), sounds=sounds).save(tmp_path / "run")
    assert replan(tmp_path / "run").sounds == sounds
    street = tmp_path / "street"
    {
        "content": lambda: soundfile.write(street / "a.wav", np.full(16_001, 0.1), 16_000),
        "new": lambda: soundfile.write(street / "b.wav", np.full(9, 0.1), 16_000),
        "gone": (tmp_path / "mics" / "a.wav").unlink,
        "folder": lambda: street.rename(tmp_path / "road"),
    }[change]()

    with pytest.raises(TrainingError, match=rf" {tmp_path / 'run'} .*\({street}, "):
        replan(tmp_path / "run")


def test_scenes_without_recordings_are_refused(corpus, scenic):
    with pytest.raises(ConfigError, match="--noise DIR"):
        plan([corpus], scenic[0])


def test_a_run_from_before_there_were_scenes_goes_on(run_copy):
    """Older records have neither `sounds` nor `config.augment.scene`."""
    path = run_copy / "run.json"
    record = json.loads(path.read_text())
    del record["sounds"], record["config"]["augment"]["scene"]
    path.write_text(json.dumps(record))

    assert replan(run_copy).sounds == Sounds()


# --- protocols ---------------------------------------------------------------------------


def record_of(job: Job) -> RunRecord:
    """Return what a run of this job would write down."""
    return RunRecord(
        config=job.config,
        model=ModelConfig(),
        normalization=Normalization((0.0,), (1.0,)),
        labels=job.labels,
        corpora=job.corpora,
        used=(),
        split=job.split,
        fold=job.fold.name,
        leaks=job.leaks,
        train_speakers=speakers(job.fold.train),
        validation_speakers=speakers(job.fold.validation),
        test_speakers=speakers(job.fold.test),
        data_digest=job.digest,
        fold_digest=fold_digest(job.fold),
        created="2026-01-01",
    )


@pytest.mark.parametrize(
    "split",
    [
        SplitConfig(validation_speakers="none"),
        SplitConfig(folds="leave-one-speaker-out", fold="synth/s2"),
        SplitConfig(folds="3", fold="2", validation_speakers="none"),
        SplitConfig("clip-grouped", fold="4"),
        SplitConfig("paper"),
    ],
    ids=lambda split: f"{split.protocol} {split.folds}",
)
def test_every_protocol_is_planned_again_as_it_was(corpus, config, tmp_path, split):
    job = plan([corpus], dataclasses.replace(config, seed=7), split=split)
    record_of(job).save(tmp_path / "run")

    again = replan(tmp_path / "run")

    assert again == job
    assert again.fold.protocol == split.protocol
    assert RunRecord.load(tmp_path / "run") == record_of(job)


def test_two_corpora_are_planned_again_as_they_were(tmp_path):
    corpora = [touch_corpus(tmp_path / name, "sad", "happy") for name in ("one", "two")]
    job = plan(corpora, TrainConfig(), split=SplitConfig("cross-corpus", fold="one"))
    record_of(job).save(tmp_path / "run")

    assert replan(tmp_path / "run") == job
    assert (job.fold.name, {c.corpus for c in job.fold.test}) == ("two to one", {"one"})


def test_another_fold_than_was_trained_is_refused(corpus, config, tmp_path):
    """As after an update of edge-ser that draws otherwise."""
    job = plan([corpus], config)
    other = plan([corpus], dataclasses.replace(config, seed=1))
    record = dataclasses.replace(record_of(job), fold_digest=fold_digest(other.fold))
    record.save(tmp_path / "run")

    with pytest.raises(TrainingError, match=rf"^{tmp_path / 'run'} .*'drawn'"):
        replan(tmp_path / "run")


def test_a_leak_is_refused_before_any_training(corpus_dir, config, tmp_path):
    root = Path(shutil.copytree(corpus_dir, tmp_path / "corpus"))
    shutil.copy(root / "sad/s1/0.wav", root / "sad/s6/mine.wav")

    split = SplitConfig(test_speakers="s6", validation_speakers="s3")
    with pytest.raises(LeakError, match=r"synth/mine\.wav = synth/0\.wav"):
        plan([f"folder:synth={root}"], config, split=split)


def test_without_validation_the_last_epoch_is_kept(corpus, config, tmp_path):
    job = plan([corpus], config, split=SplitConfig(validation_speakers="none"))
    trainer = start(job, tmp_path / "run", CPU)

    history = list(trainer.epochs())
    accuracies, _ = finish(job, trainer)

    assert len(history) == config.epochs
    assert all(e.best and e.uar is None and e.validation_loss is None for e in history)
    assert trainer.best == history[-1]
    assert [a.split for a in accuracies] == ["test"]
    assert (trainer.run / "curves.png").stat().st_size > 1000


def test_copies_are_augmented(corpus, config, tmp_path):
    """Four rows of one recording are four different sounds, in training and in the test."""
    job = plan([corpus], config, split=SplitConfig("paper"))
    trainer = start(job, tmp_path / "run", CPU)

    rows = {clip.copy: i for i, clip in enumerate(job.fold.train) if clip.path == _fullest(job)}
    assert len(rows) > 1
    copies = [trainer.bank.clip(i) for i in rows.values()]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(copies, 2))
    noisy = next(i for i, clip in enumerate(job.fold.test) if clip.copy is PaperAugmentation.NOISE)
    clean = job.cut_clips(
        [dataclasses.replace(job.fold.test[noisy], copy=PaperAugmentation.ORIGINAL)]
    )
    assert not torch.equal(trainer.scored["test"].windows[noisy], clean.windows[0])


def _fullest(job):
    """Return the recording with the most rows in training."""
    return Counter(clip.path for clip in job.fold.train).most_common(1)[0][0]


def test_the_paper_is_planned_with_its_leak_stated(corpus, config):
    job = plan([corpus], config, split=SplitConfig("paper"))

    assert len(job.clips) == 4 * 96
    assert {o.kind for o in job.leaks.found} == {"speakers", "copies"}
    assert PROTOCOLS["paper"].declares in job.leaks.summary


# --- figures are those of the device -----------------------------------------------------


def test_clips_are_scored_as_the_exported_model_scores_them(trainer, job, exported):
    """The honesty of every figure: training measures what `edge-ser run` does."""
    clips = job.fold.validation + job.fold.test
    scores = dataclasses.replace(
        trainer.score(job.cut_clips(clips)), temperature=exported["features"][1].temperature
    )

    for kind in ("features", "waveform"):
        recognizer = Recognizer(exported[kind][0])
        for clip, probs in zip(clips, scores.probs, strict=True):
            recognition = recognizer.recognize(clip.path, clip.channel, vad=False)
            recognized = [recognition.final.probs[label] for label in job.labels]
            np.testing.assert_allclose(recognized, probs, rtol=0, atol=1e-4)


def normalization(frontend: FrontendConfig) -> Normalization:
    return Normalization((0.0,) * frontend.n_features, (50.0,) * frontend.n_features)


class NetworkRunner(Runner):
    """A PyTorch network in the place of an exported one."""

    def __init__(self, network: CompactAttentionCnn, config: TrainConfig) -> None:
        self._card = make_card(
            frontend=config.frontend,
            normalization=normalization(config.frontend),
            window_s=config.window_s,
            hop_s=config.hop_s,
            min_window_s=config.min_window_s,
        )
        self.network = network

    @property
    def card(self) -> ModelCard:
        return self._card

    def run(self, inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.network(torch.from_numpy(inputs)).numpy()


FRONTENDS = {
    "default": FrontendConfig(),
    "paper": FrontendConfig.paper(),
    "centred": FrontendConfig(center=True, preemphasis=0.97),
    "deltas": FrontendConfig(n_mfcc=13, deltas=2),
}
SAMPLES = {
    "shorter than a window": 12_000,
    "a window": 16_000,
    "a frame short of a window": 15_900,
    "two windows": 20_000,
    "a frame short of two windows": 19_936,
    "long": 41_234,
}


@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("length", SAMPLES)
def test_scoring_cuts_the_windows_of_the_device(frontend, length, make_voice, tmp_path):
    rng = np.random.default_rng(1)
    samples = make_voice("happy", 150, SAMPLES[length] / 16_000, rng) * np.linspace(
        0.2, 1, SAMPLES[length]
    )
    assert_scored_as_on_the_device(samples, FRONTENDS[frontend], tmp_path)


def test_scoring_leaves_silent_windows_out_as_the_device_does(make_voice, tmp_path):
    rng = np.random.default_rng(1)
    samples = np.concatenate([make_voice("happy", 150, 1.0, rng), np.zeros(32_000, np.float32)])
    assert_scored_as_on_the_device(samples, FrontendConfig(), tmp_path)


def assert_scored_as_on_the_device(samples, frontend, folder):
    path = folder / "clip.wav"
    soundfile.write(path, samples, 16_000)
    config = TrainConfig(window_s=1.0, frontend=frontend)
    torch.manual_seed(0)
    sizes = ModelConfig(n_features=frontend.n_features, n_classes=3)
    network = CompactAttentionCnn(sizes, normalization(frontend)).eval()
    network.head[2].weight.data *= 30  # an untrained network hardly separates windows
    runner = NetworkRunner(network, config)
    clip = Clip(path, "own", "own/ann", "sad", "sad", None, "own/1", None)

    recognized = Recognizer(runner).recognize(path, vad=False).final
    scores = score(network, cut_clips([clip], [0], config))

    np.testing.assert_allclose(list(recognized.probs.values()), scores.probs[0], rtol=0, atol=1e-4)


def test_a_label_without_training_clips_is_refused(tmp_path):
    touch_corpus(tmp_path / "own", "sad", "happy", speakers=("ann", "bob", "eve"))
    touch_corpus(tmp_path / "own", "angry", speakers=("ann",))

    split = SplitConfig(test_speakers="ann", validation_speakers="bob")
    with pytest.raises(ConfigError, match=r"\bangry\b.*--labels"):
        plan([f"folder:own={tmp_path / 'own'}"], TrainConfig(batch_size=2), "all", split)


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_run_directory_that_cannot_be_written_is_named_before_any_work(job, tmp_path, place):
    (tmp_path / "file").touch()
    seen = []

    with pytest.raises(ConfigError, match=rf" {tmp_path / place} .*--out"):
        start(job, tmp_path / place, CPU, progress=lambda *step: seen.append(step))

    assert seen == []
