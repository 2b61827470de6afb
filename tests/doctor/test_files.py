"""The self-test, and what the doctor says of what files need."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support import skip_or_fail, write_tiny_model

from edge_ser.doctor import files, self_test
from edge_ser.doctor.check import MISSING, OK, WARNING
from edge_ser.doctor.self_test import TOLERANCE, expected, run_self_test, voice
from edge_ser.errors import ModelError
from edge_ser.frontend import kernel_for, tables
from edge_ser.frontend.compiled import NotCompiled


def test_the_bundled_model_answers_as_it_was_written_down():
    """Fails after the bundled model was replaced: run benchmarks/write_self_test.py."""
    got, reference = run_self_test(), expected()
    assert got.sha256 == reference.sha256
    assert got.label == reference.label
    assert got.probs == pytest.approx(reference.probs, abs=1e-3)
    assert got.n_windows == 9
    assert got.rtf > 0
    assert got.p50_ms > 0


def test_the_answer_is_clear_enough_to_be_a_test():
    """Rounding within the tolerance must not change the label."""
    first, second = sorted(expected().probs.values())[:-3:-1]
    assert first - second > 2 * TOLERANCE


def test_another_network_gives_another_answer(tmp_path):
    """A check that any model passes would be none."""
    got = run_self_test(write_tiny_model(tmp_path / "tiny.onnx"))
    assert set(got.probs) != set(expected().probs)


def test_a_front_end_that_is_off_gives_another_answer(monkeypatch):
    true_edges = tables.mel_edges
    kernel_for.cache_clear()
    monkeypatch.setattr(tables, "mel_edges", lambda config: 0.9 * true_edges(config))
    try:
        got, reference = run_self_test(), expected()
    finally:
        kernel_for.cache_clear()
    assert max(abs(got.probs[label] - p) for label, p in reference.probs.items()) > TOLERANCE


def test_the_signal_is_the_same_in_pieces_and_stays_in_range():
    whole = voice(2.0)
    assert whole.dtype == np.float32
    assert len(whole) == 96_000
    assert np.abs(whole).max() < 0.9
    np.testing.assert_array_equal(whole[:48_000], voice(1.0))


def test_well(make_here, with_result):
    result = with_result()
    here = make_here()
    assert files.model(here).state == OK
    assert result.label in files.model(here).found
    speed = files.speed(here).found
    assert all(value in speed for value in ("p50 3.0 ms", "RTF 0.020", "9 windows"))


def test_a_replaced_model_is_a_warning(make_here, with_result):
    with_result(sha256="0" * 64)
    assert files.model(make_here()).state == WARNING


@pytest.mark.parametrize("change", ["label", "probs"])
def test_a_wrong_label_is_reported_with_both_labels(make_here, with_result, change):
    reference = expected()
    other = next(label for label in reference.probs if label != reference.label)
    changes = {
        "label": {"label": other},
        "probs": {"probs": {**reference.probs, other: reference.probs[other] + 0.1}},
    }[change]
    with_result(**changes)
    check = files.model(make_here())
    assert check.state == MISSING
    assert repr(reference.label) in check.found
    assert check.remedy


def test_a_missing_model_is_reported(make_here, monkeypatch):
    def gone():
        raise ModelError("bundled-17.onnx; see there")

    monkeypatch.setattr(self_test, "run_self_test", gone)
    check = files.model(make_here())
    assert (check.state, "bundled-17.onnx" in check.found) == (MISSING, True)
    assert files.speed(make_here()).state == MISSING


@pytest.mark.parametrize(
    "text", ["not JSON", "{}", json.dumps({"sha256": 1, "label": "", "probs": {}})]
)
def test_a_damaged_reference_is_reported(tmp_path, monkeypatch, text):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "self_test.json").write_text(text)
    monkeypatch.setattr(self_test.resources, "files", lambda _: tmp_path)
    with pytest.raises(ModelError, match="install edge-ser again"):
        expected()


def test_packages_that_do_not_load(make_here, monkeypatch):
    def fails(name):
        raise ImportError(f"{name}: undefined symbol")

    monkeypatch.setattr(files.importlib, "import_module", fails)
    for check in (files.onnx_runtime(make_here()), files.audio_files(make_here())):
        assert check.state == MISSING
        assert "undefined symbol" in check.found
        assert "--force-reinstall" in check.remedy


def test_packages_that_load(make_here):
    assert "CPU" in files.onnx_runtime(make_here()).found
    assert "libsndfile" in files.audio_files(make_here()).found


def test_the_environment_is_named(make_here):
    seen, hidden = (
        files.python(make_here(environment="/home/me/ser", sees_system_packages=sees)).found
        for sees in (True, False)
    )
    assert "/home/me/ser" in seen
    assert "/home/me/ser" in hidden
    assert seen != hidden
    assert "/home/me/ser" not in files.python(make_here(environment=None)).found


def test_ffmpeg_is_only_a_warning(make_here, monkeypatch):
    monkeypatch.setattr(files.shutil, "which", lambda _: None)
    assert files.ffmpeg(make_here()).state == WARNING


def test_the_compiled_front_end_is_named(make_here):
    check = files.front_end(make_here())
    if check.state != OK:
        skip_or_fail(check.found)
    assert check.found.startswith("compiled, ")


def test_a_front_end_in_numpy_is_a_warning_with_what_to_do(make_here, monkeypatch):
    def fails(config):
        raise NotCompiled("kernel-m68k.so was not compiled", "install a C compiler and run: sh it")

    monkeypatch.setattr(files, "CompiledKernel", fails)
    check = files.front_end(make_here())
    assert check.state == WARNING
    assert check.found.startswith("NumPy; kernel-m68k.so ")
    assert check.remedy.endswith("sh it")
