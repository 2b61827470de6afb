"""The precision record travels whole, and what does not belong to it is refused."""

from __future__ import annotations

import json
import re

import pytest
from support import absent

from edge_ser.errors import ModelError
from edge_ser.precision import Precision

RECORD = Precision(
    kind="int8",
    source_sha256="ab" * 32,
    method="entropy",
    per_channel=True,
    calibration_digest="cd" * 32,
    excluded=("/pool/Softmax",),
    gate={"uar_fp32": 0.713, "uar": 0.709, "agreement": 0.98},
)


def test_it_comes_back_from_json():
    assert Precision.from_json(RECORD.to_json()) == RECORD


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"kind": "int4"}, ["kind", "'int4'", "fp32, fp16, int8"]),
        ({"method": "guess"}, ["method", "'guess'"]),
        ({"format": 2}, ["format", "2"]),
        ({"per_channel": "yes"}, ["record.per_channel", "'yes'", "bool"]),
        ({"extra": 1}, ["unknown", "extra"]),
    ],
)
def test_what_does_not_fit_is_refused(changes, values):
    with pytest.raises(ModelError) as raised:
        Precision.from_json(json.dumps({**json.loads(RECORD.to_json()), **changes}))
    assert absent(raised.value, *values) == []
    assert re.search("quanti[sz]e", str(raised.value).rpartition("; ")[2])


def test_no_json():
    with pytest.raises(ModelError, match="not JSON"):
        Precision.from_json("int8")
