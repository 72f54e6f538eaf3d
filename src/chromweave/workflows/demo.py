"""Both systems once, from files to a report: on two simulated cell lines, or on a user's own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis.loops import CandidateConfig
from ..data.build import build
from ..data.store import RegionStore
from ..errors import ConfigError
from ..genome import Assembly, BlockSplit, Interval
from ..progress import notify
from ..provenance import start_run
from ..sim.simulate import simulate
from . import foundation, graph, loop_calling
from .evaluate import EvaluateConfig, evaluate
from .evaluate_loops import headline_scores
from .foundation_settings import LoopCallConfig
from .loop_validation import validate_loops
from .windows import SplitConfig, make_split, make_windows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CellLineFiles", "DemoConfig", "DemoResult", "run_demo"]

_PRETRAIN_STEP = 25_000
_SIMULATED_TRACKS = ("ATAC", "DNase", "CTCF", "H3K27ac")
_READ_BY_MODEL = ("ATAC", "DNase")
_SHOWN = 3_000_000
_BLOCK = 1_000_000  # a small test set has few blocks of 5 Mb
_FDR = 0.2  # one small chromosome: at 0.05 there must be 20 loops above every decoy, or none is called


@dataclass(frozen=True)
class CellLineFiles:
    """A cell line's files: its map, its tracks by name, and known loops where there are any."""

    name: str
    contacts: str
    tracks: Mapping[str, str]
    loops: str | None = None


@dataclass(frozen=True)
class DemoConfig:
    """Settings of :func:`run_demo`.

    Parameters
    ----------
    resolution, graph_resolution
        Bins of windows and loops, and of graph and compartments, bp.
    phase_by
        Track that is high in compartment A.
    chroms
        Chromosomes of the user's own files; all of the map if empty.
    pvalue
        Poisson survival below which a pixel is scored as a loop.
    exclude
        Regions left out of training and of the comparison of loops.
    pretrain_epochs, finetune_epochs, graph_epochs
        At the most.
    """

    resolution: int = 5000
    graph_resolution: int = 25_000
    phase_by: str | None = None
    exclude: tuple[str, ...] = ()
    chroms: tuple[str, ...] = ()
    pvalue: float = 0.001
    pretrain_epochs: int = 6
    finetune_epochs: int = 24
    graph_epochs: int = 100


@dataclass(frozen=True)
class DemoResult:
    """Where the report is, how long it took, and the figures it opens with."""

    report: Path
    seconds: float
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class Material:
    """What the steps of a demo made, for the report.

    Attributes
    ----------
    out
        The demo's folder; every path below lies in it.
    stores
        One or two.
    split
        How the windows were divided.
    test_region
        Where the pictures are drawn: held out from training.
    scores, validation
        Of the loop model; None without known loops.
    calls
        Cell line -> BEDPE of called loops.
    truth
        Cell line -> file of known loops.
    edges
        Scores of held-out edges.
    """

    out: Path
    config: DemoConfig
    seed: int
    simulated: bool
    stores: Sequence[RegionStore]
    split: SplitConfig
    test_region: Interval
    edges: pd.DataFrame
    phase_by: str
    scores: pd.DataFrame | None = None
    validation: Mapping[str, float | int] | None = None
    calls: Mapping[str, Path] = field(default_factory=dict)
    truth: Mapping[str, str] = field(default_factory=dict)


