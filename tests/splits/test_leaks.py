"""The leak detector finds each kind of overlap, counts it, and refuses what is not declared."""

from __future__ import annotations

import dataclasses
import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser._util.records import build
from edge_ser.corpora import Clip, PaperAugmentation, load_corpora, load_corpus
from edge_ser.errors import CorpusError, LeakError, TrainingError
from edge_ser.splits import (
    PROTOCOLS,
    Fold,
    LeakReport,
    Shared,
    SplitConfig,
    find_leaks,
    make_folds,
    refuse_leaks,
)

STRICT, GROUPED = "speaker-independent", "clip-grouped"


@pytest.fixture
def clip(tmp_path):
    """Make a clip whose file holds `content`."""

    def make(name: str, content: str | None = None, speaker: str = "", group: str = "") -> Clip:
        path = tmp_path / name
        path.write_text(name if content is None else content)
        return Clip(
            path, "own", f"own/{speaker or name}", "sad", "sad", None, f"own/{group or name}", None
        )

    return make


def fold_of(train, test, validation=(), protocol=STRICT) -> Fold:
    return Fold(protocol, "1", tuple(train), tuple(validation), tuple(test))


def found(fold: Fold) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Return (kind, seen, held) → (things, rows)."""
    return {(o.kind, o.seen, o.held): (o.n, o.n_rows) for o in find_leaks(fold).found}


# --- each kind ---------------------------------------------------------------------------


def test_nothing_is_shared(clip):
    report = refuse_leaks(fold_of([clip("a")], [clip("b")], [clip("c")]))

    assert report.found == ()
    assert "%" not in report.summary
    assert PROTOCOLS[STRICT].declares not in report.summary
    assert {(o.kind, o.seen, o.held) for o in report.overlaps} == {
        (kind.value, seen, held)
        for kind in Shared
        for seen, held in (
            ("training", "validation"),
            ("training", "test"),
            ("validation", "test"),
        )
    }


def test_a_speaker_on_both_sides(clip):
    test = [clip("b", speaker="ann"), clip("c", speaker="ann"), clip("d")]

    fold = fold_of([clip("a", speaker="ann")], test)

    assert found(fold) == {("speakers", "training", "test"): (1, 2)}
    (overlap,) = find_leaks(fold).found
    assert overlap.share == 2 / 3
    assert overlap.examples == ("own/ann",)


def test_the_same_row_on_both_sides(clip):
    one = clip("a")

    assert found(fold_of([one], [one, clip("b")])) == {
        ("speakers", "training", "test"): (1, 1),
        ("clips", "training", "test"): (1, 1),
    }


def test_another_file_of_the_same_group(clip):
    fold = fold_of([clip("a", "same", group="g")], [clip("b", "same", group="g")])

    assert found(fold) == {("clips", "training", "test"): (1, 1)}


def test_another_copy_of_a_recording(clip):
    one = clip("a")
    copies = [
        dataclasses.replace(one, copy=copy)
        for copy in (PaperAugmentation.NOISE, PaperAugmentation.PITCH)
    ]

    fold = fold_of([one], copies)

    assert found(fold) == {
        ("speakers", "training", "test"): (1, 2),
        ("copies", "training", "test"): (1, 2),
    }
    assert find_leaks(fold).found[1].examples == ("own/a (noise)",)


def test_a_row_may_have_itself_and_a_copy_on_the_other_side(clip):
    one = clip("a")
    noisy = dataclasses.replace(one, copy=PaperAugmentation.NOISE)

    kinds = {kind for kind, *_ in found(fold_of([one, noisy], [noisy]))}

    assert kinds == {"speakers", "clips", "copies"}


def test_the_same_audio_under_another_name(clip):
    fold = fold_of([clip("a", "same")], [clip("b", "same"), clip("c", "none")])

    assert found(fold) == {("audio", "training", "test"): (1, 1)}
    assert find_leaks(fold).found[0].examples == ("own/b = own/a",)


def test_files_of_one_size_are_not_the_same(clip):
    assert found(fold_of([clip("a", "1234")], [clip("b", "4321")])) == {}


def test_a_file_that_changed_is_read_again(clip):
    fold = fold_of([clip("a", "same")], [clip("b", "same")])
    assert found(fold)

    fold.test[0].path.write_text("other")

    assert not found(fold)


def test_empty_files_hold_no_audio(clip):
    assert found(fold_of([clip("a", "")], [clip("b", "")])) == {}


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ("train validation", ("training", "validation")),
        ("train test", ("training", "test")),
        ("validation test", ("validation", "test")),
    ],
)
def test_every_two_parts_are_compared(clip, parts, where):
    fold = fold_of([clip("a")], [clip("b")], [clip("c")])
    doubled = clip("d", speaker="ann"), clip("e", speaker="ann")
    changes = {
        part: (*getattr(fold, part), more)
        for part, more in zip(parts.split(), doubled, strict=True)
    }

    assert found(dataclasses.replace(fold, **changes)) == {("speakers", *where): (1, 1)}


# --- refused or declared -----------------------------------------------------------------


def test_a_shared_speaker_is_refused_where_it_is_not_declared(clip):
    train, test = [clip("a", speaker="ann")], [clip("b", speaker="ann")]

    with pytest.raises(LeakError) as raised:
        refuse_leaks(fold_of(train, test))
    for value in ("1 test rows (100.0%)", "training", STRICT, "(own/ann)"):
        assert value in str(raised.value)
    assert isinstance(raised.value, TrainingError)
    report = refuse_leaks(fold_of(train, test, protocol=GROUPED))
    assert "1 test rows (100.0%)" in report.summary
    assert report.summary.endswith(PROTOCOLS[GROUPED].declares)


@pytest.mark.parametrize("protocol", ["speaker-independent", "emobox", "cross-corpus", GROUPED])
def test_copies_are_refused_wherever_they_are_not_declared(clip, protocol):
    one = clip("a", speaker="ann")
    other = dataclasses.replace(one, copy=PaperAugmentation.PITCH, speaker="own/bob")

    with pytest.raises(LeakError, match=r"another copy .* \(own/a \(pitch\)\); make copies"):
        refuse_leaks(fold_of([one], [other], protocol=protocol))
    assert refuse_leaks(fold_of([one], [other], protocol="paper")).found


@pytest.mark.parametrize("protocol", ["speaker-independent", GROUPED, "paper"])
def test_one_recording_under_two_names_is_refused_everywhere(clip, protocol):
    train = [clip(f"a{n}", f"{n}") for n in range(9)]
    test = [clip(f"b{n}", f"{n}") for n in range(9)]

    with pytest.raises(LeakError) as raised:
        refuse_leaks(fold_of(train, test, protocol=protocol))
    assert "(own/b0 = own/a0, own/b1 = own/a1, own/b2 = own/a2, …)" in str(raised.value)
    assert "9 test rows (100.0%)" in str(raised.value)
    assert f" {protocol} " in str(raised.value)


def test_one_recording_under_two_speakers_is_refused(clip):
    one, other = clip("a", "same", group="g"), clip("b", "same", group="g")

    (fold,) = make_folds(
        [one, other, clip("c")], SplitConfig(test_speakers="b", validation_speakers="a")
    )

    with pytest.raises(LeakError, match=r"1 test rows .*\bvalidation\b.*\(own/b\)"):
        refuse_leaks(fold)


def test_a_file_that_is_gone_is_named(clip):
    fold = fold_of([clip("a")], [clip("b")])
    fold.test[0].path.unlink()

    with pytest.raises(CorpusError, match=re.escape(f"{fold.test[0].path} ")):
        find_leaks(fold)


# --- properties --------------------------------------------------------------------------


@settings(deadline=None)
@given(st.data())
def test_counts_are_those_of_a_plain_comparison(tmp_path_factory, data):
    """Against every pair of rows, compared one by one."""
    root = tmp_path_factory.mktemp("clips")
    few = st.integers(0, 4)

    def draw(label: str) -> Clip:
        name, content, speaker, group = (data.draw(few, label) for _ in range(4))
        path = root / f"{name}-{content}"
        path.write_text(str(content))
        copy = data.draw(st.sampled_from(PaperAugmentation))
        return Clip(path, "own", f"{speaker}", "sad", "sad", None, f"{group}", None, copy)

    train = [draw("train") for _ in range(data.draw(st.integers(1, 6)))]
    test = [draw("test") for _ in range(data.draw(st.integers(1, 6)))]

    def shares(kind: str, one: Clip, other: Clip) -> bool:
        file = one.path == other.path
        return {
            "speakers": one.speaker == other.speaker,
            "clips": (file and one.copy == other.copy) or (not file and one.group == other.group),
            "copies": file and one.copy != other.copy,
            "audio": not file
            and one.group != other.group
            and one.path.read_bytes() == other.path.read_bytes(),
        }[kind]

    for overlap in find_leaks(fold_of(train, test)).overlaps:
        rows = [row for row in test if any(shares(overlap.kind, other, row) for other in train)]
        assert overlap.n_rows == len(rows)
        assert overlap.share == len(rows) / len(test)
        things = {row.speaker if overlap.kind == "speakers" else row.path for row in rows}
        assert overlap.n == len(things)
        assert len(overlap.examples) == min(3, overlap.n)


def test_a_report_survives_json(clip):
    report = refuse_leaks(
        fold_of([clip("a", speaker="ann")], [clip("b", speaker="ann")], protocol=GROUPED)
    )

    text = json.dumps(dataclasses.asdict(report))

    assert build(LeakReport, json.loads(text), "leaks") == report
    assert "/tmp" not in text  # noqa: S108 (no place of this machine in a result)


# --- real corpora ------------------------------------------------------------------------


def test_ravdess_holds_one_recording_twice(corpora_dir, tmp_path):
    """The two names are one group, which no honest split tears apart, and the paper's does."""
    clips = load_corpus(f"RAVDESS={corpora_dir / 'RAVDESS'}")

    for fold in make_folds(clips, SplitConfig("clip-grouped")):
        assert {o.kind for o in refuse_leaks(fold).found} == {"speakers"}
    (fold,) = make_folds(clips, SplitConfig("paper"))
    (shared,) = (o for o in refuse_leaks(fold).found if o.kind == "clips")
    assert set(shared.examples) <= {
        "RAVDESS/03-01-03-01-02-01-07.flac",
        "RAVDESS/03-01-03-01-02-02-07.flac",
    }


