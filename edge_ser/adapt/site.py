"""Adapt a model file to labelled recordings of a site, and undo the adaptation."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import onnx

from edge_ser._util.callbacks import OnItem
from edge_ser._util.files import replacing
from edge_ser._util.hashing import content_digest
from edge_ser._util.suffixes import is_onnx
from edge_ser.adapt.adaptation import AdaptConfig, Fitted, fit_site, require_enough
from edge_ser.adapt.embed import SiteClips, embed_clips
from edge_ser.adapt.head import AdaptableModel, stored_head, undone, with_head
from edge_ser.card import Accuracy, Adaptation, CorpusUse, ModelCard
from edge_ser.corpora import Clip, speaker_known
from edge_ser.errors import ConfigError, EdgeSerError, ModelError
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.splits.digest import data_digest
from edge_ser.splits.fold import speakers

KIND = "edge-ser adaptation"
SCHEMA = 1

_TOLERANCE = 1e-3
"""Largest difference of a logit between the written file and the fitted head."""


class NotAdapted(EdgeSerError):
    """The fitted head is no better than the old one on held-out clips."""


@dataclass(frozen=True, eq=False)
class SiteModel:
    """Model with a head fitted to a site."""

    source: AdaptableModel
    site: SiteClips
    fitted: Fitted
    card: ModelCard
    """Card with `adapted`, the new temperature and threshold, and the held-out figures."""

    def record(self) -> dict[str, object]:
        """Return all figures as a JSON object."""
        fitted, adapted = self.fitted, self.card.adapted
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "model": self.card.name,
            "adapted": None if adapted is None else dataclasses.asdict(adapted),
            "gain": dataclasses.asdict(fitted.gain),
            "answered_before": dataclasses.asdict(fitted.answered_before),
            "answered_after": dataclasses.asdict(fitted.answered_after),
            "abstain_below_before": self.source.card.abstain_below,
            "abstain_below_after": fitted.abstain_below,
            "prior": fitted.prior,
            "left_out": self.site.left_out,
            "refusal": fitted.refusal,
        }

    def save(self, out: Path) -> None:
        """Write the adapted model after checking that the runtime gives the logits of the fitted head.

        Raises:
            NotAdapted: the head does not pass its gate; nothing is written.
            ConfigError: `out` is the source, has another ending, or cannot be written.
            ModelError: the written model gives other logits.
        """
        require_out(self.source.path, out)
        if self.fitted.refusal:
            raise NotAdapted(
                f"{out} was not written: expected a lower log loss and no lower UAR on held-out clips, "
                f"got {self.fitted.refusal}; label more clips, above all of the classes that are missed"
            )
        model = with_head(self.source, self.fitted.head, self.card)
        with replacing(out) as temporary:
            onnx.save(model, str(temporary))
            OnnxRunner(temporary)
            self._require_logits(dataclasses.replace(self.source, model=model))

    def _require_logits(self, written: AdaptableModel) -> None:
        stored = stored_head(written)
        for embedding in self.site.embeddings:
            expected = self.fitted.head.logits(embedding)
            difference = float(np.abs(stored.logits(embedding) - expected).max())
            if not difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
                raise ModelError(
                    f"the adapted model differs from the fitted head by {difference:.1e} in a logit; "
                    "nothing was written. Please report this"
                )


def adapt_site(
    source: AdaptableModel,
    clips: Sequence[Clip],
    config: AdaptConfig | None = None,
    *,
    threads: int = 1,
    on_clip: OnItem = lambda: None,
    on_fit: OnItem = lambda: None,
) -> SiteModel:
    """Fit the model's head to labelled clips and evaluate it on held-out clips.

    Args:
        source: the model.
        clips: labelled recordings of the site.
        config: the options.
        threads: CPU threads for one inference.
        on_clip: called after each clip that is embedded.
        on_fit: called after each fit of the cross-validation, `adaptation.n_steps` times at most.

    Raises:
        ConfigError: too few clips.
        AudioError, CorpusError: a clip that cannot be read.
        ModelError: ONNX Runtime rejects the graph.
    """
    config = config or AdaptConfig()
    site = embed_clips(source, clips, threads=threads, progress=on_clip)
    require_enough(site, source.card.labels)
    fitted = fit_site(
        source.head, site, source.card.labels, source.card.abstain_below, config, on_fit
    )
    return SiteModel(source, site, fitted, _card(source, site, fitted, config))


def undo(path: Path, out: Path) -> bool:
    """Write the model before its adaptation; return whether it equals that file byte for byte.

    Raises:
        ConfigError: `out` is the source, has another ending, or cannot be written.
        ModelError: a file that is not adapted, or whose record is damaged.
    """
    require_out(path, out)
    model, digest = undone(path)
    with replacing(out) as temporary:
        onnx.save(model, str(temporary))
        OnnxRunner(temporary)
        return content_digest(temporary) == digest


def require_out(path: Path, out: Path) -> None:
    """Raise for an output that would replace its source, or that no runner can open.

    Raises:
        ConfigError: names the file.
    """
    if not is_onnx(out):
        raise ConfigError(f"--out: expected a name that ends in .onnx, got {out}")
    if out.exists() and path.exists() and out.samefile(path):
        raise ConfigError(f"--out: expected another file than the model itself, got {out}")


def _card(
    source: AdaptableModel, site: SiteClips, fitted: Fitted, config: AdaptConfig
) -> ModelCard:
    card, labels = source.card, source.card.labels
    counts = np.bincount(site.truth, minlength=len(labels))
    names = sorted({clip.corpus for clip in site.clips})
    known = speakers(clip for clip in site.clips if speaker_known(clip))
    adaptation = Adaptation(
        date=datetime.now(timezone.utc).date().isoformat(),
        corpus=", ".join(names),
        n_clips=len(site.clips),
        seconds=round(sum(site.seconds), 1),
        speakers=known,
        labels={label: int(n) for label, n in zip(labels, counts, strict=True) if n},
        balanced=config.balanced,
        protocol=fitted.protocol,
        strength=fitted.strength,
        temperature=fitted.temperature,
        before=fitted.before,
        after=fitted.after,
        data_sha256=data_digest(site.clips),
        base_sha256=source.base_sha256,
    )
    used = site.clips
    corpora = tuple(
        CorpusUse(
            name=name,
            n_clips=sum(clip.corpus == name for clip in used),
            speakers=speakers(clip for clip in used if clip.corpus == name),
            licence="not stated (recordings of a site, by edge-ser adapt)",
            citation="",
        )
        for name in names
    )
    accuracy = Accuracy(
        protocol=f"adapted, {fitted.protocol}",
        split="test",
        corpus=adaptation.corpus,
        speakers=speakers(site.clips),
        n_clips=len(site.clips),
        wa=fitted.after.wa,
        uar=fitted.after.uar,
        recall=fitted.after.recall,
    )
    return dataclasses.replace(
        card,
        # The figures of the old head do not apply; its card is stored in the metadata.
        accuracy=(accuracy,),
        corpora=(*card.corpora, *corpora),
        temperature=round(card.temperature * fitted.temperature, 4),
        abstain_below=fitted.abstain_below,
        calibrated_on=f"{len(site.clips)} held-out clips of {adaptation.corpus}, to which it is adapted",
        adapted=adaptation,
        # The usual outputs are those of the old head; they are not known for this one.
        usual_outputs=(),
        baseline_default="none",
    )


def record_json(model: SiteModel) -> str:
    """Return the figures of an adaptation as indented JSON."""
    return json.dumps(model.record(), indent=1, allow_nan=False) + "\n"
