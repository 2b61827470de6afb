"""Systems by name, each imported on use, so that a missing package affects only its systems."""

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
class SystemResources:
    """Directories that a system may write to, and clips that it may read."""

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
    """Return a system by name.

    Args:
        name: one of `SYSTEMS`.
        settings: its settings as parsed JSON; missing ones take their defaults.
        cache: a directory for results per clip.
        checkpoints: a directory for checkpoints; an interrupted training continues from it.
        sounds: recordings for the scenes of the compact network; not used by other systems.
        gates: neutral clips that the compact network is also run on.

    Raises:
        ConfigError: an unknown name, or settings that do not fit.
        MissingDependency: its packages are not installed.
    """
    if name not in _MAKERS:
        raise ConfigError(f"there is no system {name!r}; expected one of {', '.join(SYSTEMS)}")
    try:
        return _MAKERS[name](
            settings, SystemResources(cache, checkpoints, sounds or Sounds(), gates or {})
        )
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        raise missing_extra(package, "train") from None


def _majority(settings: Settings, resources: SystemResources) -> System:  # noqa: ARG001
    from edge_ser.training.baselines import Majority

    return build(Majority, settings, "majority")


def _svm_egemaps(settings: Settings, resources: SystemResources) -> System:
    from edge_ser.training.baselines import FeatureSet, FunctionalsSvm, SvmConfig

    config = build(SvmConfig, settings, "svm-egemaps")
    return FunctionalsSvm("svm-egemaps", FeatureSet.EGEMAPS, resources.cache, config)


def _svm_compare(settings: Settings, resources: SystemResources) -> System:
    from edge_ser.training.baselines import FeatureSet, FunctionalsSvm, SvmConfig

    config = build(SvmConfig, settings, "svm-compare")
    return FunctionalsSvm("svm-compare", FeatureSet.COMPARE, resources.cache, config)


def _paper(settings: Settings, resources: SystemResources) -> System:
    from edge_ser.training.baselines.paper.settings import PaperConfig
    from edge_ser.training.baselines.paper.system import PaperSystem

    return PaperSystem(build(PaperConfig, settings, "paper"), resources.checkpoints)


def _compact(settings: Settings, resources: SystemResources) -> System:
    from edge_ser.training.config import TrainConfig
    from edge_ser.training.cross_validation.compact_system import CompactSystem

    values = dict(settings)
    encoder, variant = values.pop("encoder", None), str(values.pop("variant", ""))
    return CompactSystem(
        build(TrainConfig, values, "compact"),
        resources.checkpoints,
        resources.cache,
        resources.sounds,
        Path(str(encoder)) if encoder else None,
        resources.gates,
        variant,
    )


_MAKERS: Mapping[str, Callable[[Settings, SystemResources], System]] = {
    "majority": _majority,
    "svm-egemaps": _svm_egemaps,
    "svm-compare": _svm_compare,
    "paper": _paper,
    "compact": _compact,
}

SYSTEMS = tuple(_MAKERS)
"""Names of all systems: baselines first, then the paper's network and the compact network."""
