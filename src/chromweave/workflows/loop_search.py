"""Loops of one chromosome, and the decoys they are to be held against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.decoys import decoy_pixels
from ..analysis.enrichment import EnrichmentConfig
from ..analysis.loops import candidates, cluster
from ..data.layers import ContactLayer
from ..data.replaced import ReplacedContacts, replaced_layer
from ..data.store import RegionStore
from ..progress import notify
from .foundation_settings import LoopCallConfig
from .loop_band import read_band
from .loop_scores import LoopScorer, SearchedMap

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ChromosomeLoops", "search_chromosome"]


@dataclass(frozen=True)
class ChromosomeLoops:
    """What was found on a chromosome.

    Parameters
    ----------
    loops
        Clusters of the map, :data:`schemas.LOOPS`, without q-values.
    decoys
        Clusters of the decoy map, the same; None where no decoys were asked for.
    steps
        How many were left after each step: ``pixels`` with contacts within the distances, ``candidates``,
        ``scored``, ``passing`` the threshold, ``clusters``; of the decoy map with ``decoy_`` before.
    """

    loops: pd.DataFrame
    decoys: pd.DataFrame | None
    steps: dict[str, int]


def search_chromosome(
    store: RegionStore,
    chrom: str,
    resolution: int,
    scorer: LoopScorer,
    config: LoopCallConfig,
    *,
    seed: int = 0,
) -> ChromosomeLoops:
    """Candidates, scores and clusters of a chromosome's map and of its decoy.

    Parameters
    ----------
    store, chrom, resolution
        Which map.
    scorer
        Gives the scores.
    config
        Candidates, clusters, decoys.
    seed
        Of the decoy, together with the chromosome's place in the assembly.
    """
    layer, weight = store.layer(chrom, resolution), store.default_weight(resolution)
    shapes = config.enrichment or EnrichmentConfig.of_resolution(resolution)
    band = read_band(layer, weight, config.candidates.max_distance // resolution, shapes)
    real = SearchedMap(store, chrom, resolution, weight, band.pixels, band.expected)
    found, steps = _clusters(real, layer, scorer, config)
    if config.fdr is None:
        return ChromosomeLoops(found, None, steps)
    notify(f"{chrom}: the same on decoys")
    number = list(store.assembly.chromosomes).index(chrom)
    scattered = decoy_pixels(
        config.decoys,
        band.pixels,
        band.expected,
        np.random.default_rng([seed, number]),
        weight=layer.weight(weight),
        valid=layer.valid(weight),
        config=shapes,
    )
    decoy = replaced_layer(layer, scattered, band.n_diagonals)
    false = replace(real, store=ReplacedContacts(store, decoy), pixels=scattered)
    decoys, decoy_steps = _clusters(false, decoy, scorer, config)
    return ChromosomeLoops(found, decoys, steps | {f"decoy_{name}": n for name, n in decoy_steps.items()})


def _clusters(
    searched: SearchedMap, layer: ContactLayer, scorer: LoopScorer, config: LoopCallConfig
) -> tuple[pd.DataFrame, dict[str, int]]:
    found = candidates(layer, weight=searched.weight, config=config.candidates)
    scores = scorer.score(searched, found)
    table = cluster(
        found,
        scores.score,
        chrom=searched.chrom,
        resolution=searched.resolution,
        length=searched.store.assembly.length(searched.chrom),
        probability=scores.probability,
        config=config.clusters,
    )
    steps = {
        "pixels": _in_range(searched, config),
        "candidates": len(found),
        "scored": int(np.isfinite(scores.score).sum()),
        "passing": _passing(scores.score, config),
        "clusters": len(table),
    }
    return table, steps


def _in_range(searched: SearchedMap, config: LoopCallConfig) -> int:
    distance = (searched.pixels.bin2 - searched.pixels.bin1).astype(np.int64) * searched.resolution
    wanted = config.candidates
    return int(((distance >= wanted.min_distance) & (distance <= wanted.max_distance)).sum())


def _passing(score: np.ndarray, config: LoopCallConfig) -> int:
    with np.errstate(invalid="ignore"):
        return int((score > config.clusters.threshold).sum())