def run_demo(
    out: str | Path,
    *,
    cell_lines: Sequence[CellLineFiles] = (),
    assembly: str | None = None,
    chroms: Sequence[str] = (),
    exclude: Sequence[str] = (),
    resolution: int = 5000,
    graph_resolution: int = 25_000,
    phase_by: str | None = None,
    seed: int = 0,
) -> DemoResult:
    """Run both systems once and write ``OUT/report.html``.

    Parameters
    ----------
    out
        Folder; everything that is made stays in it.
    cell_lines
        One or two cell lines' own files; two simulated ones where none are given. Without known loops the
        loop model is not trained; with one cell line nothing is compared.
    assembly
        Of the user's files; by chromosome lengths if not given.
    chroms, exclude, resolution, graph_resolution, phase_by
        As in :class:`DemoConfig`.
    seed
        Of everything.

    Raises
    ------
    ConfigError
        The cell lines' tracks differ, or there is none.
    """
    began = time.monotonic()
    config = DemoConfig(resolution, graph_resolution, phase_by, tuple(exclude), tuple(chroms))
    inputs = [path for line in cell_lines for path in (line.contacts, *line.tracks.values())]
    folder = start_run(out, kind="demo", config=config, seed=seed, inputs=inputs)
    simulated = not cell_lines
    if simulated:
        genome = simulate(folder / "genome", preset="tiny", cell_lines=2, seed=seed)
        assembly = str(genome.chrom_sizes)
        cell_lines = [
            CellLineFiles(
                f"line-{line.name}",  # not to be taken for a compartment
                str(line.contacts),
                {name: str(line.tracks[name]) for name in _SIMULATED_TRACKS},
                str(line.loops),
            )
            for line in genome.cell_lines.values()
        ]
    names = _shared_tracks(cell_lines)
    stores = [_build(folder, line, assembly, config) for line in cell_lines]
    phase = phase_by or ("H3K27ac" if simulated else names[0])
    material = _both_systems(folder, cell_lines, stores, config, phase, simulated, seed)
    from .demo_report import write_demo_report

    report = write_demo_report(material)
    notify(f"report: {report}")
    return DemoResult(report, time.monotonic() - began, _figures(material))


def _shared_tracks(cell_lines: Sequence[CellLineFiles]) -> tuple[str, ...]:
    names = tuple(cell_lines[0].tracks)
    if not names:
        raise ConfigError("demo needs at least one track: --track ATAC=FILE.bw.")
    for line in cell_lines[1:]:
        if set(line.tracks) != set(names):
            raise ConfigError(
                f"{line.name} has the tracks {', '.join(line.tracks) or 'none'}, {cell_lines[0].name} has "
                f"{', '.join(names)}; a model of one reads the other's only if they are the same."
            )
    return names


def _build(folder: Path, line: CellLineFiles, assembly: str | None, config: DemoConfig) -> RegionStore:
    return build(
        folder / f"{line.name}.store",
        contacts=line.contacts,
        tracks=dict(line.tracks),
        resolutions=(config.resolution, config.graph_resolution),
        assembly=Assembly.resolve(assembly) if assembly else None,
        chroms=config.chroms or None,
        name=line.name,
    )


