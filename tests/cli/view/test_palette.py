"""Colours that read on any background, letters that read without colours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color

from edge_ser.cli.view import palette
from edge_ser.corpora import EMOTIONS

BACKGROUNDS = {
    "black": "#000000",
    "white": "#ffffff",
    "VS Code, dark": "#1e1e1e",
    "Solarized, dark": "#002b36",
    "Solarized, light": "#fdf6e3",
}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    red, green, blue = (
        c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4
        for c in Color.parse(colour).get_truecolor()
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted(luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


ALL = {
    *palette.colours([*EMOTIONS, *"abcdefgh"]).values(),
    *(palette.QUIET, palette.GOOD, palette.BAD),
}


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_colour_can_be_read_on_every_background(background):
    """3 is what WCAG asks of graphics and of large or bold letters."""
    assert min(contrast(colour, BACKGROUNDS[background]) for colour in ALL) >= 3


def test_letters_can_be_read_on_every_colour():
    on_colour = palette.ON_COLOUR.split()[-1]

    assert min(contrast(colour, on_colour) for colour in ALL) >= 3


def test_emotions_have_colours_of_their_own():
    colours = palette.colours(EMOTIONS)

    assert len(set(colours.values())) == len(EMOTIONS)
    assert palette.colours(["angry", "odd"])["angry"] == colours["angry"]
    assert palette.colours(["odd", "even"])["odd"] not in colours.values()


def test_emotions_have_letters_of_their_own():
    assert palette.letters(["neutral", "calm", "happy", "sad", "surprised", "angry"]) == {
        "neutral": "N",
        "calm": "C",
        "happy": "H",
        "sad": "S",
        "surprised": "U",
        "angry": "A",
    }


@given(st.lists(st.text(min_size=1, max_size=8), max_size=15, unique=True))
def test_any_labels_have_letters(labels):
    letters = palette.letters(labels)

    own = [letter for letter in letters.values() if letter != "*"]
    assert list(letters) == labels
    assert len(set(own)) == len(own)
    assert all(len(letter) == 1 for letter in own)
    assert not set(own) & set(palette.MARKS)