def test_recordings_listed_in_two_corpora_are_found(corpora_dir, tmp_path):
    """RAVDESS beside own recordings that are clips of it, under other names."""
    for speaker in ("ann", "bob", "eve"):
        (tmp_path / "sad" / speaker).mkdir(parents=True)
    source = corpora_dir / "RAVDESS/Actor_07/03-01-04-01-02-01-07.flac"
    (tmp_path / "sad/bob/mine.flac").write_bytes(source.read_bytes())
    for speaker in ("ann", "eve"):
        (tmp_path / f"sad/{speaker}/1.flac").write_text(speaker)
    clips = load_corpora([f"RAVDESS={corpora_dir / 'RAVDESS'}", f"folder:own={tmp_path}"])

    (fold,) = make_folds(clips, SplitConfig(test_speakers="own/bob", validation_speakers="1"))

    with pytest.raises(LeakError, match=r"own/mine.flac = RAVDESS/03-01-04-01-02-01-07.flac"):
        refuse_leaks(fold)


def test_thousands_of_files_take_seconds(corpora_dir):
    clips = load_corpus(f"TESS={corpora_dir / 'TESS'}")
    (fold,) = make_folds(clips, SplitConfig("paper"))

    before = time.monotonic()
    refuse_leaks(fold)

    assert time.monotonic() - before < 30
