"""The range of input shapes that an engine is built for, from the model's card."""

from __future__ import annotations

from edge_ser.card import ModelCard
from edge_ser.errors import ConfigError
from edge_ser.manifest import EngineOptions, ProfileShapes


def profile_shapes(card: ModelCard, name: str, options: EngineOptions) -> ProfileShapes:
    """Return the shapes of a model's input.

    Where `options` has no `window_s`, windows go from the card's shortest to its usual, which is the
    best; on a DLA, which takes one shape only, the usual is all.

    Args:
        card: the model's card.
        name: the input tensor's name.
        options: what was asked for.

    Raises:
        ConfigError: a range that is not ascending, shorter than the model takes, or, for a DLA, more
            than one shape.
    """
    usual, fixed = card.window_s, options.dla_core >= 0
    windows = options.window_s or (usual if fixed else card.min_window_s, usual, usual)
    for what, (low, best, high) in (("batch", options.batch), ("window", windows)):
        if not 0 < low <= best <= high:
            raise ConfigError(f"{what} is {low:g} {best:g} {high:g}, wanted: ascending, above 0")
        if fixed and low != high:
            raise ConfigError(
                f"{what} is {low:g} {best:g} {high:g}, a DLA takes one shape only; give the same "
                "number three times"
            )
    if windows[0] < card.min_window_s:
        raise ConfigError(
            f"window begins at {windows[0]:g} s, {card.name} takes {card.min_window_s:g} s and more"
        )
    samples = [round(length * card.frontend.sample_rate) for length in windows]

    def shape(place: int) -> tuple[int, ...]:
        if card.input == "waveform":
            return (options.batch[place], samples[place])
        n_frames = card.frontend.n_frames(samples[place])
        return (options.batch[place], card.frontend.n_features, n_frames)

    return ProfileShapes(name, shape(0), shape(1), shape(2))
