"""Loops of whole chromosomes at a false discovery rate: with a model, or from the map alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import config as configs
from ..analysis.discoveries import target_decoy_qvalues
from ..analysis.enrichment import EnrichmentConfig
from ..data.store import RegionStore
from ..errors import ConfigError, DataError
from ..files import atomic_path, sha256, write_json
from ..io.pairs import write_bedpe
from ..progress import notify, track
from ..provenance import describe_inputs, describe_process
from .foundation_settings import LoopCallConfig
from .inference import TaskModel, require_file_names
from .loop_pileup import draw_pileup
from .loop_scores import CombinedScores, LoopScorer, ModelScores, PeakScores
from .loop_search import ChromosomeLoops, search_chromosome
from .model_input import StoreLike, open_stores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["call_loops"]


def call_loops(
    out: str | Path,
    *,
    store: StoreLike,
    model: str | Path | None = None,
    resolution: int | None = None,
    chroms: Sequence[str] | None = None,
    threshold: float | None = None,
    config: LoopCallConfig | None = None,
    style: Literal["bedpe", "juicebox"] = "bedpe",
    seed: int = 0,
    jobs: int = 1,
) -> pd.DataFrame:
    """Call loops over whole chromosomes: candidate pixels, scores, clusters, and decoys for the error rate.

    A run that was stopped goes on with the chromosome it was at, from ``OUT.parts``, which a finished run
    leaves nothing of.

    Parameters
    ----------
    out
        BEDPE file to write. Beside it come ``OUT.json`` (settings, provenance, what each step left on each
        chromosome) and, where there are loops enough, ``OUT.png`` with their aggregate peak.
    store
        Where to call.
    model
        Run folder of :func:`~chromweave.workflows.foundation.finetune` for loops; without it, pixels are
        scored by how far they stand out from their surroundings.
    resolution
        Layer to call on, bp: a model's own; without a model the finest if not given.
    chroms
        Chromosomes; all of the store if not given.
    threshold
        Score above which a pixel takes part, instead of the one in `config`.
    config
        Candidates, clusters, error rate and decoys.
    style
        Dialect: ``"bedpe"`` for HiGlass and bioframe, or ``"juicebox"``.
    seed
        Of the decoys.
    jobs
        Chromosomes at a time, each in a process of its own.

    Returns
    -------
    pandas.DataFrame
        :data:`schemas.LOOPS`.

    Raises
    ------
    ModelError
        The folder holds no loop model, or the store does not fit it.
    ConfigError
        A model is asked for another resolution than its own, or there is no job to do the work.
    ResolutionError, ChromosomeError
        The store has no such layer or chromosome.
    """
    if jobs < 1:
        raise ConfigError(f"at least one job is needed, not {jobs}.")
    (opened,) = open_stores(store)
    config = config or (LoopCallConfig.without_model() if model is None else LoopCallConfig.with_model())
    config = config.clustering(threshold=threshold)
    resolution = _layer(opened, model, resolution)
    require_file_names(out, f"{out}.json", f"{out}.png")
    names = tuple(opened.require(chrom) for chrom in chroms) if chroms else opened.chromosomes
    work = _Work(opened, None if model is None else Path(model), resolution, names, config, seed)
    with _parts(Path(out), work) as parts:
        found = dict(_each(work, parts, jobs))
        table = _kept(found, config)
        table.attrs.clear()
        pileup = draw_pileup(f"{out}.png", opened, table, resolution, seed=seed)
        write_bedpe(out, table, style=style)
        steps = {
            chrom: one.steps | {"loops": int((table["chrom1"] == chrom).sum())}
            for chrom, one in found.items()
        }
        write_json(f"{out}.json", {**work.record(), "loops": len(table), "steps": steps, "pileup": pileup})
    _say(out, table, steps, config)
    return table


def _layer(store: RegionStore, model: str | Path | None, resolution: int | None) -> int:
    """The resolution to call at; refuses a store that has no such layer, or does not fit the model."""
    if model is not None:
        task = TaskModel.of(model, "loops")
        own = task.given.resolution
        if resolution not in (None, own):
            raise ConfigError(
                f"the model {task.name} reads bins of {own:,} bp, not {resolution:,}; leave --resolution "
                "out, or call without a model."
            )
        task.given.check(store, task.name)  # its map, too: candidates come from there, whatever it reads
        return own
    if not store.resolutions:
        raise DataError(f"{store.path}: has no contacts, only tracks; loops are called on a map.")
    chosen = store.resolutions[0] if resolution is None else resolution
    store.default_weight(chosen)
    return chosen


@dataclass(frozen=True)
class _Work:
    """What is to be done on each chromosome; it travels to other processes."""

    store: RegionStore
    model: Path | None
    resolution: int
    chroms: tuple[str, ...]
    config: LoopCallConfig
    seed: int

    def scorer(self) -> LoopScorer:
        peaks = PeakScores(self.config.enrichment or EnrichmentConfig.of_resolution(self.resolution))
        if self.model is None:
            return peaks
        model = ModelScores(TaskModel.of(self.model, "loops"), self.config.batch_size)
        if self.config.scores == "model":
            return model
        return CombinedScores(peaks, model, self.config.least_enrichment, self.config.model_weight)

    def search(self, chrom: str) -> ChromosomeLoops:
        return search_chromosome(
            self.store, chrom, self.resolution, self.scorer(), self.config, seed=self.seed
        )

    def record(self) -> dict[str, Any]:
        """Settings and provenance."""
        inputs = [self.store.path, *([] if self.model is None else [self.model / "config.json"])]
        return {
            "kind": "loops",
            **describe_process(),
            "assembly": self.store.assembly.name,
            "resolution": self.resolution,
            "chromosomes": list(self.chroms),
            "seed": self.seed,
            "config": configs.to_mapping(self.config),
            "inputs": describe_inputs(inputs),
        }

    def key(self) -> str:
        """Changes with whatever would change a chromosome's loops."""
        said: dict[str, Any] = {
            "store": self.store.manifest_sha256,
            "model": None if self.model is None else _fingerprint(self.model),
            "resolution": self.resolution,
            "config": configs.to_mapping(replace(self.config, fdr=None)),
            "decoys": self.config.fdr is not None,
            "seed": self.seed,
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _fingerprint(model: Path) -> dict[str, str]:
    files = sorted(path for path in model.iterdir() if path.suffix in (".json", ".safetensors"))
    return {path.name: sha256(path) for path in files}


@contextmanager
def _parts(out: Path, work: _Work) -> Iterator[Path]:
    """Folder of finished chromosomes, those of other settings swept out; removed when all is done."""
    folder, key = out.with_name(f"{out.name}.parts"), work.key()
    said = folder / "key"
    if folder.exists() and (not said.is_file() or said.read_text() != key):
        if not said.is_file() and any(folder.iterdir()):
            raise ConfigError(
                f"{folder}: is in the way, and not of this command; move it, or choose another OUT."
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    said.write_text(key)
    try:
        yield folder
    except BaseException:
        if not any(folder.glob("*.json")):  # no chromosome is done: there is nothing to go on from
            shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def _each(work: _Work, parts: Path, jobs: int) -> Iterator[tuple[str, ChromosomeLoops]]:
    """Each chromosome's loops, from its part where there is one."""
    done = {name: _read_part(parts, name) for name in work.chroms}
    missing = [name for name, found in done.items() if found is None]
    if len(missing) < len(done):
        notify(f"{len(done) - len(missing)} of {len(done)} chromosomes were done before: {parts}")
    for name, found in _searched(missing, work, jobs):
        _write_part(parts, name, found)
        done[name] = found
    yield from ((name, found) for name, found in done.items() if found is not None)


def _searched(names: list[str], work: _Work, jobs: int) -> Iterator[tuple[str, ChromosomeLoops]]:
    if jobs == 1 or len(names) < 2:
        for name in track(names, "calling loops", unit="chromosomes"):
            yield name, work.search(name)
        return
    with ProcessPoolExecutor(min(jobs, len(names)), mp_context=get_context("spawn")) as pool:
        results = pool.map(work.search, names)
        for name, found in track(
            zip(names, results, strict=True), "calling loops", total=len(names), unit="chromosomes"
        ):
            yield name, found


def _read_part(parts: Path, name: str) -> ChromosomeLoops | None:
    import pandas as pd

    if not (parts / f"{name}.json").is_file():
        return None
    steps = json.loads((parts / f"{name}.json").read_text())
    decoys = parts / f"{name}.decoys.parquet"
    return ChromosomeLoops(
        pd.read_parquet(parts / f"{name}.loops.parquet"),
        pd.read_parquet(decoys) if decoys.is_file() else None,
        steps,
    )


def _write_part(parts: Path, name: str, found: ChromosomeLoops) -> None:
    for kind, table in (("loops", found.loops), ("decoys", found.decoys)):
        if table is not None:
            with atomic_path(parts / f"{name}.{kind}.parquet") as temporary:
                table.to_parquet(temporary)
    write_json(parts / f"{name}.json", found.steps)


def _kept(found: Mapping[str, ChromosomeLoops], config: LoopCallConfig) -> pd.DataFrame:
    """Loops of all chromosomes with their q-values, down to the rate asked for."""
    import pandas as pd

    table = pd.concat([one.loops for one in found.values()], ignore_index=True)
    if config.fdr is None:
        return table
    decoys = [one.decoys[config.rank].to_numpy() for one in found.values() if one.decoys is not None]
    table["qvalue"] = target_decoy_qvalues(table[config.rank].to_numpy(), np.concatenate(decoys))
    return table[table["qvalue"] <= config.fdr].reset_index(drop=True)


def _say(
    out: str | Path, table: pd.DataFrame, steps: Mapping[str, Mapping[str, int]], config: LoopCallConfig
) -> None:
    clusters, decoys = (
        sum(one.get(name, 0) for one in steps.values()) for name in ("clusters", "decoy_clusters")
    )
    if config.fdr is None:
        notify(f"{len(table):,} loops: {out}")
        return
    notify(f"{len(table):,} of {clusters:,} clusters at a false discovery rate of {config.fdr:g}: {out}")
    if not len(table):
        notify(
            f"no cluster stands out from the {decoys:,} of the decoys; {out}.json says what each step left. "
            "A higher --fdr, or a deeper map, may show some."
        )
