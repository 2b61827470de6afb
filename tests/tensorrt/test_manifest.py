"""The engine's manifest: whole through JSON, and any edit shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import absent, make_manifest

from edge_ser.errors import ConfigError, EngineError
from edge_ser.tensorrt.manifest import (
    BuiltBy,
    EngineConfig,
    EngineManifest,
    ProfileShapes,
    manifest_path,
)


def test_json_keeps_everything():
    manifest = make_manifest(layers={"conv": "int8"})

    assert EngineManifest.from_json(manifest.to_json()) == manifest


def leaves(data, path=()):
    """Yield the path of every value in parsed JSON."""
    inner = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in inner:
        if isinstance(value, (dict, list)) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


@given(st.data())
def test_any_edit_shows(data):
    parsed = json.loads(make_manifest().to_json())
    *way, last = data.draw(st.sampled_from(sorted(leaves(parsed), key=str)))
    place = parsed
    for key in way:
        place = place[key]
    edited = data.draw(st.one_of(st.integers(), st.text(max_size=5), st.booleans(), st.none()))
    changed = json.dumps(edited) != json.dumps(place[last])
    place[last] = edited
    if not changed:
        return

    with pytest.raises(EngineError, match=r"\bedited\b.*\bSHA-256\b"):
        EngineManifest.from_json(json.dumps(parsed))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000, '{"format": 1}'])
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(EngineError, match=r"\bmanifest\b.*\b(JSON|digest)\b"):
        EngineManifest.from_json(text)


def test_a_manifest_of_another_format_is_refused():
    other = make_manifest()
    object.__setattr__(other, "format", 2)

    with pytest.raises(EngineError, match=r"\bformat\b(?=.*\b2\b).*\b1\b"):
        EngineManifest.from_json(other.to_json())


def test_what_was_asked_is_what_the_file_is():
    with pytest.raises(ConfigError) as raised:
        make_manifest(options=EngineConfig("fp16"))
    assert absent(raised.value, "precision", "'int8'", "fp16") == []


@pytest.mark.parametrize(
    "shapes",
    [((1, 2), (1, 1), (1, 3)), ((1,), (1, 1), (1, 1)), ((0, 1), (1, 1), (1, 1)), ((), (), ())],
)
def test_shapes_ascend(shapes):
    with pytest.raises(ConfigError, match="minimum <= optimum <= maximum"):
        ProfileShapes("features", *shapes)


def test_the_command_that_builds_it_again():
    engine = Path("/data/out/m.engine")
    assert make_manifest().rebuild(engine) == (
        "edge-ser build-engine /data/out/../m.int8.onnx --int8 --tensorrt tensorrt "
        "--out /data/out/m.engine"
    )
    options = EngineConfig(
        "int8",
        batch=(1, 2, 4),
        window_s=(0.5, 1.0, 2.0),
        workspace_mib=64,
        dla_core=0,
        gpu_fallback=True,
        version_compatible=True,
    )
    rtx = BuiltBy("tensorrt_rtx", "1.7.1", "", ("8.6", "8.9"), "x86_64")
    assert (
        make_manifest(options=options, built_by=rtx)
        .rebuild(engine, "12.0")
        .endswith(
            "--tensorrt tensorrt_rtx --compute-capability 8.6 --compute-capability 8.9 "
            "--compute-capability 12.0 --batch 1 2 4 --window 0.5 1.0 2.0 --workspace 64 --dla 0 "
            "--allow-gpu-fallback --version-compatible --out /data/out/m.engine"
        )
    )
    assert manifest_path(engine) == Path("/data/out/m.engine.json")
