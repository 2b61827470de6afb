"""The last minute in letters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_ser.cli.view.timeline import Timeline


def timeline() -> Timeline:
    line = Timeline()
    line.change("-", 2.0)
    line.change("A", 4.0)
    line.advance(6.0)
    return line


def test_a_mark_lasts_until_the_next():
    assert timeline().strip(14, 1) == "  ····----AAAA"


def test_the_present_is_seen_at_once():
    line = timeline()
    line.advance(6.1)
    assert line.strip(4, 1) == "AAAA"
    line.change("N", 6.2)

    assert line.strip(4, 1) == "AAAN"


def test_two_cells_may_be_one_character():
    assert timeline().strip(8, 2) == "  ··--AA"


def test_a_change_is_known_late():
    """That somebody stopped is only known after a pause."""
    line = timeline()
    line.change("·", 5.0)
    line.advance(7.0)

    assert line.strip(14, 1) == "····----AA····"


def test_speech_is_recognised_late():
    line = timeline()
    line.settle("A", 3.0)

    assert line.strip(12, 1) == "····--AAAAAA"


def test_what_was_lost_stays_and_is_seen():
    line = timeline()
    line.point("!", 5.0)
    line.change("H", 4.5)
    line.advance(6.0)

    assert line.strip(12, 1) == "····----AH!H"
    assert line.strip(6, 2) == "··--H!"


def test_lost_seconds_are_marked_as_long_as_they_were():
    line = timeline()
    line.point("!", 6.0, 1.2)

    assert line.strip(7, 1) == "AAAA!!!"


def test_the_stronger_mark_wins():
    line = Timeline()
    for place, mark in enumerate("·-·?-AAH!x"):
        line.point(mark, place / 2)

    assert line.strip(5, 2) == "-?AHx"


def test_a_character_keeps_its_place_as_time_goes():
    """Pairs of cells are counted from the beginning, or letters would flicker."""
    line = timeline()
    before = line.strip(6, 2)
    line.change("N", 6.0)
    line.advance(6.5)

    assert line.strip(7, 2) == before + "N"


@given(
    st.lists(
        st.tuples(st.sampled_from("NHA·-?"), st.floats(0, 1e6), st.floats(0, 90)), max_size=50
    ),
    st.integers(1, 2),
)
def test_it_never_holds_more_than_a_minute(steps, per_cell):
    line = Timeline()
    for mark, at_s, length_s in steps:
        line.change(mark, at_s)
        line.point("!", at_s / 2, length_s)
        strip = line.strip(120 // per_cell, per_cell)
        assert len(strip) == 120 // per_cell
        assert set(strip) <= set(" NHA·-?!")
        assert len(line._cells) <= 120
