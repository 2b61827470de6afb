"""Windows and event streams equal the record, bit for bit where the arithmetic is the same."""

from __future__ import annotations

import json

import golden_windows as golden
import numpy as np
import pytest

RECORD = json.loads(golden.GOLDEN.read_text())


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return golden.window_cases(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def exact() -> bool:
    return golden.arithmetic() == RECORD["arithmetic"]


def check_windows(found, expected, exact):
    assert found.get("error") == expected.get("error")
    assert len(found["windows"]) == len(expected["windows"])
    for ours, theirs in zip(found["windows"], expected["windows"], strict=True):
        assert ours[:3] == theirs[:3]
        if theirs[3] is not None:
            np.testing.assert_allclose(ours[3:], theirs[3:], atol=2e-3)
    if exact:
        assert found["sha256"] == expected["sha256"]


def test_the_record_holds_these_cases(cases):
    assert set(cases) == set(RECORD["windows"])


@pytest.mark.parametrize("name", RECORD["windows"])
def test_the_recognizer_gives_its_model_the_recorded_windows(cases, exact, name):
    check_windows(golden.recognizer_windows(*cases[name]), RECORD["windows"][name], exact)


@pytest.mark.parametrize("name", RECORD["windows"])
def test_windows_without_a_model_are_the_recorded_ones(cases, exact, name):
    check_windows(golden.cut_windows(*cases[name]), RECORD["windows"][name], exact)


def test_the_events_are_those_of_the_record(exact):
    found = {name: golden.event_record(events) for name, events in golden.event_streams().items()}

    assert set(found) == set(RECORD["events"])
    for name, expected in RECORD["events"].items():
        if exact:
            assert found[name]["sha256"] == expected["sha256"], name
        assert found[name]["events"] == expected["events"], name
