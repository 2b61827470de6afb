"""Terms of weights and of recordings: what the corpora allow, and what the user states."""

from __future__ import annotations

import pytest

from edge_ser.corpora import CORPORA, Terms, parse_licences
from edge_ser.errors import ConfigError

COMMERCIAL = Terms("Commercial", {"crowd": "Apache-2.0"})


def test_without_a_statement_the_corpora_decide():
    terms = Terms()

    public, own = terms.weights_licence(["RAVDESS", "TESS", "mine"]).split("; ")
    assert public == CORPORA["RAVDESS"].weights_licence == CORPORA["TESS"].weights_licence
    assert own.split()[-1] == "mine"
    assert terms.licence_of("TESS") == CORPORA["TESS"].licence
    assert "own recordings" in terms.licence_of("mine")
    terms.refuse_forbidden(CORPORA)


def test_other_terms_are_taken_as_they_are():
    assert Terms("MIT").weights_licence(["RAVDESS"]) == "MIT"


@pytest.mark.parametrize("corpus", [name for name, info in CORPORA.items() if not info.commercial])
def test_commercial_use_is_refused_with_the_name_and_the_licence(corpus):
    with pytest.raises(ConfigError) as raised:
        COMMERCIAL.refuse_forbidden(["EMO-DB", corpus, "crowd"])

    assert f"{corpus} ({CORPORA[corpus].licence})" in str(raised.value)
    assert "EMO-DB (" not in str(raised.value)
    with pytest.raises(ConfigError):
        COMMERCIAL.weights_licence([corpus])


def test_every_corpus_that_forbids_is_named():
    with pytest.raises(ConfigError) as raised:
        COMMERCIAL.refuse_forbidden(["RAVDESS", "TESS", "nEMO", "RAVDESS"])

    for name in ("RAVDESS", "TESS", "nEMO"):
        assert str(raised.value).count(f"{name} (") == 1


def test_commercial_terms_in_words():
    public, crowd, site, use = COMMERCIAL.weights_licence(["EMO-DB", "crowd#train", "site"]).split(
        "; "
    )

    assert public == "CC0 1.0"
    assert crowd.startswith("Apache-2.0 (")
    assert crowd.endswith(" crowd)")
    assert "stated" in site
    assert site.endswith(" site")
    assert use.startswith("commercial use ")


def test_own_recordings_say_who_stated_their_licence():
    assert COMMERCIAL.licence_of("crowd#held").startswith("Apache-2.0 (stated ")
    assert "own recordings; " in COMMERCIAL.licence_of("site")
    assert "stated" in COMMERCIAL.licence_of("site")
    assert COMMERCIAL.licence_of("EMO-DB") == CORPORA["EMO-DB"].licence


def test_a_licence_is_stated_for_own_recordings_that_are_there():
    COMMERCIAL.refuse_unknown(["EMO-DB", "crowd#train"])

    for corpora in (["EMO-DB"], ["EMO-DB", "lab"]):
        with pytest.raises(ConfigError, match="'crowd'"):
            COMMERCIAL.refuse_unknown(corpora)
    with pytest.raises(ConfigError, match="'RAVDESS'"):
        Terms("", {"RAVDESS": "MIT"}).refuse_unknown(["RAVDESS", "lab"])


def test_licences_are_read_from_text():
    found = parse_licences(["crowd = Apache-2.0", "lab=ours = yours"])

    assert found == {"crowd": "Apache-2.0", "lab": "ours = yours"}


@pytest.mark.parametrize("texts", [["crowd"], ["crowd="], ["=MIT"], ["a=MIT", "a=MIT"]])
def test_licences_that_cannot_be_read(texts):
    with pytest.raises(ConfigError, match="expected NAME=TERMS"):
        parse_licences(texts)
