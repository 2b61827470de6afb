"""Precision record of a quantised or half-precision model file, as JSON in its metadata."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_ser._util.records import build, require
from edge_ser.errors import ConfigError, ModelError

KEY = "edge_ser.precision"
FORMAT = 1
KINDS = ("fp32", "fp16", "int8", "int8+fp16")
METHODS = ("", "entropy", "percentile", "minmax", "mse")


@dataclass(frozen=True)
class Precision:
    """Record of the conversion of an FP32 model file. A file without the key is FP32.

    Raises:
        ConfigError: a kind, method or format that is not known.
    """

    kind: str
    """One of KINDS."""
    source_sha256: str
    """Digest of the FP32 ONNX file."""
    method: str
    """Method of the ranges, one of METHODS; empty without quantisation."""
    per_channel: bool
    """Whether each output channel of the weights has a scale of its own."""
    calibration_digest: str
    """Digest of the calibration set; empty without one."""
    excluded: tuple[str, ...]
    """Nodes that stay in float."""
    gate: Mapping[str, float] = field(default_factory=dict)
    """Figures of the accuracy gate, such as `uar_fp32`, `uar`, `agreement`."""
    format: int = FORMAT

    def __post_init__(self) -> None:
        require(self.format == FORMAT, "format", self.format, str(FORMAT))
        require(self.kind in KINDS, "kind", self.kind, "one of " + ", ".join(KINDS))
        known = self.method in METHODS
        require(known, "method", self.method, "empty or one of " + ", ".join(METHODS[1:]))

    def to_json(self) -> str:
        """Return the record as one line of JSON, keys sorted."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Precision:
        """Read a record written by `to_json`.

        Raises:
            ModelError: not JSON, or fields missing, unknown or of another format.
        """
        try:
            return build(cls, json.loads(text), "the precision record")
        except (ValueError, RecursionError) as error:
            raise ModelError(
                f"the precision record is not JSON ({error}); quantise the model again"
            ) from None
        except ConfigError as error:
            raise ModelError(f"{error}; quantise the model again") from None
