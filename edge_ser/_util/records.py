"""Frozen dataclasses from parsed JSON, with type checks that name the invalid field."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any, TypeVar

from edge_ser.errors import ConfigError

T = TypeVar("T")


def build(kind: type[T], data: Any, where: str) -> T:
    """Make the dataclass `kind` from parsed JSON.

    Args:
        kind: a dataclass of str, int, float, bool, tuples, string-keyed mappings, dataclasses, and any
            of these or None.
        data: what `json.loads` returned.
        where: name of the object in errors.

    Raises:
        ConfigError: fields missing, unknown or of another type, or values that `kind` rejects.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{where} is {type(data).__name__}, expected an object")
    hints = typing.get_type_hints(kind)
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    required = {
        name
        for name, f in known.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - data.keys()):
        raise ConfigError(f"{where} lacks {', '.join(missing)}")
    if unknown := sorted(data.keys() - known.keys()):
        raise ConfigError(f"{where} has unknown fields {', '.join(unknown)}")
    return kind(**{k: _convert(hints[k], v, f"{where}.{k}") for k, v in data.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Check a parsed JSON value against a field's type and return it in that type."""
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    origin = typing.get_origin(hint)
    if origin in {types.UnionType, typing.Union}:
        # The only union in use: a type or null.
        rest = next(kind for kind in typing.get_args(hint) if kind is not type(None))
        return None if value is None else _convert(rest, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where} is {value!r}, expected a list")
        item = typing.get_args(hint)[0]
        return tuple(_convert(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is not None:
        if not isinstance(value, dict):
            raise ConfigError(f"{where} is {value!r}, expected an object")
        item = typing.get_args(hint)[1]
        return {str(k): _convert(item, v, f"{where}.{k}") for k, v in value.items()}
    if hint is float:
        return _number(value, where)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{where} is {value!r}, expected {hint.__name__}")
    return value


def _number(value: Any, where: str) -> float:
    """Return a finite number; Python's JSON parser also accepts NaN and infinity."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{where} is {value!r}, expected float")
    try:
        number = float(value)
    except OverflowError:
        raise ConfigError(f"{where} is beyond all range, expected float") from None
    if not math.isfinite(number):
        raise ConfigError(f"{where} is {number}, expected a finite number")
    return number


def require(holds: bool, name: str, value: object, expected: str) -> None:
    """Raise a ConfigError with the given value and the expected one, unless `holds`."""
    if not holds:
        raise ConfigError(f"{name} is {value!r}, expected {expected}")
