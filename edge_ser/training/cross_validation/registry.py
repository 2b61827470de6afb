"""Systems by name. Each is imported when it is made, so that one whose packages lack stops no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_ser._util.records import build
from edge_ser.corpora import Clip
from edge_ser.errors import ConfigError, missing_extra
from edge_ser.training.augmentation.sounds import Sounds
from edge_ser.training.cross_validation.systems import System

Settings = Mapping[str, object]


@dataclass(frozen=True)
class Places:
    """Directories that a system may write to, and recordings that it may read."""

    cache: Path
    checkpoints: Path
    sounds: Sounds
    gates: Mapping[str, tuple[Clip, ...]]


def make_system(
    name: str,
    settings: Settings,
    cache: Path,
    checkpoints: Path,
    sounds: Sounds | None = None,
    gates: Mapping[str, tuple[Clip, ...]] | None = None,
) -> System:
    """Return a system.

    Args:
        name: one of `SYSTEMS`.
        settings: its settings, as JSON has them; those left out take their defaults.
        cache: a directory for what is computed once for each clip.
        checkpoints: a directory from which a killed training goes on.
        sounds: recordings for the scenes of the compact network; other systems leave them unused.
        gates: neutral clips that the compact network is run on besides the test clips.

    Raises:
        ConfigError: an unknown name, or settings that do not fit.
        MissingDependency: its packages are not installed.
    """
    if name not in _MAKERS:
        raise ConfigError(f"there is no system {name!r}; to choose from: {', '.join(SYSTEMS)}")
    try:
        return _MAKERS[name](settings, Places(cache, checkpoints, sounds or Sounds(), gates or {}))
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        raise missing_extra(package, "train") from None


def _majority(settings: Settings, places: Places) -> System:  # noqa: ARG001
    from edge_ser.training.baselines import Majority

    return build(Majority, settings, "majority")


def _svm_egemaps(settings: Settings, places: Places) -> System:
    from edge_ser.training.baselines import FeatureSet, FunctionalsSvm, SvmConfig

    config = build(SvmConfig, settings, "svm-egemaps")
    return FunctionalsSvm("svm-egemaps", FeatureSet.EGEMAPS, places.cache, config)


def _svm_compare(settings: Settings, places: Places) -> System:
    from edge_ser.training.baselines import FeatureSet, FunctionalsSvm, SvmConfig

    config = build(SvmConfig, settings, "svm-compare")
    return FunctionalsSvm("svm-compare", FeatureSet.COMPARE, places.cache, config)


def _paper(settings: Settings, places: Places) -> System:
    from edge_ser.training.baselines.paper.settings import PaperConfig
    from edge_ser.training.baselines.paper.system import PaperSystem

    return PaperSystem(build(PaperConfig, settings, "paper"), places.checkpoints)


def _compact(settings: Settings, places: Places) -> System:
    from edge_ser.training.config import TrainConfig
    from edge_ser.training.cross_validation.compact_system import CompactSystem

    own = dict(settings)
    encoder, variant = own.pop("encoder", None), str(own.pop("variant", ""))
    return CompactSystem(
        build(TrainConfig, own, "compact"),
        places.checkpoints,
        places.cache,
        places.sounds,
        Path(str(encoder)) if encoder else None,
        places.gates,
        variant,
    )


_MAKERS: Mapping[str, Callable[[Settings, Places], System]] = {
    "majority": _majority,
    "svm-egemaps": _svm_egemaps,
    "svm-compare": _svm_compare,
    "paper": _paper,
    "compact": _compact,
}

SYSTEMS = tuple(_MAKERS)
"""Names of all systems, from the least to the most of our own."""
