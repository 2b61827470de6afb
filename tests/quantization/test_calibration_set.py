"""A calibration set on disk: what is saved is loaded, and anything else is refused with a remedy."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
import zipfile

import numpy as np
import pytest
from support import ROOT, make_card

from edge_ser.card import FrontendConfig
from edge_ser.errors import CalibrationError, ConfigError
from edge_ser.inference.loader import open_runner
from edge_ser.quantization import calibration_set as calibration
from edge_ser.quantization.calibration_set import CalibrationSet, default_calibration

REMEDY = "edge-ser calibrate select"


@pytest.fixture
def saved(small_set, tmp_path):
    small_set.save(tmp_path / "set")
    return tmp_path / "set"


def refusal(folder) -> str:
    with pytest.raises(CalibrationError) as caught:
        CalibrationSet.load(folder)
    assert REMEDY in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_saved_is_loaded(small_set, saved):
    loaded = CalibrationSet.load(saved)

    for field in ("frontend", "window_s", "clips", "seed", "licence", "digest"):
        assert getattr(loaded, field) == getattr(small_set, field)
    assert loaded.windows.dtype == np.float32
    np.testing.assert_array_equal(loaded.windows, small_set.windows)
    assert sorted(path.name for path in saved.iterdir()) == ["manifest.json", "windows.npz"]


def test_the_same_set_is_the_same_files(small_set, saved, tmp_path):
    CalibrationSet.load(saved).save(tmp_path / "again")

    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_set_is_replaced_by_another(small_set, saved):
    other = dataclasses.replace(small_set, windows=small_set.windows + 1)
    other.save(saved)
    assert CalibrationSet.load(saved).digest == other.digest


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"licence": "public"},
        {"frontend": dataclasses.replace(make_card().frontend, fmin=30.0)},
    ],
    ids=str,
)
def test_everything_is_in_the_digest(small_set, change):
    assert dataclasses.replace(small_set, **change).digest != small_set.digest


def test_every_clip_and_value_is_in_the_digest(small_set):
    first, *rest = small_set.clips
    clips = (dataclasses.replace(first, speaker="site/other"), *rest)
    windows = small_set.windows.copy()
    windows[-1, -1, -1] += 1e-3

    digests = {
        small_set.digest,
        dataclasses.replace(small_set, clips=clips).digest,
        dataclasses.replace(small_set, windows=windows).digest,
    }

    assert len(digests) == 3


def test_an_empty_set_is_refused(small_set):
    with pytest.raises(CalibrationError, match=f"at least one window.*{REMEDY}"):
        dataclasses.replace(small_set, clips=(), windows=small_set.windows[:0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_windows_that_are_not_finite_are_refused(small_set, value):
    windows = small_set.windows.copy()
    windows[1, 3, 5] = value
    with pytest.raises(CalibrationError, match=r"1 of 3 windows hold NaN or infinity.* 1\.wav"):
        dataclasses.replace(small_set, windows=windows)


@pytest.mark.parametrize(
    ("windows", "actual"),
    [
        (np.zeros((2, 13, 97), np.float32), r"\[2, 13, 97\]"),
        (np.zeros((3, 40, 97), np.float32), r"\[3, 40, 97\]"),
        (np.zeros((3, 13, 98), np.float32), r"\[3, 13, 98\]"),
        (np.zeros((3, 13 * 97), np.float32), r"\[3, 1261\]"),
        (np.zeros((3, 13, 97)), "float64"),
    ],
)
def test_windows_of_another_shape_are_refused(small_set, windows, actual):
    assert small_set.windows.shape == (3, 13, 97)
    with pytest.raises(CalibrationError, match=rf"float32 \[3, 13, 97\].*got .*{actual}"):
        dataclasses.replace(small_set, windows=windows)


def test_a_set_with_nan_on_disk_is_refused(small_set, saved):
    windows = small_set.windows.copy()
    windows[0, 0, 0] = np.nan
    np.savez_compressed(saved / "windows.npz", windows=windows)
    assert "NaN" in refusal(saved)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_of_windows_is_refused(saved, share):
    path = saved / "windows.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "windows.npz" in refusal(saved)


def test_a_header_that_is_no_literal(saved):
    path = saved / "windows.npz"
    with zipfile.ZipFile(path) as archive:
        content = archive.read("windows.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("windows.npy", content.replace(b"), }", b" , }", 1))

    assert "windows.npz" in refusal(saved)


def test_every_damaged_byte_of_the_windows_is_noticed(small_set, saved):
    """The digest is over the values: a byte of the archive itself may change nothing of them."""
    path = saved / "windows.npz"
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content), 100):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        try:
            loaded = CalibrationSet.load(saved)
        except CalibrationError:
            continue
        np.testing.assert_array_equal(loaded.windows, small_set.windows)


@pytest.mark.parametrize(
    "content",
    [
        lambda file: np.savez(file, other=np.zeros(3)),
        lambda file: np.save(file, np.zeros(3)),
        lambda file: np.savez(file, windows=np.array([{}], dtype=object)),
        lambda file: file.write(pickle.dumps([1.0])),
        lambda file: file.write(b"windows"),
    ],
    ids=["another name", "an array", "objects", "a pickle", "text"],
)
def test_other_files_in_place_of_the_windows_are_refused(saved, content):
    with (saved / "windows.npz").open("wb") as file:
        content(file)
    assert "windows.npz" in refusal(saved)


def test_windows_of_another_set_are_refused(small_set, saved, tmp_path):
    dataclasses.replace(small_set, windows=small_set.windows + 1).save(tmp_path / "other")
    (tmp_path / "other" / "windows.npz").replace(saved / "windows.npz")
    message = refusal(saved)
    assert str(saved) in message
    assert small_set.digest[:12] in message


def test_missing_files_are_refused(saved, tmp_path):
    assert "manifest.json" in refusal(tmp_path / "none")
    (saved / "windows.npz").unlink()
    assert "windows.npz" in refusal(saved)
    (saved / "manifest.json").unlink()
    assert "manifest.json" in refusal(saved)


def edited(**changes):
    return lambda facts: {**facts, **changes}


@pytest.mark.parametrize(
    ("edit", "part"),
    [
        (edited(licence="public domain"), "was changed since it was made"),
        (edited(seed=1), "was changed since it was made"),
        (edited(digest="0" * 64), "was changed since it was made"),
        (lambda f: {**f, "clips": f["clips"][::-1]}, "was changed since it was made"),
        (lambda f: {**f, "frontend": {**f["frontend"], "fmin": 0.0}}, "was changed since"),
        (lambda f: {**f, "clips": []}, "at least one window"),
        (lambda f: {**f, "clips": f["clips"][1:]}, "expected windows of float32 [2, 13, 97]"),
        (edited(window_s=2.0), "expected windows of float32"),
        (edited(window_s=1e9), "window_s"),
        (edited(window_s=float("nan")), "window_s"),
        (edited(seed="1"), "seed"),
        (edited(more=1), "unknown fields more"),
        (lambda f: {k: v for k, v in f.items() if k != "licence"}, "lacks licence"),
        (lambda f: {**f, "clips": [{"name": "a"}]}, "clips[0] lacks"),
        (lambda f: {**f, "frontend": {**f["frontend"], "n_fft": 0}}, "n_fft"),
        (edited(schema=2), "schema"),
        (edited(kind="edge-ser evaluation"), "is not the manifest of a calibration set"),
        (lambda _: [], "is not the manifest of a calibration set"),
    ],
)
def test_an_edited_manifest_is_refused(saved, edit, part):
    path = saved / "manifest.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    assert part in refusal(saved)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_no_json_is_refused(saved, content):
    (saved / "manifest.json").write_bytes(content)
    assert "manifest.json" in refusal(saved)


def test_a_killed_writer_leaves_a_set_that_is_refused(small_set, saved, monkeypatch):
    """The windows are new, the manifest is still the old one."""

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(calibration, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(small_set, windows=small_set.windows + 1).save(saved)

    assert small_set.digest[:12] in refusal(saved)
    assert len(list(saved.iterdir())) == 2


def test_a_folder_that_cannot_be_written(small_set, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/windows\.npz"):
        small_set.save(tmp_path / "file")


def test_a_model_with_the_same_windows_is_accepted(small_set):
    small_set.require(make_card())
    small_set.require(make_card(input="waveform", hop_s=0.5, labels=("a", "b")))


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            {"frontend": FrontendConfig(n_mels=26, n_mfcc=13, fmin=50.0, window="hamming")},
            ["fmin", "20.0", "50.0", "window", "hann", "hamming"],
        ),
        ({"window_s": 2.0}, ["[13, 97] (1 s)", "[13, 197] (2 s)"]),
    ],
)
def test_a_model_with_other_windows_is_refused_with_both_values(small_set, changes, parts):
    with pytest.raises(CalibrationError) as caught:
        small_set.require(make_card(**changes))
    for words in [*parts, "does not fit tiny", f"{REMEDY} --model"]:
        assert words in str(caught.value)


@pytest.fixture(scope="module")
def default():
    return CalibrationSet.load(default_calibration())


def test_the_default_set_fits_the_bundled_model(default):
    card = open_runner().card
    default.require(card)

    trained = {speaker for use in card.corpora for speaker in use.speakers}
    held_out = {speaker for a in card.accuracy for speaker in a.speakers}
    speakers = {clip.speaker for clip in default.clips}
    assert speakers <= trained - held_out
    labels = [clip.emotion for clip in default.clips]
    assert {labels.count(label) for label in card.labels} == {len(labels) // len(card.labels)}
    counts = [[c.speaker for c in default.clips].count(speaker) for speaker in speakers]
    assert max(counts) - min(counts) <= 1
    levels = [clip.level for clip in default.clips]
    assert max(map(levels.count, set(levels))) - min(map(levels.count, set(levels))) <= 2


def test_the_bundled_model_recognises_the_default_set(default):
    """It learned from these speakers, so that it mostly knows what they meant."""
    runner = open_runner()
    predicted = [runner.card.labels[int(runner.run(w[None])[0].argmax())] for w in default.windows]
    right = [label == clip.emotion for label, clip in zip(predicted, default.clips, strict=True)]
    assert np.mean(right) > 0.6


def test_the_default_set_may_be_shipped(default):
    """One corpus whose licence allows derivatives, features alone, and no more than 5 MB."""
    folder = default_calibration()
    assert {clip.corpus for clip in default.clips} == {"RAVDESS"}
    assert "CC BY-NC-SA 4.0" in default.licence
    assert "Livingstone & Russo" in default.licence
    assert {path.name for path in folder.iterdir()} == {"manifest.json", "windows.npz"}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 5_000_000
    with np.load(folder / "windows.npz") as arrays:
        assert arrays.files == ["windows"]


def test_its_page_is_true(default):
    page = (ROOT / "calibration" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"Digest: `(\w+)`", page)[0] == default.digest
    assert f"{len(default.clips)} windows of {default.window_s:g} s from RAVDESS" in page
    assert f"the {len({clip.speaker for clip in default.clips})} actors" in page
    counts = [sum(c.level == level for c in default.clips) for level in ("soft", "middle", "loud")]
    assert "({}, {} and {})".format(*counts) in page
    assert default.licence.split("(")[0].removeprefix("RAVDESS:").strip() in page


def test_a_package_without_the_default_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(calibration, "PLACES", (tmp_path,))
    with pytest.raises(CalibrationError, match=rf"\bdefault\b.*{tmp_path}\b.*{REMEDY} --wav"):
        default_calibration()


def test_a_set_that_there_is_not():
    with pytest.raises(ConfigError, match="'site'"):
        calibration.bundled_calibration("site")
