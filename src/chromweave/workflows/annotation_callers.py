"""Callers of loops over whole chromosomes, all asked in one way: ours, restated ones, programs of others.

Each is asked in a process of its own, which loads no more than its caller needs: what is measured is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..baselines import hicexplorer
from ..baselines.external import EXTERNAL, ExternalRequest, call_external
from ..baselines.peakachu import Peakachu, PeakachuConfig, half_width
from ..baselines.programs import Cost
from ..data.store import RegionStore
from ..data.tables import read_windows
from ..errors import ConfigError
from ..evaluation.loop_lists import anchor_distance
from ..io.pairs import write_bedpe
from ..progress import notify, track
from .experiment_steps import identity, plain

if TYPE_CHECKING:
    import pandas as pd

    from ..analysis.loops import CandidateConfig

__all__ = [
    "Called",
    "Caller",
    "External",
    "HicExplorer",
    "Ours",
    "PeakachuForest",
    "Region",
    "annotate",
    "comparable_loops",
    "standard_callers",
]

_AT_ONCE = 20_000  # squares cut and judged at a time


@dataclass(frozen=True)
class Region:
    """Where loops are called.

    Parameters
    ----------
    store
        Folder of the store.
    resolution
        Layer, bp.
    chroms
        Chromosomes.
    min_distance, max_distance
        Between the anchors, bp.
    seed
        Of whatever is drawn.
    """

    store: str
    resolution: int
    chroms: tuple[str, ...]
    min_distance: int = 20_000
    max_distance: int = 2_000_000
    seed: int = 0

    @property
    def candidates(self) -> CandidateConfig:
        """Pixels within the distances."""
        from ..analysis.loops import CandidateConfig

        return CandidateConfig(self.min_distance, self.max_distance)


@dataclass(frozen=True)
class Called:
    """What a caller found.

    Attributes
    ----------
    table
        Schema `BEDPE` with a score.
    version
        Of a program; empty for our own code.
    cost
        Of a program; None where the process that called is measured itself.
    """

    table: pd.DataFrame
    version: str = ""
    cost: Cost | None = None


class Caller(Protocol):
    """What calls loops; a dataclass of plain values, since it travels to a process of its own."""

    def settings(self) -> dict[str, Any]:
        """Everything that decides what it finds, as plain values."""
        ...

    def call(self, region: Region, folder: Path, timeout: float) -> Called:
        """Loops of a region; `folder` is its own to leave files in."""
        ...


@dataclass(frozen=True)
class Ours:
    """Our calls: from the map alone, or with a fine-tuned model.

    Parameters
    ----------
    model
        Run folder of a loop model; None for the map alone.
    fdr
        False discovery rate by decoys.
    """

    model: str | None = None
    fdr: float = 0.05

    def settings(self) -> dict[str, Any]:
        """Rate, and the model's weights."""
        weights = None if self.model is None else identity(Path(self.model) / "model.safetensors")
        return {"fdr": self.fdr, "model": weights}

    def call(self, region: Region, folder: Path, timeout: float) -> Called:
        """See :func:`~chromweave.workflows.loop_calling.call_loops`."""
        from .foundation_settings import LoopCallConfig
        from .loop_calling import call_loops

        make = LoopCallConfig.without_model if self.model is None else LoopCallConfig.with_model
        table = call_loops(
            folder / "ours.bedpe", store=region.store, model=self.model, resolution=region.resolution,
            chroms=region.chroms, config=make(fdr=self.fdr, candidates=region.candidates), seed=region.seed,
        )  # fmt: skip
        return Called(table)


@dataclass(frozen=True)
class PeakachuForest:
    """Peakachu's forest on the candidate pixels of :func:`~chromweave.analysis.loops.candidates`.

    Pixels above the threshold become loops by our density clustering, where Peakachu has its own (two rounds
    of DBSCAN around the most frequent anchors).

    Parameters
    ----------
    windows
        Table whose training windows it learns from.
    store
        Store of these windows; that of the region if not given.
    threshold
        Probability above which a pixel takes part.
    config
        Of the forest.
    """

    windows: str
    store: str | None = None
    threshold: float = 0.9
    config: PeakachuConfig = field(default_factory=PeakachuConfig)

    def settings(self) -> dict[str, Any]:
        """Forest, threshold, and what it learns from."""
        where = None if self.store is None else identity(self.store)
        return {"windows": identity(self.windows), "store": where, "threshold": self.threshold} | {
            "config": plain(asdict(self.config))
        }

    def call(self, region: Region, folder: Path, timeout: float) -> Called:
        """Grow the forest, score every candidate, cluster."""
        import pandas as pd

        from .peakachu_forest import grow_peakachu

        learned = RegionStore.open(self.store or region.store)
        table = read_windows(self.windows, learned, splits=("train",))
        if table.attrs["resolution"] != region.resolution:
            raise ConfigError(
                f"{self.windows}: has bins of {table.attrs['resolution']:,} bp, and loops are called at "
                f"{region.resolution:,} bp; give windows of that resolution."
            )
        if seen := sorted(set(table["chrom"]) & set(region.chroms)):
            notify(f"Peakachu has learned from windows of {', '.join(seen)}, on which loops are now called")
        forest = grow_peakachu(learned, table, config=self.config, seed=region.seed)
        store = RegionStore.open(region.store)
        found = [self._of_chromosome(forest, store, chrom, region) for chrom in region.chroms]
        return Called(pd.concat(found, ignore_index=True))

    def _of_chromosome(
        self, forest: Peakachu, store: RegionStore, chrom: str, region: Region
    ) -> pd.DataFrame:
        """Loops of one chromosome."""
        from ..analysis.clustering import ClusterConfig
        from ..analysis.loops import candidates, cluster
        from .loop_patches import MapSquares

        resolution = region.resolution
        found = candidates(
            store.layer(chrom, resolution), weight=store.default_weight(resolution), config=region.candidates
        )
        x, y = found.x_bins, found.y_bins
        squares = MapSquares(store, chrom, resolution, half_width(resolution), int((y - x).max(initial=0)))
        parts = [
            forest.predict(squares.enrichment(x[k : k + _AT_ONCE], y[k : k + _AT_ONCE]))
            for k in track(range(0, len(found), _AT_ONCE), f"scoring pixels of {chrom}", unit="parts")
        ]
        probability = np.concatenate([np.empty(0), *parts])
        return cluster(
            found, probability, chrom=chrom, resolution=resolution, length=store.assembly.length(chrom),
            probability=probability,
            config=ClusterConfig(threshold=self.threshold, min_distance_bins=-1, min_neighbours=0),
        )  # fmt: skip


