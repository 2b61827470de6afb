"""Dataclasses from JSON: every type, every refusal, and the place that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from support import absent

from edge_ser._util.records import build
from edge_ser.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    """A part that refuses some values itself."""

    size: int
    name: str = "inner"

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ConfigError(f"size is {self.size}, wanted: not negative")


@dataclass(frozen=True)
class Outer:
    """One field of every kind."""

    flag: bool
    ratio: float
    inner: Inner
    words: tuple[str, ...] = ()
    inners: tuple[Inner, ...] = ()
    table: Mapping[str, float] = field(default_factory=dict)


GOOD = {"flag": True, "ratio": 0.5, "inner": {"size": 3}}


def test_every_kind_of_field():
    data = {
        **GOOD,
        "words": ["a", "b"],
        "inners": [{"size": 1, "name": "x"}],
        "table": {"pi": 3.5, "one": 1},
    }
    assert build(Outer, data, "it") == Outer(
        flag=True,
        ratio=0.5,
        inner=Inner(3),
        words=("a", "b"),
        inners=(Inner(1, "x"),),
        table={"pi": 3.5, "one": 1.0},
    )


def test_defaults_fill_what_is_missing():
    assert build(Outer, GOOD, "it") == Outer(flag=True, ratio=0.5, inner=Inner(3))


def test_a_whole_number_becomes_a_float():
    built = build(Outer, {**GOOD, "ratio": 2, "table": {"a": 1}}, "it")
    assert (type(built.ratio), type(built.table["a"])) == (float, float)


@pytest.mark.parametrize("data", [None, [], [GOOD], "text", 3, True])
def test_something_other_than_an_object(data):
    with pytest.raises(ConfigError) as raised:
        build(Outer, data, "it")
    assert absent(raised.value, "it", type(data).__name__, "object") == []


def test_all_missing_fields_are_named():
    with pytest.raises(ConfigError) as raised:
        build(Outer, {"flag": True}, "it")
    assert absent(raised.value, "it", "inner, ratio", "flag", "words") == ["flag", "words"]


def test_all_unknown_fields_are_named():
    with pytest.raises(ConfigError) as raised:
        build(Outer, {**GOOD, "b": 1, "a": 2}, "it")
    assert absent(raised.value, "it", "unknown", "a, b", "flag") == ["flag"]


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"flag": 1}, ["it.flag", "1", "bool"]),
        ({"flag": "true"}, ["it.flag", "'true'", "bool"]),
        ({"ratio": True}, ["it.ratio", "True", "float"]),
        ({"ratio": "0.5"}, ["it.ratio", "'0.5'", "float"]),
        ({"ratio": None}, ["it.ratio", "None", "float"]),
        ({"inner": 3}, ["it.inner", "int", "object"]),
        ({"inner": {"size": True}}, ["it.inner.size", "True", "int"]),
        ({"inner": {"size": 3.0}}, ["it.inner.size", "3.0", "int"]),
        ({"inner": {}}, ["it.inner", "size"]),
        ({"inner": {"size": 1, "colour": 2}}, ["it.inner", "unknown", "colour"]),
        ({"inner": {"size": -1}}, ["size", "-1", "not negative"]),
        ({"words": "ab"}, ["it.words", "'ab'", "list"]),
        ({"words": ["a", 1]}, ["it.words[1]", "1", "str"]),
        ({"inners": [{"size": 1}, {}]}, ["it.inners[1]", "size"]),
        ({"table": [1]}, ["it.table", "[1]", "object"]),
        ({"table": {"a": "b"}}, ["it.table.a", "'b'", "float"]),
    ],
)
def test_the_place_is_named(changes, values):
    with pytest.raises(ConfigError) as raised:
        build(Outer, {**GOOD, **changes}, "it")
    assert absent(raised.value, *values) == []


def test_a_whole_number_beyond_any_float():
    with pytest.raises(ConfigError) as raised:
        build(Outer, {**GOOD, "ratio": 10**400}, "it")
    assert absent(raised.value, "it.ratio", "float") == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite(bad):
    with pytest.raises(ConfigError) as raised:
        build(Outer, {**GOOD, "table": {"a": bad}}, "it")
    assert absent(raised.value, "it.table.a", str(bad), "finite") == []
