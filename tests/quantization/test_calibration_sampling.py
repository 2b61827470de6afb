"""Speakers that may calibrate a model, and the balance of the selection."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import clips_of, make_card

from edge_ser.card import Accuracy, CorpusUse
from edge_ser.corpora import load_corpora
from edge_ser.errors import AudioError, CalibrationError
from edge_ser.inference.loader import open_runner
from edge_ser.quantization.calibration_sampling import (
    Refused,
    WindowPool,
    balanced,
    cautions,
    choose,
    eligible,
    scan,
    site_clips,
    thirds,
)
from edge_ser.quantization.calibration_set import CalibrationSet, default_calibration

LABELS = ("low", "middle", "high")
JUDGED = make_card(
    labels=("sad", "happy"),
    corpora=(CorpusUse("A", 2, ("A/1", "A/2"), "own", ""),),
    accuracy=(
        Accuracy("speaker-independent", "validation", "A", ("A/3",), 2, 0.5, 0.5),
        Accuracy("speaker-independent", "test", "A", ("A/4",), 2, 0.5, 0.5),
    ),
)


def items_of(cells):
    """Return the facets that `choose` gives to windows of (class, speaker, level)."""
    return [
        (f"c{c}", f"c{c}/v{v}", f"v{v}", f"f{i}", f"l{level}")
        for i, (c, v, level) in enumerate(cells)
    ]


def even(counts: Counter[str], available: Counter[str]) -> bool:
    """Return whether no value was taken twice more than one of which more was there."""
    return all(
        counts[a] - counts[b] <= 1 for b in available if counts[b] < available[b] for a in available
    )


CELLS = st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2))


@given(st.lists(CELLS, min_size=1, max_size=60), st.integers(1, 40), st.integers(0, 99))
def test_classes_and_the_speakers_of_each_are_even_as_far_as_they_go(cells, n, seed):
    items = items_of(cells)

    chosen = balanced(items, n, seed)

    assert list(chosen) == sorted(set(chosen))
    assert len(chosen) == min(n, len(items))
    taken = [items[place] for place in chosen]
    assert even(Counter(i[0] for i in taken), Counter(i[0] for i in items))
    for label in {i[0] for i in items}:
        own = Counter(i[1] for i in items if i[0] == label)
        assert even(Counter(i[1] for i in taken if i[0] == label), own)


@given(
    st.integers(1, 5), st.integers(1, 6), st.integers(1, 3), st.integers(1, 24), st.integers(0, 99)
)
def test_where_everything_is_there_everything_is_even(n_classes, n_voices, n_levels, n, seed):
    copies = 1 + ceil(n / (n_classes * n_voices))
    items = items_of(
        (c, v, level)
        for c in range(n_classes)
        for v in range(n_voices)
        for level in range(n_levels)
        for _ in range(copies)
    )

    taken = [items[place] for place in balanced(items, n, seed)]

    for facet, most in ((0, 1), (1, 1), (2, 2), (4, 1)):
        counts = Counter(i[facet] for i in taken)
        spread = [counts[value] for value in {i[facet] for i in items}]
        assert max(spread) - min(spread) <= most


def test_the_seed_decides_between_equals():
    items = items_of([(0, 0, 0)] * 20)
    assert balanced(items, 5, 1) == balanced(items, 5, 1)
    assert len({balanced(items, 5, seed) for seed in range(9)}) > 1


@given(st.lists(st.integers(-700, 0), min_size=1, max_size=60))
def test_thirds(tenths):
    levels = [level / 10 for level in tenths]
    names = thirds(levels)

    by_name = defaultdict(list)
    for name, level in zip(names, levels, strict=True):
        by_name[name].append(level)
    order = [by_name[name] for name in ("soft", "middle", "loud") if by_name[name]]
    assert all(max(a) < min(b) for a, b in pairwise(order))
    if len(set(levels)) == len(levels) and len(levels) % 3 == 0:
        assert Counter(names) == dict.fromkeys(("soft", "middle", "loud"), len(levels) // 3)


@pytest.fixture
def labelled(record):
    """Four clips of each class of each of three speakers, each speaker at its own levels."""
    return [
        record(
            f"{label}-{voice}-{take}",
            dbfs=-20 - 5 * voice - 3 * take,
            speaker=str(voice),
            emotion=label,
        )
        for label in LABELS
        for voice in range(3)
        for take in range(4)
    ]


def test_a_set_of_labelled_clips(labelled):
    card = make_card()
    chosen = choose(scan(labelled, card, 0), card, n_clips=18, seed=0)

    chosen.require(card)
    assert Counter(clip.emotion for clip in chosen.clips) == dict.fromkeys(LABELS, 6)
    assert Counter(clip.speaker for clip in chosen.clips) == {f"site/{v}": 6 for v in range(3)}
    assert max(Counter((c.emotion, c.speaker) for c in chosen.clips).values()) == 2
    assert len({clip.sha256 for clip in chosen.clips}) == 18
    assert chosen.licence == "site: not stated"
    assert {clip.level for clip in chosen.clips} == {"soft", "middle", "loud"}
    for clip in chosen.clips:
        voice, take = (int(part) for part in clip.name.removesuffix(".wav").split("-")[1:])
        assert clip.level_dbfs == pytest.approx(-20 - 5 * voice - 3 * take, abs=0.2)


def test_it_repeats_itself_and_the_seed_changes_it(labelled):
    card = make_card()

    def digest(seed):
        return choose(scan(labelled, card, seed), card, n_clips=9, seed=seed).digest

    assert digest(0) == digest(0)
    assert digest(0) != digest(1)


def test_recordings_of_a_site_are_even_over_files_and_levels(record, tmp_path):
    card = make_card()
    for name, seconds, dbfs in (("a", 12, -20), ("b", 12, -40), ("c", 12, -55), ("d", 2, -30)):
        record(name, seconds, dbfs)

    pool = scan(site_clips(tmp_path / "recordings"), card, seed=0)
    chosen = choose(pool, card, n_clips=16, seed=0, licence="ours")

    assert Counter(clip.name for clip in chosen.clips)["d.wav"] == 2
    files = Counter(clip.name for clip in chosen.clips if clip.name != "d.wav")
    assert max(files.values()) - min(files.values()) <= 1
    assert {(c.emotion, c.speaker, c.corpus) for c in chosen.clips} == {
        ("", "recordings/?", "recordings")
    }
    assert chosen.licence == "ours"
    assert cautions(chosen, JUDGED) == ()
    levels = Counter(clip.level for clip in chosen.clips)
    assert max(levels.values()) - min(levels.values()) <= 2
    assert len({(c.name, c.start_s) for c in chosen.clips}) == 16


def test_all_are_taken_where_there_are_fewer(labelled):
    card = make_card()
    assert len(choose(scan(labelled[:5], card, 0), card, n_clips=9, seed=0).clips) == 5


def test_nothing_to_choose_from_is_refused_with_the_reasons():
    pool = WindowPool((), {Refused.TOO_SHORT: 3, Refused.SILENT: 1})
    with pytest.raises(CalibrationError, match=r"\b1 s\b.*\b3 shorter\b.*\b1 silent\b"):
        choose(pool, make_card(), n_clips=9, seed=0)


def test_a_folder_without_audio(tmp_path):
    with pytest.raises(AudioError, match=rf"{tmp_path} .*\.wav\b"):
        site_clips(tmp_path)


def test_training_speakers_are_preferred():
    clips = (
        clips_of("A", "1", "2", "3", "4")
        + clips_of("B", "1")
        + clips_of("A", "1", emotions=["odd"])
    )

    found = eligible(clips, JUDGED)

    assert {clip.speaker for clip in found.clips} == {"A/1", "A/2", "B/1"}
    assert (found.unknown_emotion, found.other_speakers) == (2, 4)
    everyone = eligible(clips, JUDGED, any_speaker=True)
    assert {clip.speaker for clip in everyone.clips} == {"A/1", "A/2", "A/3", "A/4", "B/1"}
    assert everyone.other_speakers == 0


def test_where_no_training_speaker_is_there_the_others_are_taken():
    found = eligible(clips_of("A", "3", "5"), JUDGED)
    assert {clip.speaker for clip in found.clips} == {"A/3", "A/5"}


def test_labels_that_the_model_does_not_know():
    with pytest.raises(CalibrationError, match=r"none of 2 clips.*sad, happy.*--wav FOLDER"):
        eligible(clips_of("A", "1", emotions=["odd"]), JUDGED)


def test_judges_of_the_model_are_warned_of(record):
    card = JUDGED
    clips = [record(name, speaker=name, emotion="sad") for name in "12345"]
    renamed = [
        clip.__class__(**{**vars(clip), "corpus": "A", "speaker": f"A/{clip.path.stem}"})
        for clip in clips
    ]

    def warnings(own):
        return cautions(choose(scan(own, card, 0), card, n_clips=9, seed=0), card)

    assert warnings(renamed[:2]) == ()
    test, validation, others = warnings(renamed)
    assert test.startswith("A/4: test speakers")
    assert validation.startswith("A/3: validation speakers")
    assert others.startswith("A/5: tiny ")


def test_the_default_set_is_what_its_command_makes(corpora_dir):
    """Up to the last bits, in which versions of NumPy differ."""
    card = open_runner().card
    clips = eligible(load_corpora([f"RAVDESS={corpora_dir / 'RAVDESS'}"]), card).clips

    made = choose(scan(clips, card, 0), card, n_clips=96, seed=0)

    shipped = CalibrationSet.load(default_calibration())
    assert made.licence == shipped.licence
    for own, theirs in zip(made.clips, shipped.clips, strict=True):
        assert own.level_dbfs == pytest.approx(theirs.level_dbfs, abs=0.02)
        assert {**vars(own), "level_dbfs": 0} == {**vars(theirs), "level_dbfs": 0}
    np.testing.assert_allclose(made.windows, shipped.windows, rtol=0, atol=1e-3)


def test_short_clips_of_real_corpora_are_counted(corpora_dir):
    """Of EMO-DB half the clips are shorter than the bundled model's window."""
    card = open_runner().card
    clips = load_corpora([f"EMO-DB={corpora_dir / 'EMO-DB'}"])
    own = [clip for clip in clips if clip.speaker == "EMO-DB/16"]
    pool = scan(own, card, 0)
    assert pool.refused.keys() == {Refused.TOO_SHORT}
    assert len({c.clip for c in pool.candidates}) + pool.refused[Refused.TOO_SHORT] == len(own)
