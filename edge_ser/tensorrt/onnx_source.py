"""ONNX file that an engine is built from, and the check of its precision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_ser._util.hashing import bytes_digest
from edge_ser._util.suffixes import ONNX_SUFFIX
from edge_ser.card import ModelCard
from edge_ser.errors import EngineError, ModelError
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.precision import KEY, Precision

_FP32 = Precision(
    kind="fp32", source_sha256="", method="", per_channel=False, calibration_digest="", excluded=()
)
"""Precision of a file without a record."""


@dataclass(frozen=True)
class Source:
    """ONNX file written by edge-ser."""

    path: Path
    data: bytes
    sha256: str
    card: ModelCard
    precision: Precision


def read_source(path: Path) -> Source:
    """Read a model file.

    Raises:
        ModelError: missing, unreadable, or without a valid ModelCard.
    """
    if not path.is_file():
        raise ModelError(f"there is no model {path}; give a file that `edge-ser export` wrote")
    runner = OnnxRunner(path)
    record = runner.metadata.get(KEY)
    precision = Precision.from_json(record) if record else _FP32
    data = path.read_bytes()
    return Source(path, data, bytes_digest(data), runner.card, precision)


def require_precision(source: Source, requested: str, calibration_digest: str | None) -> None:
    """Raise if the file is not of the requested precision.

    Args:
        source: the model file.
        requested: one of `precision.KINDS`.
        calibration_digest: digest of the calibration set that an INT8 file must have been
            quantised with; None for any.

    Raises:
        EngineError: another precision or another calibration set; gives the command that makes
            the right file.
    """
    kind = source.precision.kind
    stem = source.path.name.removesuffix(ONNX_SUFFIX)
    quantise = (
        f"edge-ser quantize {source.path} --calibration FOLDER {_flags(requested)} "
        f"--out {source.path.with_name(f'{stem}.{requested}.onnx')}"
    )
    if kind != requested and kind == "fp32":
        raise EngineError(
            f"{source.path}: expected an {requested} file for an {requested} engine, got fp32; first "
            f"run: {quantise}"
        )
    if kind != requested:
        raise EngineError(
            f"{source.path}: expected an {requested} file for an {requested} engine, got {kind}; use "
            f"{_flags(kind)}, or give the {requested} file"
        )
    if calibration_digest is not None and "int8" in requested:
        _require_set(source, calibration_digest, quantise)


def _flags(kind: str) -> str:
    return " ".join(f"--{part}" for part in kind.split("+"))


def _require_set(source: Source, expected: str, quantise: str) -> None:
    actual = source.precision.calibration_digest
    if expected != actual:
        raise EngineError(
            f"{source.path}: expected a calibration set of digest {expected[:12]}…, got {actual[:12]}…; "
            "leave --calibration out to build the file as it is, or quantize the FP32 file again: "
            f"{quantise}"
        )
