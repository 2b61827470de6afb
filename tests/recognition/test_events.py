"""Events as lines of JSON: written, read back, described by the schema that ships."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import sys
import types
import typing
from importlib import resources

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import ROOT

from edge_ser.errors import EventError
from edge_ser.recognition import events
from edge_ser.recognition.events import KINDS, SpeechStart, from_json, to_json

SCHEMA = json.loads((resources.files("edge_ser") / "assets" / "events.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(SCHEMA)
VALID = jsonschema.Draft202012Validator(SCHEMA)

LATER = {"arousal", "baseline", "baseline_s", "likeliest", "no_speech", "prior"}
"""Fields that came within version 1."""

START = SpeechStart(
    seq=3,
    source="mic:a",
    at_s=1.23456,
    monotonic_s=9.0,
    time="2026-01-01T00:00:00Z",
    latency_ms=4.5,
)


def a_value(hint: typing.Any) -> st.SearchStrategy:
    """Draw what a field of this type may hold."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        return st.one_of(*map(a_value, arguments))
    if origin is tuple:
        return st.lists(a_value(arguments[0]), max_size=3).map(tuple)
    if origin is not None:
        return st.dictionaries(st.text(max_size=5), a_value(arguments[1]), max_size=3)
    return {
        str: st.text(max_size=9),
        int: st.integers(0, 2**40),
        bool: st.booleans(),
        float: st.floats(-1e6, 1e6).map(lambda x: round(x, 3)),
        type(None): st.none(),
    }[hint]


def any_event() -> st.SearchStrategy[events.Event]:
    def of(kind):
        hints = typing.get_type_hints(kind)
        fields = {f.name: a_value(hints[f.name]) for f in dataclasses.fields(kind)}
        return st.builds(kind, **fields)

    return st.sampled_from(list(KINDS.values())).flatmap(of)


@given(event=any_event())
def test_every_event_survives_its_line(event):
    line = to_json(event)
    assert "\n" not in line
    assert from_json(line) == event


@given(event=any_event())
def test_every_event_fits_the_schema(event):
    VALID.validate(json.loads(to_json(event)))


@given(event=any_event(), data=st.data())
def test_a_line_with_one_thing_missing_fits_neither_schema_nor_reader(event, data):
    line = json.loads(to_json(event))
    line.pop(data.draw(st.sampled_from(sorted(set(line) - LATER))))
    assert not VALID.is_valid(line)
    with pytest.raises(EventError):
        from_json(json.dumps(line))


@given(event=any_event())
def test_a_line_of_an_older_version_lacks_what_came_later(event):
    line = {name: v for name, v in json.loads(to_json(event)).items() if name not in LATER}
    VALID.validate(line)
    older = from_json(json.dumps(line))
    for name in LATER & {f.name for f in dataclasses.fields(older)}:
        assert getattr(older, name) in (None, "none", False, {})


def test_how_a_line_looks():
    assert json.loads(to_json(START)) == {
        "v": 1,
        "event": "speech_start",
        "seq": 3,
        "source": "mic:a",
        "at_s": 1.2346,
        "monotonic_s": 9.0,
        "time": "2026-01-01T00:00:00Z",
        "latency_ms": 4.5,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v": 2}, r"\bversion 1, got 2;"),
        ({"v": True}, "got True;"),
        ({"event": "laughter"}, "start, window, .*'laughter'"),
        ({"event": ["start"]}, r"\['start'\]"),
        ({"latency_ms": "soon"}, r"\bspeech_start\.latency_ms\b"),
        ({"mood": 1}, r"\bspeech_start\b.*\bmood\b"),
    ],
)
def test_invalid_lines(change, message):
    with pytest.raises(EventError, match=message):
        from_json(json.dumps(json.loads(to_json(START)) | change))


@pytest.mark.parametrize("line", ["", "{", "[]", "3", "[" * 100_000, '{"v": 1}', "\x00"])
def test_lines_that_are_no_json_objects(line):
    with pytest.raises(EventError):
        from_json(line)


def test_an_event_without_a_number_is_not_written():
    """NaN is no JSON; it would be a fault of ours, and must not reach a consumer."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(dataclasses.replace(START, latency_ms=math.nan))


def test_the_schema_and_its_page_are_those_of_the_classes(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    writer = importlib.import_module("write_event_schema")
    sys.modules.pop("write_event_schema")
    assert writer.schema() == SCHEMA, "stale: run make event-schema"
    assert writer.page() == (ROOT / "docs" / "events.md").read_text(), (
        "stale: run make event-schema"
    )


def test_every_field_is_described():
    for kind in SCHEMA["$defs"].values():
        for name, field in kind["properties"].items():
            assert name in {"v", "event"} or len(field["description"]) > 5, name
