"""Loading of corpora that are named on the command line."""

from __future__ import annotations

from collections.abc import Iterable

from edge_ser.corpora.clip import Clip, Role
from edge_ser.corpora.crowd import load_crowd
from edge_ser.corpora.info import CORPORA
from edge_ser.corpora.official import load_official
from edge_ser.corpora.own import load_folder, load_manifest
from edge_ser.corpora.spec import CorpusKind, CorpusSpec, parse_spec
from edge_ser.errors import ConfigError


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