@dataclass(frozen=True)
class HicExplorer:
    """hicDetectLoops' detector as restated in :mod:`chromweave.baselines.hicexplorer`."""

    config: hicexplorer.HicExplorerConfig = field(default_factory=hicexplorer.HicExplorerConfig)

    def settings(self) -> dict[str, Any]:
        """Its thresholds."""
        return {"config": plain(asdict(self.config))}

    def call(self, region: Region, folder: Path, timeout: float) -> Called:
        """Chromosome by chromosome."""
        import pandas as pd

        store, resolution = RegionStore.open(region.store), region.resolution
        name = store.default_weight(resolution)
        config = replace(self.config, max_distance=region.max_distance)
        reach = region.max_distance + (2 * config.window + 1) * resolution
        found = []
        for chrom in track(region.chroms, "calling loops", unit="chromosomes"):
            layer = store.layer(chrom, resolution)
            held = (layer.n_diagonals or layer.n_bins) * resolution
            found.append(
                hicexplorer.call_loops(
                    layer.pixels(min(reach, held)), chrom=chrom, weight=layer.weight(name),
                    valid=layer.valid(name), scale=layer.scale(name), length=store.assembly.length(chrom),
                    config=config,
                )
            )  # fmt: skip
        return Called(pd.concat(found, ignore_index=True))


@dataclass(frozen=True)
class External:
    """A program of others on a cooler of the region.

    Parameters
    ----------
    program
        Name in :data:`chromweave.baselines.external.EXTERNAL`.
    programs
        Folder that it is in (or several, parted as in PATH); the PATH if not given.
    options
        Its settings; its defaults if not given.
    """

    program: str
    programs: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """Which program, and how it is run."""
        return {"program": self.program, "options": dict(self.options)}

    def call(self, region: Region, folder: Path, timeout: float) -> Called:
        """See :func:`~chromweave.baselines.external.call_external`."""
        from .store_cool import store_cool

        store = RegionStore.open(region.store)
        applied = self.program in EXTERNAL and EXTERNAL[self.program].applied
        cool = folder.parent / f"map{'.balanced' if applied else ''}.cool"  # all programs read one
        store_cool(cool, store, region.resolution, region.chroms, applied=applied)
        request = ExternalRequest(
            str(cool), folder, region.resolution, region.chroms, region.min_distance, region.max_distance,
            self.programs, timeout,
        )  # fmt: skip
        found = call_external(self.program, request, self.options)
        return Called(found.table, found.version, found.cost)


def comparable_loops(loops: pd.DataFrame, region: Region, *, unique: bool = False) -> pd.DataFrame:
    """Loops on the chromosomes, and with the distances, of a region.

    Parameters
    ----------
    loops
        Schema `BEDPE`.
    region
        Where lists are compared.
    unique
        Only one for each pixel: published lists name some twice, with anchors a little apart.
    """
    import pandas as pd

    distance = anchor_distance(loops)
    kept = loops["chrom1"].isin(region.chroms) & (loops["chrom1"] == loops["chrom2"])
    kept &= (distance >= region.min_distance) & (distance <= region.max_distance)
    loops = loops[kept]
    if unique:
        middles = {s: (loops[f"start{s}"] + loops[f"end{s}"]) // 2 // region.resolution for s in ("1", "2")}
        loops = loops[~pd.DataFrame({"chrom": loops["chrom1"], **middles}).duplicated()]
    return loops.reset_index(drop=True)


def annotate(caller: Caller, region: Region, folder: Path, out: Path, timeout: float) -> dict[str, Any]:
    """Ask a caller and write the loops that can be compared; how many, and what its program says."""
    folder.mkdir(parents=True, exist_ok=True)
    called = caller.call(region, folder, timeout)
    table = comparable_loops(called.table, region)
    write_bedpe(out, table)
    cost = {} if called.cost is None else asdict(called.cost)
    return {"loops": len(table), "version": called.version, **cost}


def standard_callers(
    *,
    windows: str | Path | None = None,
    windows_store: str | Path | None = None,
    model: str | Path | None = None,
    programs: str | None = None,
) -> dict[str, Caller]:
    """Every caller there is, by the name of its row.

    Parameters
    ----------
    windows, windows_store
        What Peakachu learns from; without windows it is left out.
    model
        Run folder of a loop model; without it our calls with a model are left out.
    programs
        Folder of the programs of others.
    """
    found: dict[str, Caller] = {"chromweave, map alone": Ours()}
    if model is not None:
        found["chromweave, with a model"] = Ours(str(model))
    if windows is not None:
        found["Peakachu"] = PeakachuForest(
            str(windows), None if windows_store is None else str(windows_store)
        )
    found["HiCExplorer, restated"] = HicExplorer()
    return found | {name: External(name, programs) for name in EXTERNAL}