def _split(store: RegionStore) -> SplitConfig:
    """Last chromosome for the test, one before to validate; blocks where there are fewer than three."""
    if len(store.chromosomes) >= 3:
        *_, valid, test = store.chromosomes
        return SplitConfig(valid_chroms=(valid,), test_chroms=(test,))
    longest = max(store.assembly.length(chrom) for chrom in store.chromosomes)
    return SplitConfig(by="blocks", gap=min(2_000_000, longest // 20))


def _both_systems(
    folder: Path,
    cell_lines: Sequence[CellLineFiles],
    stores: Sequence[RegionStore],
    config: DemoConfig,
    phase_by: str,
    simulated: bool,
    seed: int,
) -> Material:
    exclude = [Interval.parse(region, stores[0].assembly) for region in config.exclude]
    split = _split(stores[0])
    windows = []
    for line, store in zip(cell_lines, stores, strict=True):
        windows.append(folder / "windows" / f"{line.name}.grid.parquet")
        make_windows(
            windows[-1],
            store=store,
            step=_PRETRAIN_STEP,
            resolution=config.resolution,
            split=split,
            exclude=exclude,
            seed=seed,
        )
    tracks = _READ_BY_MODEL if simulated else tuple(cell_lines[0].tracks)
    settings = foundation.PretrainConfig.preset("tiny", epochs=config.pretrain_epochs)
    settings = replace(settings, transform=replace(settings.transform, tracks=tracks))
    foundation.pretrain(folder / "pretrain", stores=stores, windows=windows, config=settings, seed=seed)
    edges = _graphs(folder, stores, config, phase_by, seed)
    material = Material(
        out=folder,
        config=config,
        seed=seed,
        simulated=simulated,
        stores=stores,
        split=split,
        test_region=_test_region(stores[0], split, exclude),
        edges=edges,
        phase_by=phase_by,
    )
    if any(line.loops for line in cell_lines):
        return _loops(material, cell_lines, exclude)
    notify("no known loops were given (--loops): no loop model is trained, and no loops are called")
    return material


def _graphs(
    folder: Path, stores: Sequence[RegionStore], config: DemoConfig, phase_by: str, seed: int
) -> pd.DataFrame:
    """Graph model, compartments and encodings of each cell line, and the comparison of two."""
    trained = graph.train(
        folder / "graph",
        store=stores[0],
        resolution=config.graph_resolution,
        epochs=config.graph_epochs,
        seed=seed,
    )
    encoded = []
    for store in stores:
        graph.call_compartments(
            folder / "compartments" / f"{store.name}.tsv",
            store=store,
            resolution=config.graph_resolution,
            phase_by=phase_by,
        )
        encoded.append(folder / "embeddings" / f"{store.name}.h5ad")
        graph.encode(encoded[-1], model=folder / "graph", store=store, phase_by=phase_by, seed=seed)
    graph.umap(folder / "embeddings" / "umap.tsv", embeddings=encoded, seed=seed)
    if len(encoded) == 2:
        graph.compare(folder / "compare", first=encoded[0], second=encoded[1], seed=seed)
    return trained.scores


def _loops(material: Material, cell_lines: Sequence[CellLineFiles], exclude: Sequence[Interval]) -> Material:
    """Fine-tune on every cell line with known loops, evaluate on the first, call on all."""
    folder, config, seed = material.out, material.config, material.seed
    known = [(s, line.loops) for s, line in zip(material.stores, cell_lines, strict=True) if line.loops]
    tables = []
    for store, loops in known:
        tables.append(folder / "windows" / f"{store.name}.loops.parquet")
        make_windows(
            tables[-1],
            store=store,
            around="loops",
            loops=loops,
            resolution=config.resolution,
            split=material.split,
            exclude=exclude,
            seed=seed,
        )
    model = folder / "loop-model"
    foundation.finetune(
        model,
        stores=[store for store, _ in known],
        windows=tables,
        pretrained=folder / "pretrain",
        config=foundation.FinetuneConfig.preset("tiny", epochs=config.finetune_epochs),
        seed=seed,
    )
    store, truth = known[0]
    scores = evaluate(
        folder / "evaluation",
        model=model,
        store=store,
        windows=tables[0],
        seed=seed,
        config=EvaluateConfig(block=_BLOCK),
    )
    calls = {one.name: folder / "loops" / f"{one.name}.bedpe" for one in material.stores}
    for one in material.stores:
        loop_calling.call_loops(
            calls[one.name],
            store=one,
            model=model,
            chroms=[material.test_region.chrom],
            config=LoopCallConfig.with_model(candidates=CandidateConfig(pvalue=config.pvalue), fdr=_FDR),
        )
    validation = validate_loops(
        calls[store.name],
        str(truth),
        store=store,
        resolution=config.resolution,
        chroms=[material.test_region.chrom],
        exclude=exclude,
    )
    return replace(
        material,
        scores=scores,
        validation=validation.summary,
        calls=calls,
        truth={one.name: str(path) for one, path in known},
    )


def _test_region(store: RegionStore, split: SplitConfig, exclude: Sequence[Interval]) -> Interval:
    """The middle 3 Mb of what was held out for the test."""
    divided = make_split(store, split, exclude)
    if isinstance(divided, BlockSplit):
        held_out = next(block for name, block in divided.blocks if name == "test")
    else:
        held_out = Interval(divided.test[0], 0, store.assembly.length(divided.test[0]))
    middle, half = (held_out.start + held_out.end) // 2, _SHOWN // 2
    step = 100_000
    start = max(held_out.start, (middle - half) // step * step)
    return Interval(held_out.chrom, start, min(held_out.end, start + _SHOWN))


def _figures(material: Material) -> dict[str, Any]:
    """The few numbers the command prints."""
    shown: dict[str, Any] = {"folder": str(material.out)}
    if material.scores is not None:
        scores = headline_scores(material.scores)
        auroc = scores[scores["metric"] == "auroc"]
        shown["auroc_on_held_out_loops"] = dict(
            zip(auroc["method"], auroc["value"].astype(float), strict=True)
        )
    if material.validation is not None:
        shown["called_loops_against_known"] = dict(material.validation)
    return shown
