"""Write the JSON Schema of events, and their page, from the dataclasses in recognition/events.py.

`make event-schema` runs it; a test fails while what it writes is stale.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import types
import typing
from pathlib import Path
from typing import Any

from edge_ser.recognition import events

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "edge_ser" / "assets" / "events.schema.json"
PAGE = ROOT / "docs" / "events.md"

_JSON_TYPES = {str: "string", float: "number", int: "integer", bool: "boolean"}

_INTRODUCTION = """# Events

`edge-ser run --format jsonl` writes one event per line; `Recognizer.listen` yields them as frozen
dataclasses of `edge_ser.recognition.events`. This page and the JSON Schema in
`edge_ser/assets/events.schema.json` are written by `make event-schema` from those classes. The
version (`v`) changes when a field is removed or changes its meaning. New kinds of events and new
fields may be added within a version, so ignore unknown ones.

Events are in the order of their decision (`seq`). `at_s` may step back, because the start of speech
is known slightly later, and its end after a pause. A consumer that acts uses `emotion` (immediate)
or `speech_end` (summary), and watches `heartbeat`: without one for three intervals, the program
hangs or has ended.

"""


def descriptions(kind: type) -> dict[str, str]:
    """Return the string under each field of a class."""
    node = next(
        n for n in ast.walk(ast.parse(inspect.getsource(kind))) if isinstance(n, ast.ClassDef)
    )
    found, name = {}, ""
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = item.target.id
        elif isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) and name:
            found[name] = " ".join(str(item.value.value).split())
            name = ""
    return found


def type_of(hint: Any) -> dict[str, Any]:
    """Return the JSON Schema of a field's type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        (some,) = [kind for kind in arguments if kind is not type(None)]
        return {"type": [type_of(some)["type"], "null"]}
    if origin is tuple:
        return {"type": "array", "items": type_of(arguments[0])}
    if origin is not None:
        return {"type": "object", "additionalProperties": type_of(arguments[1])}
    return {"type": _JSON_TYPES[hint]}


def summary(kind: type) -> str:
    """Return the docstring of a class on one line."""
    return " ".join((kind.__doc__ or "").split())


def properties(kind: type) -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each field of an event."""
    texts = descriptions(events.Event) | descriptions(kind)
    hints = typing.get_type_hints(kind)
    return {
        field.name: type_of(hints[field.name])
        | ({"description": texts[field.name]} if field.name in texts else {})
        for field in dataclasses.fields(kind)
    }


def required(kind: type) -> list[str]:
    """Return the fields of an event that every line of this version has.

    Fields with a default were added within the version: lines of an older edge-ser lack them.
    """
    return [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]


def schema() -> dict[str, Any]:
    """Return the schema of a line."""
    kinds = {}
    for name, kind in events.KINDS.items():
        fields = properties(kind)
        kinds[name] = {
            "description": summary(kind),
            "type": "object",
            "properties": {
                "v": {"const": events.EVENTS_VERSION},
                "event": {"const": name},
                **fields,
            },
            "required": ["v", "event", *required(kind)],
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"An event of edge-ser, version {events.EVENTS_VERSION}",
        "description": summary(events),
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in kinds],
        "$defs": kinds,
    }


def page() -> str:
    """Return the page about events."""
    common = properties(events.Event)
    parts = [_INTRODUCTION, "All events have `v` (1), `event`, and:\n\n", _table(common)]
    for name, kind in events.KINDS.items():
        own = {k: v for k, v in properties(kind).items() if k not in common}
        parts += [f"\n## {name}\n\n{summary(kind)}\n\n", _table(own)]
    return "".join(parts)


def _table(fields: dict[str, dict[str, Any]]) -> str:
    rows = ["| field | type | meaning |\n|---|---|---|\n"]
    for name, field in fields.items():
        kind = field["type"]
        kind = " or ".join(kind) if isinstance(kind, list) else kind
        rows.append(f"| `{name}` | {kind} | {field.get('description', '')} |\n")
    return "".join(rows)


def main() -> None:
    """Write both."""
    SCHEMA.write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
