"""The text that names a corpus on the command line: NAME=DIR, folder:NAME=DIR, csv:NAME=FILE."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from edge_ser.corpora.info import corpus_info, find_corpus
from edge_ser.corpora.labels import clean_text
from edge_ser.errors import ConfigError


class CorpusKind(Enum):
    """How a corpus is laid out."""

    OFFICIAL = "official"
    """One of `CORPORA`, in its own layout."""
    FOLDER = "folder"
    """Own recordings in a folder for each label."""
    CSV = "csv"
    """Own recordings listed in a CSV file."""


@dataclass(frozen=True)
class CorpusSpec:
    """What a corpus is called, how it is laid out and where it lies."""

    kind: CorpusKind
    name: str
    path: Path


_OWN = {kind.value: kind for kind in (CorpusKind.FOLDER, CorpusKind.CSV)}


def parse_spec(text: str) -> CorpusSpec:
    """Return what the text names; the place is not looked at, `~` is expanded.

    Raises ConfigError when the text cannot be understood.
    """
    head, equals, place = (part.strip() for part in text.partition("="))
    if not (head and equals and place):
        raise ConfigError(
            f"{text!r} does not name a corpus and its place; write for example RAVDESS=DIR, "
            "folder:NAME=DIR or csv:NAME=FILE.csv"
        )
    path = Path(os.path.expanduser(place))
    prefix, colon, name = (part.strip() for part in head.partition(":"))
    kind = _OWN.get(prefix.lower())
    if kind is not None:
        return CorpusSpec(kind, _own_name(kind, name if colon else _name_of(kind, path)), path)
    if colon:
        raise ConfigError(f"unknown layout {prefix!r} in {text!r}; known are folder: and csv:")
    return CorpusSpec(CorpusKind.OFFICIAL, corpus_info(head).name, path)


def _name_of(kind: CorpusKind, path: Path) -> str:
    place = Path(os.path.abspath(path))
    return place.stem if kind is CorpusKind.CSV else place.name


def _own_name(kind: CorpusKind, name: str) -> str:
    name = clean_text(name)
    if not name or "/" in name or "\\" in name:
        raise ConfigError(
            f"{name!r} cannot be the name of a corpus; write {kind.value}:NAME=… with a NAME "
            "without slashes"
        )
    official = find_corpus(name)
    if official is not None:
        raise ConfigError(
            f"{name!r} is the public corpus {official.name}; write {official.name}=DIR to load "
            f"that, or give own recordings another name: {kind.value}:NAME=…"
        )
    return name
