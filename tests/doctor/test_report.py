"""All checks together: what follows from them, and that none takes the others with it."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re

import pytest
from machine_trees import BOARDS, board_commands, board_tree

from edge_ser.audio.sources.devices import InputDevice
from edge_ser.doctor import report as report_module
from edge_ser.doctor.check import MISSING, OK, STATES, UNKNOWN, WARNING, Check
from edge_ser.doctor.report import CHOICES, USES, Use, examine

MICROPHONE = InputDevice(0, "USB", "ALSA", 1, 44_100, is_default=True)

FAILED = re.compile(r"\b[A-Z]\w*Error: ")


@pytest.fixture(autouse=True)
def ordinary_user(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)


@pytest.fixture
def with_states(monkeypatch):
    """Return a function that replaces the checks of a use by ones of given states."""

    def say(name: str, *states: str) -> None:
        checks = tuple(lambda _, s=s: Check("thing", "found", s) for s in states)
        uses = tuple(dataclasses.replace(u, checks=checks) if u.name == name else u for u in USES)
        monkeypatch.setattr(report_module, "USES", uses)

    return say


def all_checks(report):
    return [check for group in report.groups for check in group.checks]


def test_no_check_fails_on_this_machine():
    report = examine()
    assert not [check for check in all_checks(report) if FAILED.search(check.found)]
    assert [group.name for group in report.groups] == [use.name for use in USES]


@pytest.mark.parametrize("board", BOARDS)
def test_no_check_fails_on_any_board(tmp_path, board):
    report = examine(
        root=board_tree(tmp_path, board), run=board_commands(board), with_self_test=False
    )
    checks = all_checks(report)
    assert not [check for check in checks if FAILED.search(check.found)]
    assert {"JetPack", "module", "power mode", "clocks"} <= {check.feature for check in checks}


def test_no_check_fails_on_an_empty_machine(tmp_path):
    report = examine(root=tmp_path, with_self_test=False)
    assert not [check for check in all_checks(report) if FAILED.search(check.found)]


def test_whatever_is_missing_comes_with_a_remedy(tmp_path):
    for root in (tmp_path, board_tree(tmp_path / "board", "thor-jetpack7")):
        for check in all_checks(examine(root=root, with_self_test=False)):
            assert check.state in STATES
            assert check.remedy or check.state in {OK, UNKNOWN}, check


def test_a_check_that_fails_is_reported_and_stops_no_other(monkeypatch):
    def broken_thing(_):
        raise ZeroDivisionError("thing 17")

    uses = tuple(
        dataclasses.replace(u, checks=(broken_thing, *u.checks)) if u.name == "wav" else u
        for u in USES
    )
    monkeypatch.setattr(report_module, "USES", uses)
    report = examine(with_self_test=False)
    wav = report.groups[1]

    assert wav.checks[0].feature == "broken thing"
    assert wav.checks[0].state == UNKNOWN
    assert wav.checks[0].found.endswith(" ZeroDivisionError: thing 17")
    assert len(wav.checks) > 3
    # An unknown state is not reported as working.
    assert (wav.verdict, report.works) == ("unknown", False)


@pytest.mark.parametrize(
    ("states", "verdict", "works"),
    [
        ([OK, OK], "works", True),
        ([OK, WARNING], "works", True),
        ([OK, UNKNOWN], "unknown", False),
        ([UNKNOWN, MISSING], report_module.WORKS_NOT, False),
        ([], "works", True),
    ],
)
@pytest.mark.parametrize("name", CHOICES)
def test_verdicts(with_states, name, states, verdict, works):
    with_states(name, *states)
    report = examine(name, with_self_test=False)
    (group,) = (group for group in report.groups if group.name == name)
    assert (group.verdict, report.works, report.asked) == (verdict, works, (name,))


@pytest.mark.parametrize(("devices", "asked"), [((), ("wav",)), ((MICROPHONE,), ("wav", "mic"))])
def test_the_microphone_counts_where_there_is_one(monkeypatch, with_states, devices, asked):
    monkeypatch.setattr("edge_ser.audio.sources.devices.list_devices", lambda: devices)
    with_states("mic", MISSING)
    report = examine(with_self_test=False)
    assert report.asked == asked
    assert report.works == (asked == ("wav",))


def test_a_portaudio_that_falls_over_is_no_microphone(monkeypatch):
    def falls():
        raise RuntimeError("Error initializing PortAudio")

    monkeypatch.setattr("edge_ser.audio.sources.devices.list_devices", falls)
    report = examine(with_self_test=False)
    assert report.asked == ("wav",)
    unknown = [check.found for check in report.groups[2].checks if check.state == UNKNOWN]
    assert len(unknown) == 1
    assert unknown[0].endswith("RuntimeError: Error initializing PortAudio")


def test_the_self_test_can_be_left_out(monkeypatch):
    def forbidden():
        raise AssertionError("the model was run")

    monkeypatch.setattr("edge_ser.doctor.self_test.run_self_test", forbidden)
    features = {check.feature for check in all_checks(examine(with_self_test=False))}
    assert not features & {"bundled model", "speed", "keeps up"}


def test_the_model_is_run_once_for_all_checks(monkeypatch, with_result):
    calls = []
    result = with_result()
    monkeypatch.setattr(
        "edge_ser.doctor.self_test.run_self_test", lambda: calls.append(1) or result
    )
    features = {check.feature for check in all_checks(examine())}
    assert {"bundled model", "speed", "keeps up"} <= features
    assert calls == [1]


def test_json_has_the_keys_that_the_documentation_names():
    data = json.loads(examine(with_self_test=False).to_json())
    assert set(data) == {"format", "works", "asked", "groups", "facts"}
    assert data["format"] == 1
    for group in data["groups"]:
        assert set(group) == {"name", "title", "verdict", "says", "checks"}
        assert group["verdict"] in {"works", report_module.WORKS_NOT, "unknown"}
        for check in group["checks"]:
            assert set(check) == {"feature", "found", "state", "remedy"}
            assert check["state"] in STATES
    documentation = inspect.getdoc(report_module.Report.to_json)
    for key in ("format", "works", "asked", "verdict", "says", "remedy", "facts"):
        assert key in documentation


def test_each_use_has_its_own_name():
    names = [use.name for use in USES]
    assert len(set(names)) == len(names)
    assert all(isinstance(use, Use) and use.checks for use in USES)
