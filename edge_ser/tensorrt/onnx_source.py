"""The ONNX file that an engine is built from: it has to be of the asked precision already."""

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
"""Of a file that has no record."""


@dataclass(frozen=True)
class Source:
    """An ONNX file of edge-ser's."""

    path: Path
    data: bytes
    sha256: str
    card: ModelCard
    precision: Precision


def read_source(path: Path) -> Source:
    """Read a model file.

    Raises:
        ModelError: missing, unreadable, or without a ModelCard that fits.
    """
    if not path.is_file():
        raise ModelError(f"there is no model {path}; give a file that `edge-ser export` wrote")
    runner = OnnxRunner(path)
    record = runner.metadata.get(KEY)
    precision = Precision.from_json(record) if record else _FP32
    data = path.read_bytes()
    return Source(path, data, bytes_digest(data), runner.card, precision)


def require_precision(source: Source, asked: str, calibration_digest: str | None) -> None:
    """Refuse to build something else than was asked for.

    Args:
        source: the model file.
        asked: one of `precision.KINDS`.
        calibration_digest: digest of the calibration set with which an INT8 file must have been
            made; None for any.

    Raises:
        EngineError: the file is of another precision, or was calibrated otherwise; names the command
            that makes the file that is wanted.
    """
    kind = source.precision.kind
    stem = source.path.name.removesuffix(ONNX_SUFFIX)
    quantise = (
        f"edge-ser quantize {source.path} --calibration FOLDER {_flags(asked)} "
        f"--out {source.path.with_name(f'{stem}.{asked}.onnx')}"
    )
    if kind != asked and kind == "fp32":
        raise EngineError(
            f"{source.path} is fp32, an engine of {asked} was asked for; precision lives in the "
            f"file, so first run: {quantise}"
        )
    if kind != asked:
        raise EngineError(
            f"{source.path} is {kind}, an engine of {asked} was asked for; ask for {_flags(kind)}, or "
            f"give the {asked} file"
        )
    if calibration_digest is not None and "int8" in asked:
        _require_set(source, calibration_digest, quantise)


def _flags(kind: str) -> str:
    return " ".join(f"--{part}" for part in kind.split("+"))


def _require_set(source: Source, expected: str, quantise: str) -> None:
    used = source.precision.calibration_digest
    if expected != used:
        raise EngineError(
            f"{source.path}: expected a calibration set of digest {expected[:12]}…, got {used[:12]}…; "
            "leave --calibration out to build the file as it is, or quantize the FP32 file again: "
            f"{quantise}"
        )
