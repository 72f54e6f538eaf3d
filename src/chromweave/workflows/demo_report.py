"""The report of a demo: reads what the steps wrote, draws it, and writes one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.loops import expected_by_distance
from ..data.store import RegionStore
from ..genome import Interval
from ..io.export import read_embedding
from ..io.intervals import read_bedpe
from ..provenance import describe_process
from ..report.page import Report, Section, write_report
from ..report.sections import (
    Peaks,
    View,
    comparison_section,
    compartments_section,
    embedding_section,
    evaluation_section,
    files_section,
    loops_section,
    map_section,
    pretraining_section,
    tracks_section,
    training_section,
)
from .evaluate_loops import TRIVIAL_LOOP_ROWS, headline_scores
from .graph_settings import PRESETS
from .loop_pileup import loop_pileup
from .region_signals import region_signals

if TYPE_CHECKING:
    import pandas as pd

    from .demo import Material

__all__ = ["write_demo_report"]

_TRACK_WIDTH = 1000
_TRIANGLE = 1_000_000


def write_demo_report(material: Material) -> Path:
    """Write ``report.html`` into the demo's folder and return its path.

    Parameters
    ----------
    material
        What the steps made; parts that were not run have no section.
    """
    page = material.out / "report.html"
    views = [_view(material, store) for store in material.stores]
    compartments = {
        store.name: _table(material, "compartments", f"{store.name}.tsv") for store in material.stores
    }
    sections = [
        map_section(views[0], decay=_decay(material)),
        tracks_section(views),
        _pretraining(material),
        training_section(_metrics(material), notes=_training_notes(material)),
        _loops(material),
        compartments_section(compartments, _whole(material)),
        _edges(material),
        _embedding(material),
        _comparison(material, compartments),
        files_section(_files(material), page),
    ]
    return write_report(
        page,
        Report(
            title="chromweave demo: " + " and ".join(store.name for store in material.stores),
            summary=_summary(material),
            provenance={**describe_process(), "seed": material.seed},
            sections=tuple(section for section in sections if section is not None),
        ),
    )


def _summary(material: Material) -> tuple[str, ...]:
    names = " and ".join(store.name for store in material.stores)
    source = (
        f"Two simulated cell lines, {names}, went through both systems once."
        if material.simulated
        else f"{names} went through both systems once."
    )
    lines = [
        source + " Settings are the smallest there are: the page shows what the commands make, not what the "
        "models can do."
    ]
    if material.validation is not None:
        found = material.validation
        lines.append(
            f"On {material.test_region.chrom}, {found['called']} loops were called and {found['known']} are "
            f"known; {found['matched']} match within two bins (precision {found['precision']:.2f}, recall "
            f"{found['recall']:.2f}; {found['shifted_control']:.2f} would match by chance)."
        )
    return tuple(lines)


def _training_notes(material: Material) -> tuple[str, ...]:
    if material.split.by == "blocks":
        return ("Train, validation and test are blocks of the same chromosomes, with gaps between them.",)
    return (
        f"Validation: {', '.join(material.split.valid_chroms)}. Test, looked at once and only in the tables "
        f"below: {', '.join(material.split.test_chroms)}.",
    )


def _table(material: Material, *parts: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(material.out.joinpath(*parts), sep="\t", keep_default_na=False, na_values=[""])


def _view(material: Material, store: RegionStore) -> View:
    region, resolution = material.test_region, material.config.resolution
    weight = store.default_weight(resolution)
    first, last = region.start // resolution, -(-region.end // resolution)
    layer = store.layer(region.chrom, resolution)
    matrix = layer.dense(first, last, weight=weight, scaled=True)
    return View(
        name=store.name,
        region=Interval(
            region.chrom, first * resolution, min(last * resolution, store.assembly.length(region.chrom))
        ),
        resolution=resolution,
        matrix=matrix,
        unit="balanced contacts",
        max_distance=_TRIANGLE,
        tracks=region_signals(store, store.track_names, region, _TRACK_WIDTH),
        calls=_bedpe(material.calls.get(store.name), store),
        truth=_bedpe(material.truth.get(store.name), store),
        compartments=_table(material, "compartments", f"{store.name}.tsv"),
    )


def _bedpe(path: str | Path | None, store: RegionStore) -> pd.DataFrame | None:
    if path is None:
        return None
    table = read_bedpe(path, store.assembly)
    whole = [name for name in ("distance", "observed") if name in table.columns]
    return table.astype(dict.fromkeys(whole, "int64"))


def _decay(material: Material) -> pd.DataFrame:
    """P(s): mean balanced contacts at each distance, over all chromosomes of each cell line."""
    import pandas as pd

    parts = []
    resolution = material.config.resolution
    for store in material.stores:
        weight = store.default_weight(resolution)
        curves = []
        for chrom in store.chromosomes:
            layer = store.layer(chrom, resolution)
            reach = min(layer.n_diagonals or layer.n_bins, layer.n_bins)
            expected = expected_by_distance(
                layer.pixels(reach * resolution),
                reach,
                weight=layer.weight(weight),
                valid=layer.valid(weight),
            )
            curves.append(expected * layer.scale(weight))
        shortest = min(map(len, curves))
        mean = np.nanmean([curve[:shortest] for curve in curves], axis=0)
        distance = np.arange(shortest) * resolution
        parts.append(pd.DataFrame({"sample": store.name, "distance": distance, "value": mean})[1:])
    return pd.concat(parts, ignore_index=True)


def _pretraining(material: Material) -> Section | None:
    import pandas as pd

    path = material.out / "pretrain" / "metrics.csv"
    return pretraining_section(pd.read_csv(path)) if path.is_file() else None


def _metrics(material: Material) -> dict[str, pd.DataFrame]:
    import pandas as pd

    runs = {"loop fine-tuning": "loop-model", "graph autoencoder": "graph"}
    return {
        name: pd.read_csv(material.out / folder / "metrics.csv")
        for name, folder in runs.items()
        if (material.out / folder / "metrics.csv").is_file()
    }


def _loops(material: Material) -> Section | None:
    if not material.calls or material.scores is None:
        return None
    store = material.stores[0]
    calls = _bedpe(material.calls[store.name], store)
    assert calls is not None
    return loops_section(
        calls.sort_values("probability", ascending=False),
        peaks=_peaks(material, store, calls),
        scores=headline_scores(material.scores),
        trivial=TRIVIAL_LOOP_ROWS,
        notes=(
            "The scores are of held-out windows around known loops against as many negatives at the same "
            "distances; auroc_distance_matched compares loops with negatives of the same distance only.",
        ),
    )


def _peaks(material: Material, store: RegionStore, calls: pd.DataFrame) -> Peaks | None:
    p = loop_pileup(store, calls, material.config.resolution, seed=material.seed)
    if p is None:
        return None
    return Peaks(p.mean, p.control_mean, p.enrichment, p.control_enrichment, p.n, p.resolution)


def _whole(material: Material) -> Interval:
    chrom = material.test_region.chrom
    return Interval(chrom, 0, material.stores[0].assembly.length(chrom))


def _edges(material: Material) -> Section:
    from ..evaluation.edges import summarise_scores

    summary = summarise_scores(material.edges)
    auc = summary[summary["metric"] == "auc"]
    scores = auc.assign(metric="AUC, " + auc["sampling"] + " negatives", value=auc["mean"])
    trivial = tuple(name for name in scores["method"].unique() if name not in PRESETS)
    return evaluation_section(
        scores[["method", "metric", "value"]],
        trivial=trivial,
        title="Graph: held-out contacts",
        anchor="edges",
        notes=(
            "One contact in ten was taken out before training, and is told from pairs that never touch: any "
            "pair (uniform), pairs within reach (in-range), or pairs at the contacts' own distances "
            "(matched). Distance alone answers the first question, so the last is the one to read.",
        ),
    )


def _embedding(material: Material) -> Section:
    import pandas as pd

    layout = _table(material, "embeddings", "umap.tsv")
    colours = ["compartment", "position"]
    if len(material.stores) > 1:
        layout = layout.rename(columns={"embedding": "cell line"})
        colours.append("cell line")
    notes = []
    for store in material.stores:
        found = read_embedding(material.out / "embeddings" / f"{store.name}.h5ad").provenance.get(
            "silhouette"
        )
        if isinstance(found, Mapping):
            notes.append(
                f"{store.name}: A/B silhouette {float(found['value']):.3f}; with compartments shifted along "
                f"the chromosome {float(found['expected']):.3f} (p = {float(found['pvalue']):.2g})."
            )
    points = layout[["umap1", "umap2"]].to_numpy(dtype=float)
    assert isinstance(layout, pd.DataFrame)
    return embedding_section(points, layout, colour_by=colours, notes=notes)


def _comparison(material: Material, compartments: Mapping[str, pd.DataFrame]) -> Section | None:
    if len(material.stores) < 2:
        return None
    bins = _table(material, "compare", "bins.tsv")
    switches = material.out / "compare" / "switches.tsv"
    shown = [name for name in bins.columns if not name.startswith("E1")]
    return comparison_section(
        dict(compartments),
        _whole(material),
        delta=bins.rename(columns={"cosine": "delta"})[["chrom", "start", "end", "delta"]],
        switches=_table(material, "compare", "switches.tsv") if switches.is_file() else None,
        shifted=bins.sort_values("cosine", ascending=False)[shown],
        notes=(
            "Delta is the cosine distance between the two embeddings of a bin; expected counts of switches "
            "come from shifting one cell line's compartments along the chromosome.",
        ),
    )


def _files(material: Material) -> dict[str | Path, str]:
    out, first = material.out, material.stores[0].name
    candidates: dict[str | Path, str] = {
        out / "config.toml": "settings of this demo",
        out / "run.json": "versions, command, seed, inputs with checksums",
        out / "genome": "the simulated genome: maps, tracks, loops, and the truth",
        out / f"{first}.store": "region store",
        out / "pretrain": "pre-trained model",
        out / "loop-model": "loop model",
        out / "evaluation" / "loops.tsv": "loop model beside the trivial rows",
        out / "loops" / f"{first}.bedpe": "called loops, for HiGlass and bioframe",
        out / "graph": "graph model; scores.tsv has its edges beside the trivial rows",
        out / "compartments" / f"{first}.tsv": "A/B compartments; E1 as bigWig and bedGraph beside it",
        out / "embeddings" / f"{first}.h5ad": "embedding, for scanpy",
        out / "compare": "comparison: distances, switches, delta track",
    }
    return {path: meaning for path, meaning in candidates.items() if Path(path).exists()}
