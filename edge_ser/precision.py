"""What a quantised or half-precision model file says of how it was made, as JSON in its metadata."""

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
    """How a model file was made from its FP32 form. A file without the key is FP32 itself.

    Raises:
        ConfigError: a kind, method or format that is not known.
    """

    kind: str
    """One of KINDS."""
    source_sha256: str
    """Of the FP32 ONNX file."""
    method: str
    """One of METHODS: how ranges were chosen; empty where nothing was quantised."""
    per_channel: bool
    """Whether each output channel of the weights has a scale of its own."""
    calibration_digest: str
    """Of the calibration set; empty where none was needed."""
    excluded: tuple[str, ...]
    """Nodes that were kept in float."""
    gate: Mapping[str, float] = field(default_factory=dict)
    """Figures by which the file was let through, such as `uar_fp32`, `uar`, `agreement`."""
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
