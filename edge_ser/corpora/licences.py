"""Terms of weights and of recordings: what the corpora allow, and what the user states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edge_ser.corpora.info import CORPORA
from edge_ser.corpora.spec import without_half
from edge_ser.errors import ConfigError

COMMERCIAL = "commercial"
"""As terms of weights: only corpora whose licence allows commercial use of what is made from them."""

_OWN = "the user's own recordings"
_STATED = "stated by the user"


@dataclass(frozen=True)
class Terms:
    """Terms as the user states them; the licences of the public corpora are known."""

    weights: str = ""
    """Terms of the weights; `COMMERCIAL`: checked against the corpora; empty: those that the corpora
    ask for."""
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
        return f"{_OWN}; licence {_STATED}" if self.weights else _OWN

    def weights_licence(self, corpora: Iterable[str]) -> str:
        """Return the terms of weights that were trained on the corpora, in words.

        Raises:
            ConfigError: commercial use is asked for, and a corpus forbids it.
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
        """Raise a ConfigError, naming each, where commercial use is asked for and corpora forbid it.

        Own recordings pass: their licence is the user's statement.
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
        """Raise a ConfigError for a stated licence of a public corpus, or of one that is missing."""
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
    """Return corpus → licence from `NAME=TERMS` each.

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
