"""docs/profile.md names every field of the record, and every stage."""

from __future__ import annotations

import dataclasses
import typing

import pytest
from support import ROOT

from edge_ser.machine.facts import MachineFacts
from edge_ser.machine.thermal import Thermal
from edge_ser.profiling.report import Profile
from edge_ser.profiling.stages import STAGES

TEXT = (ROOT / "docs" / "profile.md").read_text(encoding="utf-8")


def fields(kind: type) -> set[str]:
    """Return the names of a record's fields and of all records in it, the machine's left out."""
    names = set()
    for name, hint in typing.get_type_hints(kind).items():
        names.add(name)
        for part in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(part) and part not in {MachineFacts, Thermal}:
                names |= fields(part)
    return names


@pytest.mark.parametrize("name", sorted(fields(Profile)))
def test_every_field_is_described(name):
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_described(name):
    assert name in TEXT
