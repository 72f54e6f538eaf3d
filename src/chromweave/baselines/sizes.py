"""The window that a restated network is built for, and what it may be given."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError, ModelError

__all__ = ["WindowSizes", "given_map", "given_tracks"]

_MOST_POOLED = 10  # by one pool; what lies within is a single place to everything after it


@dataclass(frozen=True)
class WindowSizes:
    """The input that every network here has in common with the models of :mod:`chromweave.models.tasks`.

    Parameters
    ----------
    n_tracks
        Signal tracks per position.
    window_bins
        Bins of a window's side; even.
    positions
        100 bp steps of both segments together (2 x `window_bins` x resolution / 100).

    Raises
    ------
    ConfigError
        Sizes that no window has.
    """

    n_tracks: int = 2
    window_bins: int = 50
    positions: int = 5000

    def __post_init__(self) -> None:
        if self.n_tracks < 1:
            raise ConfigError(f"n_tracks must be at least 1, not {self.n_tracks}.")
        if self.window_bins < 2 or self.window_bins % 2:
            raise ConfigError(f"window_bins must be an even number of at least 2, not {self.window_bins}.")
        if self.positions < 1 or self.positions % (2 * self.window_bins):
            raise ConfigError(
                f"positions must be a multiple of {2 * self.window_bins} (two segments of window_bins "
                f"bins), not {self.positions}; it is 2 x window_bins x resolution / 100."
            )

    @property
    def steps(self) -> int:
        """Positions of a bin."""
        return self.positions // (2 * self.window_bins)

    def require_positive(self, *names: str) -> None:
        """Raise ConfigError unless these sizes are at least 1, each of them where there are several."""
        for name in names:
            value = getattr(self, name)
            several = value if isinstance(value, tuple) else (value,)
            if not several or min(several) < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}.")

    def require_as_many(self, first: str, second: str) -> None:
        """Raise ConfigError unless these two have as many entries."""
        if len(getattr(self, first)) != len(getattr(self, second)):
            raise ConfigError(
                f"{first} {getattr(self, first)} and {second} {getattr(self, second)} must be as many."
            )

    def require_share(self, name: str) -> None:
        """Raise ConfigError unless this lies in [0, 1), as what dropout drops must."""
        if not 0 <= getattr(self, name) < 1:
            raise ConfigError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}.")

    @property
    def pools(self) -> tuple[int, int, int]:
        """Three factors whose product is :attr:`steps`, ascending and as alike as can be: 50 is 2 x 5 x 5.

        Raises
        ------
        ConfigError
            One of them would be larger than 10.
        """
        steps = self.steps
        triples = [
            (steps // (b * c), b, c)
            for c in range(1, _MOST_POOLED + 1)
            for b in range(1, c + 1)
            if steps % (b * c) == 0 and steps // (b * c) <= b
        ]
        if not triples:
            raise ConfigError(
                f"positions ({self.positions}) and window_bins ({self.window_bins}) make {steps} steps a "
                f"bin, which are not three factors of at most {_MOST_POOLED}; choose another resolution, "
                "such as 5 kb (50 steps) or 10 kb (100)."
            )
        return min(triples, key=lambda triple: (triple[2], -triple[0]))


def given_tracks(
    tracks: Float[Tensor, "batch positions tracks"] | None, sizes: WindowSizes
) -> Float[Tensor, "batch positions tracks"]:
    """The tracks, if they are what a network was built for.

    Raises
    ------
    ModelError
        There are none, or they have other sizes.
    """
    if tracks is None:
        raise ModelError("this network reads the tracks, and none were given.")
    if tracks.shape[1:] != (sizes.positions, sizes.n_tracks):
        raise ModelError(
            f"this network was built for {sizes.positions} positions of {sizes.n_tracks} tracks; "
            f"it was given {tracks.shape[1]} of {tracks.shape[2]}."
        )
    return tracks


def given_map(
    contact_map: Float[Tensor, "batch 1 bins bins"] | None, sizes: WindowSizes
) -> Float[Tensor, "batch 1 bins bins"]:
    """The contact map, if it is what a network was built for.

    Raises
    ------
    ModelError
        There is none, or it has another size.
    """
    if contact_map is None:
        raise ModelError("this network reads the contact map, and none was given.")
    if contact_map.shape[-1] != sizes.window_bins:
        raise ModelError(
            f"this network was built for maps of {sizes.window_bins} bins; "
            f"it was given one of {contact_map.shape[-1]}."
        )
    return contact_map
