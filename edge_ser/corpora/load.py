"""Corpora and licences named on the command line: parsing of the texts, and loading of the clips."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from edge_ser.corpora.clip import Clip, Role
from edge_ser.corpora.crowd import Half, load_crowd
from edge_ser.corpora.info import CORPORA, corpus_info, find_corpus
from edge_ser.corpora.labels import clean_text
from edge_ser.corpora.official import load_official
from edge_ser.corpora.own import load_folder, load_manifest
from edge_ser.errors import ConfigError


class CorpusKind(Enum):
    """Layout of a corpus."""

    OFFICIAL = "official"
    """One of `CORPORA`, in its official layout."""
    FOLDER = "folder"
    """Own recordings in one folder for each label."""
    CSV = "csv"
    """Own recordings listed in a CSV file."""
    NEUTRAL = "neutral"
    """Speech that is neutral by intent: every audio file below a folder."""
    UNLABELLED = "unlabelled"
    """Speech without labels: every audio file below a folder."""


@dataclass(frozen=True)
class CorpusSpec:
    """Name, layout and path of a corpus."""

    kind: CorpusKind
    name: str
    """Name of the corpus; that of a half ends with `#train` or `#held`."""
    path: Path
    half: Half | None = None
    """Half of the files, by content; None for all. Only for `neutral:` and `unlabelled:`."""

    def text(self) -> str:
        """Return the text that `parse_spec` parses to this spec, with an absolute path."""
        kind = "" if self.kind is CorpusKind.OFFICIAL else f"{self.kind.value}:"
        end = "" if self.half is None else _end(self.half)
        return f"{kind}{self.name.removesuffix(end)}={self.path.absolute()}{end}"


_OWN = {kind.value: kind for kind in CorpusKind if kind is not CorpusKind.OFFICIAL}
_CROWDS = (CorpusKind.NEUTRAL, CorpusKind.UNLABELLED)


def parse_spec(text: str) -> CorpusSpec:
    """Parse the text that names a corpus; `~` is expanded, the path is not accessed.

    The path of a `neutral:` or `unlabelled:` corpus may end with `#train` or `#held`, for one half of
    its files (see `Half`). A folder with such a name is written with a trailing slash.

    Raises ConfigError for an invalid text.
    """
    head, equals, path_text = (part.strip() for part in text.partition("="))
    if not (head and equals and path_text):
        raise ConfigError(
            f"{text!r} does not name a corpus and its path; write for example RAVDESS=DIR, "
            "folder:NAME=DIR, csv:NAME=FILE.csv, neutral:NAME=DIR or unlabelled:NAME=DIR"
        )
    prefix, colon, name = (part.strip() for part in head.partition(":"))
    kind = _OWN.get(prefix.lower())
    if kind is not None:
        return _own(kind, name if colon else None, path_text)
    if colon:
        known = ", ".join(f"{own}:" for own in _OWN)
        raise ConfigError(f"unknown layout {prefix!r} in {text!r}; known are {known}")
    return CorpusSpec(CorpusKind.OFFICIAL, corpus_info(head).name, _path(path_text))


def _own(kind: CorpusKind, name: str | None, path_text: str) -> CorpusSpec:
    half = None
    if kind in _CROWDS:
        half = next((half for half in Half if path_text.endswith(_end(half))), None)
    end = "" if half is None else _end(half)
    path = _path(path_text.removesuffix(end))
    own_name = _own_name(kind, _name_of(kind, path) if name is None else name)
    return CorpusSpec(kind, own_name + end, path, half)


def _end(half: Half) -> str:
    return f"#{half.value}"


def _path(path_text: str) -> Path:
    return Path(os.path.expanduser(path_text))


def without_half(name: str) -> str:
    """Return the name of a corpus without its half: `crowd` for `crowd#train`."""
    for half in Half:
        name = name.removesuffix(_end(half))
    return name


def _name_of(kind: CorpusKind, path: Path) -> str:
    absolute = Path(os.path.abspath(path))
    return absolute.stem if kind is CorpusKind.CSV else absolute.name


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


def load_corpus(spec: str) -> tuple[Clip, ...]:
    """Return the clips of one corpus, sorted by relative path: the same order on every machine.

    spec is NAME=DIR for a public corpus (see `CORPORA`; case and punctuation of the name do not
    matter), folder:NAME=DIR for own recordings in DIR/label/ or DIR/label/speaker/,
    csv:NAME=FILE.csv for a list of own recordings, neutral:NAME=DIR for speech that is neutral by
    intent, or unlabelled:NAME=DIR for speech without labels (see `load_crowd`). `folder=DIR` and
    the like take the name of the folder or file.

    Raises ConfigError for an invalid spec, CorpusError for a path that does not hold the corpus.
    """
    return _load(parse_spec(spec))


def load_corpora(specs: Iterable[str]) -> tuple[Clip, ...]:
    """Return the clips of several corpora, by name of the corpus, then by relative path.

    The order of the specs does not matter. Raises as `load_corpus`, and ConfigError for no
    corpus at all or two of the same name.
    """
    by_name: dict[str, CorpusSpec] = {}
    for spec in map(parse_spec, specs):
        first = by_name.setdefault(spec.name.casefold(), spec)
        if first is not spec:
            raise ConfigError(
                f"two corpora are called {spec.name}: {first.path} and {spec.path}; "
                "give each its own name, or join them in one folder"
            )
    if not by_name:
        raise ConfigError("no corpus given; write for example RAVDESS=DIR")
    return tuple(clip for name in sorted(by_name) for clip in _load(by_name[name]))


def _load(spec: CorpusSpec) -> tuple[Clip, ...]:
    if spec.kind is CorpusKind.FOLDER:
        return load_folder(spec.name, spec.path)
    if spec.kind is CorpusKind.CSV:
        return load_manifest(spec.name, spec.path)
    if spec.kind is CorpusKind.NEUTRAL:
        return load_crowd(spec.name, spec.path, Role.NEUTRAL, spec.half)
    if spec.kind is CorpusKind.UNLABELLED:
        return load_crowd(spec.name, spec.path, Role.UNLABELLED, spec.half)
    return load_official(CORPORA[spec.name], spec.path)


COMMERCIAL = "commercial"
"""Terms of weights that require corpora whose licence allows commercial use."""

_OWN_RECORDINGS = "the user's own recordings"
_STATED = "stated by the user"


@dataclass(frozen=True)
class Terms:
    """Terms stated by the user; the licences of the public corpora are known."""

    weights: str = ""
    """Terms of the weights; `COMMERCIAL`: checked against the corpora; empty: derived from the
    corpora."""
    corpora: Mapping[str, str] = field(default_factory=dict)
    """Corpus of own recordings → its licence."""

    @property
    def commercial(self) -> bool:
        """Whether the weights are to be used commercially."""
        return self.weights.strip().lower() == COMMERCIAL

    def licence_of(self, corpus: str) -> str:
        """Return the terms of the recordings of a corpus."""
        if corpus in CORPORA:
            return CORPORA[corpus].licence
        if stated := self._stated(corpus):
            return f"{stated} ({_STATED})"
        return f"{_OWN_RECORDINGS}; licence {_STATED}" if self.weights else _OWN_RECORDINGS

    def weights_licence(self, corpora: Iterable[str]) -> str:
        """Return a description of the terms of weights that were trained on the corpora.

        Raises:
            ConfigError: commercial use is requested, and a corpus forbids it.
        """
        names = tuple(corpora)
        self.refuse_forbidden(names)
        if self.weights and not self.commercial:
            return self.weights
        terms = "; ".join(dict.fromkeys(map(self._asked_by, names)))
        if not self.commercial:
            return terms
        return f"{terms}; commercial use allowed as far as the licences of the corpora were read"

    def refuse_forbidden(self, corpora: Iterable[str]) -> None:
        """Raise a ConfigError that names all corpora that forbid a requested commercial use.

        Own recordings pass: the user states their licence.
        """
        if not self.commercial:
            return
        forbidding = [
            f"{name} ({CORPORA[name].licence})"
            for name in dict.fromkeys(corpora)
            if name in CORPORA and not CORPORA[name].commercial
        ]
        if forbidding:
            allowing = ", ".join(name for name, info in CORPORA.items() if info.commercial)
            raise ConfigError(
                f"expected corpora that allow weights for commercial use ({allowing}, own "
                f"recordings), got {', '.join(forbidding)}; train without them, or leave "
                f"--weights-licence {COMMERCIAL} out"
            )

    def refuse_unknown(self, corpora: Iterable[str]) -> None:
        """Raise a ConfigError for a stated licence of a public or a missing corpus."""
        own = {without_half(name) for name in corpora if name not in CORPORA}
        for name, licence in self.corpora.items():
            if name not in own:
                expected = ", ".join(sorted(own)) or "none were given"
                raise ConfigError(
                    f"the licence {licence!r} is stated for {name!r}, expected the name of own "
                    f"recordings ({expected}); the licences of public corpora are known"
                )

    def _stated(self, corpus: str) -> str:
        return self.corpora.get(without_half(corpus), "")

    def _asked_by(self, corpus: str) -> str:
        if corpus in CORPORA:
            return CORPORA[corpus].weights_licence
        if stated := self._stated(corpus):
            return f"{stated} ({_STATED} for {without_half(corpus)})"
        return (
            f"licence {_STATED} for {without_half(corpus)}"
            if self.weights
            else f"not stated for {corpus}"
        )


def parse_licences(texts: Iterable[str]) -> dict[str, str]:
    """Return corpus → licence from texts of the form `NAME=TERMS`.

    Raises:
        ConfigError: a text without a name or terms, or a name that comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, terms = (part.strip() for part in text.partition("="))
        if not (name and terms) or name in found:
            raise ConfigError(
                f"expected NAME=TERMS, once for each corpus, got {text!r}; write for example "
                "--corpus-licence crowd=Apache-2.0"
            )
        found[name] = terms
    return found
