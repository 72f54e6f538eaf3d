"""Two embeddings in one frame: one encoder's already are, those of two trainings are turned to fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from ..io.export import Embedding

__all__ = ["Aligned", "Alignment", "align", "one_encoder", "require_same_bins", "stable_bins"]

_CALLS = ("A", "B")


@dataclass(frozen=True)
class Alignment:
    """How two embeddings came into one frame.

    Attributes
    ----------
    method
        ``one encoder``: both are of one model and were left as they are; ``procrustes``: the second was
        turned (and mirrored) onto the first.
    bins
        Stable bins the turn was fitted on; 0 for one encoder.
    residual
        Root of what is left of the stable bins' squared length after the turn, 0 to about 1.4: 0 is a perfect
        fit; 0 for one encoder.
    """

    method: str
    bins: int = 0
    residual: float = 0.0

    def __str__(self) -> str:
        if self.method == "one encoder":
            return self.method
        return f"{self.method} on {self.bins:,} stable bins, residual {self.residual:.3f}"


class Aligned(NamedTuple):
    """The second embedding in the first one's frame, and how it came there."""

    second: Embedding
    alignment: Alignment


def one_encoder(first: Embedding, second: Embedding) -> bool:
    """Whether one model made both: the checksums of their models' weights are equal."""
    return bool(first.provenance.get("weights_sha256") == second.provenance.get("weights_sha256"))


def stable_bins(first: Embedding, second: Embedding) -> np.ndarray:
    """Bins that are valid in both and, where both have compartments, A in both or B in both; bool (bins,)."""
    valid = ~(first.bins["masked"].to_numpy(dtype=bool) | second.bins["masked"].to_numpy(dtype=bool))
    if "compartment" not in first.bins.columns or "compartment" not in second.bins.columns:
        return valid
    a, b = (one.bins["compartment"].to_numpy(dtype=object) for one in (first, second))
    return valid & (a == b) & np.isin(a, _CALLS)


def align(first: Embedding, second: Embedding, stable: np.ndarray | None = None) -> Aligned:
    """Bring the second embedding into the first one's frame, if it is of another model.

    Trainings find their axes anew each time: up to a rotation and a reflection, which leave every inner
    product as it is, equal encoders give equal vectors. The one that fits the stable bins best is taken
    (orthogonal Procrustes; Schoenemann 1966, Psychometrika 31, 1), without centring or scaling. Stable bins
    are near by construction then, the nearer the fewer they are; only differences among other bins, or
    against aligned replicates, say something.

    Parameters
    ----------
    first, second
        Embeddings of the same bins.
    stable
        bool (bins,): where to fit; :func:`stable_bins` by default. Bins masked in either are left out.

    Raises
    ------
    DataError
        Bins or dimensions differ, or there are fewer stable bins than dimensions.
    """
    from scipy.linalg import orthogonal_procrustes

    require_same_bins(first, second)
    if one_encoder(first, second):
        return Aligned(second, Alignment("one encoder"))
    chosen = stable_bins(first, second) if stable is None else np.asarray(stable, dtype=bool)
    a, b = first.full().astype(np.float64), second.full().astype(np.float64)
    chosen = chosen & np.isfinite(a[:, 0]) & np.isfinite(b[:, 0])
    width = a.shape[1]
    if chosen.sum() < width:
        raise DataError(
            f"{chosen.sum()} stable bins are too few to align {width} dimensions; "
            "compare more chromosomes, or encode both with one model."
        )
    turn, _ = orthogonal_procrustes(b[chosen], a[chosen])
    length = float((a[chosen] ** 2).sum() + (b[chosen] ** 2).sum()) / 2
    left = float(((b[chosen] @ turn - a[chosen]) ** 2).sum())
    turned = replace(second, latent=(second.latent.astype(np.float64) @ turn).astype(np.float32))
    residual = float(np.sqrt(left / length)) if length > 0 else 0.0
    return Aligned(turned, Alignment("procrustes", int(chosen.sum()), residual))


def require_same_bins(first: Embedding, second: Embedding) -> None:
    """Nothing, if both are of the same assembly, bins and dimensions.

    Raises
    ------
    DataError
        They are not.
    """
    assemblies = [str(one.provenance.get("assembly", "")) for one in (first, second)]
    if all(assemblies) and assemblies[0] != assemblies[1]:
        raise DataError(
            f"the two embeddings are of {assemblies[0]} and {assemblies[1]}; their bins are other places. "
            "Encode both on one assembly."
        )
    keys = ["chrom", "start", "end"]
    if (
        len(first.bins) != len(second.bins)
        or not (first.bins[keys].to_numpy() == second.bins[keys].to_numpy()).all()
    ):
        raise DataError(
            f"the two embeddings have other bins ({_describe(first)}; {_describe(second)}); "
            "encode both at one resolution, on the same chromosomes of one assembly."
        )
    if first.latent.shape[1] != second.latent.shape[1]:
        raise DataError(
            f"the two embeddings have {first.latent.shape[1]} and {second.latent.shape[1]} dimensions; "
            "they are of different models."
        )


def _describe(embedding: Embedding) -> str:
    bins = embedding.bins
    if not len(bins):
        return "none"
    width = int(bins["end"].iloc[0] - bins["start"].iloc[0])
    return f"{len(bins):,} of {width:,} bp on {', '.join(map(str, bins['chrom'].unique()))}"
