"""Cards: what is written is read back, and nothing foreign, damaged or contradictory is accepted."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import absent, make_card

from edge_ser.card import (
    DCT_NORMS,
    INPUTS,
    MEL_SCALES,
    WINDOWS,
    Accuracy,
    CorpusUse,
    FrontendConfig,
    ModelCard,
    Normalization,
)
from edge_ser.errors import ConfigError, ModelError


def full_card() -> ModelCard:
    """Return a card with every field filled."""
    return make_card(
        corpora=(
            CorpusUse("EMO-DB", 321, ("EMO-DB/03", "EMO-DB/08"), "free", "Burkhardt 2005"),
            CorpusUse("lab «é»", 0, (), "own", ""),
        ),
        accuracy=(
            Accuracy(
                protocol="speaker-independent",
                split="test",
                corpus="EMO-DB",
                speakers=("EMO-DB/09",),
                n_clips=43,
                wa=0.1 + 0.2,
                uar=1 / 3,
                recall={"low": 0.0, "high": 1.0},
            ),
        ),
        versions={"numpy": "2.0.0", "torch": "2.4.0"},
        temperature=1.25,
        abstain_below=0.4,
        taught_by=("a speaker encoder, 256 values a clip (Apache-2.0)",),
        arousal=True,
        usual_outputs=(0.5, -0.25, 0.125, -1.0),
        augmented_with=("ESC-10", "MicIRP"),
    )


def damaged(**changes: object) -> str:
    """Return the JSON of a full card with some top-level fields replaced."""
    return json.dumps({**json.loads(full_card().to_json()), **changes})


def nested(path: str, value: object) -> str:
    """Return the JSON of a full card with the value at `path` (dots and indices) replaced."""
    data = json.loads(full_card().to_json())
    *parents, last = (int(key) if key.isdecimal() else key for key in path.split("."))
    place = data
    for key in parents:
        place = place[key]
    place[last] = value
    return json.dumps(data)


# --- round trip --------------------------------------------------------------------------


def test_a_full_card_comes_back_equal():
    card = full_card()
    assert ModelCard.from_json(card.to_json()) == card


def test_json_is_one_line_with_sorted_keys_and_stable():
    text = full_card().to_json()
    assert "\n" not in text
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert ModelCard.from_json(text).to_json() == text


@st.composite
def frontends(draw):
    sample_rate = draw(st.integers(4_000, 96_000))
    edges = st.floats(0, sample_rate / 2)
    low, high = sorted(draw(st.tuples(edges, edges).filter(lambda pair: pair[0] != pair[1])))
    n_fft = draw(st.integers(1, 8_192))
    n_mels = draw(st.integers(1, 40))
    return FrontendConfig(
        sample_rate=sample_rate,
        n_fft=n_fft,
        win_length=draw(st.integers(1, n_fft)),
        hop_length=draw(st.integers(1, 4_096)),
        n_mels=n_mels,
        n_mfcc=draw(st.integers(1, n_mels)),
        fmin=low,
        fmax=high,
        window=draw(st.sampled_from(WINDOWS)),
        mel_scale=draw(st.sampled_from(MEL_SCALES)),
        dct_norm=draw(st.sampled_from(DCT_NORMS)),
        log_floor=draw(st.floats(1e-30, 1.0)),
        preemphasis=draw(st.floats(0, 1, exclude_max=True)),
        deltas=draw(st.integers(0, 2)),
        center=draw(st.booleans()),
    )


@settings(max_examples=50, deadline=None)
@given(frontend=frontends(), label=st.text(min_size=1), kind=st.sampled_from(INPUTS))
def test_any_card_comes_back_equal(frontend, label, kind):
    n = frontend.n_features
    card = make_card(
        frontend=frontend,
        normalization=Normalization((0.1,) * n, (1 / 3,) * n),
        labels=(label, label + "'"),
        input=kind,
        window_s=60.0,
        min_window_s=60.0,
    )
    assert ModelCard.from_json(card.to_json()) == card


def test_whole_numbers_are_taken_for_floats():
    """JSON written by another tool may say 1 for 1.0."""
    card = ModelCard.from_json(damaged(window_s=1))
    assert isinstance(card.window_s, float)
    assert card.window_s == 1.0


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("versions", {}),
        ("temperature", 1.0),
        ("abstain_below", 0.0),
        ("taught_by", ()),
        ("arousal", False),
        ("usual_outputs", ()),
        ("baseline_default", "none"),
        ("augmented_with", ()),
    ],
)
def test_fields_with_defaults_may_be_missing(name, default):
    """As in cards that were written before there was such a field."""
    card = full_card() if name != "arousal" else dataclasses.replace(full_card(), usual_outputs=())
    data = json.loads(card.to_json())
    del data[name]
    assert getattr(ModelCard.from_json(json.dumps(data)), name) == default


def test_a_card_may_ask_for_a_running_baseline():
    card = make_card(usual_outputs=(0.0, 1.0, 2.0), baseline_default="running")
    assert card.takes_baseline
    assert ModelCard.from_json(card.to_json()) == card


def test_cards_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        full_card().name = "other"


# --- foreign -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "not json", "{", '{"format": 1', "\ufeff{}"])
def test_not_json(text):
    with pytest.raises(ModelError) as raised:
        ModelCard.from_json(text)
    assert absent(raised.value, "ModelCard", "JSON", "export") == []


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"format": ' + "1" * 5_000 + "}"],
    ids=["too deep", "a number too long"],
)
def test_json_that_python_gives_up_on(text):
    with pytest.raises(ModelError) as raised:
        ModelCard.from_json(text)
    assert absent(raised.value, "ModelCard", "JSON", "export") == []


@pytest.mark.parametrize("text", ["[]", "[1, 2]", "null", "3", '"format"', "{}", '{"labels": []}'])
def test_json_of_something_else(text):
    with pytest.raises(ModelError, match="not an edge-ser ModelCard"):
        ModelCard.from_json(text)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_another_format(version):
    with pytest.raises(ModelError) as raised:
        ModelCard.from_json(damaged(format=version))
    assert f"has format {version!r}" in str(raised.value)
    assert "reads format 1" in str(raised.value)


# --- damaged -----------------------------------------------------------------------------

REQUIRED = [
    field.name
    for field in dataclasses.fields(ModelCard)
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_field_is_named(name):
    data = json.loads(full_card().to_json())
    del data[name]
    with pytest.raises(ModelError, match=rf"^ModelCard (?:[a-z]+ )+{name}; export "):
        ModelCard.from_json(json.dumps(data))


def test_unknown_fields_are_named():
    with pytest.raises(ModelError) as raised:
        ModelCard.from_json(damaged(shape=1, colour="red"))
    assert absent(raised.value, "ModelCard", "unknown", "colour, shape") == []


@pytest.mark.parametrize(
    ("path", "value", "values"),
    [
        ("name", 3, ["ModelCard.name", "3", "str"]),
        ("n_parameters", 1.5, ["ModelCard.n_parameters", "1.5", "int"]),
        ("n_parameters", True, ["ModelCard.n_parameters", "True", "int"]),
        ("seed", "0", ["ModelCard.seed", "'0'", "int"]),
        ("seed", None, ["ModelCard.seed", "None", "int"]),
        ("format", True, ["ModelCard.format", "True", "int"]),
        ("format", 1.0, ["ModelCard.format", "1.0", "int"]),
        ("window_s", True, ["ModelCard.window_s", "True", "float"]),
        ("window_s", "3", ["ModelCard.window_s", "'3'", "float"]),
        ("labels", "abc", ["ModelCard.labels", "'abc'", "list"]),
        ("labels.1", 7, ["ModelCard.labels[1]", "7", "str"]),
        ("versions", [], ["ModelCard.versions", "[]", "object"]),
        ("versions.torch", 2, ["ModelCard.versions.torch", "2", "str"]),
        ("temperature", "1", ["ModelCard.temperature", "'1'", "float"]),
        ("abstain_below", 1.0, ["abstain_below", "1.0", "[0, 1)"]),
        ("taught_by", "a teacher", ["ModelCard.taught_by", "'a teacher'", "list"]),
        ("taught_by", [3], ["ModelCard.taught_by[0]", "3", "str"]),
        ("frontend", [], ["ModelCard.frontend", "list", "object"]),
        ("frontend.center", 1, ["ModelCard.frontend.center", "1", "bool"]),
        ("frontend.hop_length", 160.5, ["ModelCard.frontend.hop_length", "160.5", "int"]),
        ("frontend.top_db", 80, ["ModelCard.frontend", "unknown", "top_db"]),
        ("frontend.hop_length", 0, ["hop_length", "0"]),
        ("frontend.window", "kaiser", ["window", "'kaiser'", "hann"]),
        ("normalization", {"mean": []}, ["ModelCard.normalization", "std"]),
        ("normalization.mean.2", None, ["ModelCard.normalization.mean[2]", "None", "float"]),
        ("corpora.0.n_clips", 1.5, ["ModelCard.corpora[0].n_clips", "1.5", "int"]),
        ("corpora.1", {}, ["ModelCard.corpora[1]", "citation, licence, n_clips, name, speakers"]),
        ("accuracy.0.wa", 1.5, ["wa", "1.5", "[0, 1]"]),
        ("accuracy.0.uar", -0.5, ["uar", "-0.5", "[0, 1]"]),
        ("accuracy.0.recall.low", "0", ["ModelCard.accuracy[0].recall.low", "'0'", "float"]),
    ],
)
def test_a_damaged_value_is_named(path, value, values):
    with pytest.raises(ModelError) as raised:
        ModelCard.from_json(nested(path, value))
    assert absent(raised.value, *values) == []
    assert "export" in str(raised.value).rpartition("; ")[2]


# --- contradictions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"format": 2}, "format"),
        ({"labels": ()}, "labels"),
        ({"labels": ("only",)}, "labels"),
        ({"labels": ("a", "b", "a")}, "labels"),
        ({"input": "spectrogram"}, "input"),
        ({"normalization": Normalization((0.0,) * 12, (1.0,) * 12)}, "normalization"),
        ({"frontend": FrontendConfig(n_mfcc=13, deltas=1)}, "normalization"),
        ({"min_window_s": 1.5}, "min_window_s"),
        ({"min_window_s": 0.0}, "min_window_s"),
        ({"window_s": 0.1}, "min_window_s"),
        ({"window_s": float("nan")}, "(min_)?window_s"),
        ({"hop_s": 0.0}, "hop_s"),
        ({"hop_s": float("nan")}, "hop_s"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"abstain_below": -0.1}, "abstain_below"),
        ({"abstain_below": 1.0}, "abstain_below"),
        ({"abstain_below": float("nan")}, "abstain_below"),
        ({"taught_by": ("",)}, "taught_by"),
        ({"baseline_default": "enrolled", "usual_outputs": (0.0,) * 3}, "baseline_default"),
        ({"baseline_default": "running"}, "baseline_default"),
        ({"usual_outputs": (0.0,) * 2}, "usual_outputs"),
        ({"usual_outputs": (0.0,) * 3, "arousal": True}, "usual_outputs"),
        ({"usual_outputs": (0.0, 0.0, float("nan"))}, "usual_outputs"),
        ({"arousal": "yes"}, "arousal"),
        ({"augmented_with": ("",)}, "augmented_with"),
    ],
)
def test_contradictions_name_the_field(changes, name):
    with pytest.raises(ConfigError, match=rf"^{name}\b"):
        make_card(**changes)


@pytest.mark.parametrize("name", ["window_s", "hop_s"])
def test_endless_times_are_refused(name):
    """`to_json` could not write them, and json.loads reads Infinity without a word."""
    with pytest.raises(ConfigError, match=rf"\b{name}\b.*\binf\b"):
        make_card(**{name: float("inf")})


def test_audio_too_short_for_a_single_frame_is_not_enough_to_classify():
    """0.02 s are 320 samples, a frame has 512: the network would get no frame at all."""
    with pytest.raises(ConfigError, match=r"\bmin_window_s\b.*\b0\.02\b"):
        make_card(min_window_s=0.02)


@pytest.mark.parametrize(
    ("mean", "std", "name"),
    [
        ((0.0, 1.0), (1.0,), "std"),
        ((0.0,), (0.0,), "normalization"),
        ((0.0,), (-1.0,), "normalization"),
        ((float("nan"),), (1.0,), "normalization"),
        ((0.0,), (float("inf"),), "normalization"),
        ((), (), "normalization"),
    ],
)
def test_normalization_that_cannot_be_applied(mean, std, name):
    with pytest.raises(ConfigError, match=rf"^{name}\b"):
        Normalization(mean, std)


def test_an_empty_normalization_in_json():
    with pytest.raises(ModelError, match="normalization"):
        ModelCard.from_json(damaged(normalization={"mean": [], "std": []}))


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("n_frames", [1, 2, 97])
def test_the_fewest_samples_of_so_many_frames(center, n_frames):
    frontend = FrontendConfig(center=center)
    n_samples = frontend.n_samples(n_frames)
    assert frontend.n_frames(n_samples) == n_frames
    assert frontend.n_frames(n_samples - 1) < n_frames


# --- refused front ends -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "valid"),
    [
        *((name, 0, "above 0") for name in ("sample_rate", "n_fft", "win_length")),
        *((name, -1, "above 0") for name in ("hop_length", "n_mels", "n_mfcc")),
        ("sample_rate", 16_000.0, "above 0"),
        ("hop_length", True, "above 0"),
        ("win_length", 513, "n_fft"),
        ("n_mfcc", 65, "n_mels"),
        ("window", "kaiser", "hann, hamming, blackman, boxcar"),
        ("mel_scale", "bark", "slaney, htk"),
        ("dct_norm", "slaney", "ortho, none"),
        ("log_floor", 0.0, "above 0"),
        ("log_floor", float("nan"), "above 0"),
        ("log_floor", float("inf"), "above 0"),
        ("preemphasis", 1.0, "[0, 1)"),
        ("preemphasis", -0.1, "[0, 1)"),
        ("preemphasis", float("nan"), "[0, 1)"),
        ("deltas", 3, "0, 1 or 2"),
        ("deltas", -1, "0, 1 or 2"),
    ],
)
def test_invalid_field(field, value, valid):
    with pytest.raises(ConfigError) as raised:
        FrontendConfig(**{field: value})
    assert absent(raised.value, field, repr(value), valid) == []


@pytest.mark.parametrize(
    "changes",
    [{"fmin": -1.0}, {"fmin": 7_600.0}, {"fmax": 8_000.1}, {"fmax": float("nan")}],
)
def test_invalid_frequencies(changes):
    with pytest.raises(ConfigError) as raised:
        FrontendConfig(**changes)
    assert "fmin, fmax" in str(raised.value)
    assert str(*changes.values()) in str(raised.value)
    assert "0 <= fmin < fmax <= 8000 Hz" in str(raised.value)


@pytest.mark.parametrize("changes", [{"deltas": 1.0}, {"deltas": True}, {"center": 1}])
def test_types_that_json_would_not_give_back_are_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        FrontendConfig(**changes)


def test_a_log_floor_that_is_zero_in_single_precision_is_refused():
    """Silence would become minus infinity, and NaN after the DCT."""
    with pytest.raises(ConfigError, match="log_floor is 1e-60"):
        FrontendConfig(log_floor=1e-60)
