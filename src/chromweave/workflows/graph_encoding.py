"""Encoding a store with a trained graph autoencoder, and the picture of one or more encodings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..analysis.compare import require_one_model
from ..analysis.compartments import compartments
from ..analysis.embeddings import Silhouette, compartment_silhouette, umap_layout
from ..data.graph import ChromatinGraph, all_edges, build_graph
from ..data.graph_batches import graph_batch
from ..data.store import RegionStore
from ..errors import ConfigError
from ..files import atomic_path, sha256
from ..io.export import Embedding, read_embedding, write_embedding, write_table
from ..models.vgae import VGAE
from ..plot.embeddings import embedding_figure
from ..plot.style import image_bytes
from ..progress import notify
from ..provenance import describe_process
from ..training.checkpoint import WEIGHTS, LoadedModel
from .graph_latents import LatentsConfig, learn_latents
from .graph_models import graph_config, load_graph_model, require_assembly

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["encode", "umap"]


def encode(
    out: str | Path,
    *,
    model: str | Path,
    store: str | Path | RegionStore,
    chroms: Sequence[str] | None = None,
    refit_norm: bool = False,
    phase_by: str | None = None,
    layout: bool = True,
    seed: int = 0,
) -> Embedding:
    """Encode a store with a trained model, its own or another cell line's, and write an AnnData.

    The final encoding passes messages along every contact; no score is computed from it but the silhouette.
    Where the model's bins have latents of their own, those of its own store are written as they were trained,
    from message edges; another store's are learned from its contacts, all else of the model as it is
    (:func:`chromweave.workflows.graph_latents.learn_latents`).

    Parameters
    ----------
    out
        `.h5ad` to write; `NAME.bins.tsv` beside it has every bin, masked ones included.
    model
        Folder of a training run.
    store
        Region store with the model's resolution and tracks.
    chroms
        Chromosomes; the model's by default.
    refit_norm
        Replace BatchNorm's statistics, which are the training cell line's, by this graph's.
    phase_by
        Track that decides which compartment is A; the model's first feature by default.
    layout
        Whether to add a UMAP (`obsm["X_umap"]`).
    seed
        Of the UMAP and the silhouette's null.

    Raises
    ------
    ConfigError
        The model reads no track, and none is named to phase by.
    ModelError
        The folder holds no such model, or the store is of another assembly.
    DataError
        The store lacks a track the model reads, or its chromosome has no valid bin.
    """
    opened = RegionStore.open(store) if isinstance(store, str | Path) else store
    loaded = load_graph_model(model)
    require_assembly(loaded, model, opened)
    settings = graph_config(loaded, model)
    if chroms:
        settings = replace(settings, chroms=tuple(opened.assembly.require(c) for c in chroms))
    if not (phase_by or settings.features):
        raise ConfigError(f"{model}: reads no track; name one of the store's that is high in A (phase_by).")
    graph = build_graph(opened, settings)
    loaded = _at_home(loaded, opened, graph, seed)
    latent = _latent(loaded, graph, refit_norm=refit_norm)
    phase_by = phase_by or settings.features[0]
    bins = _with_compartments(graph, opened, phase_by)
    apart = _silhouette(latent, bins, seed)
    embedding = Embedding(
        bins=bins,
        latent=latent,
        layouts={"umap": umap_layout([latent], seed=seed)[0]} if layout else {},
        provenance={
            **_origin(model, opened, graph),
            "refit_norm": refit_norm,
            "phase_by": phase_by,
            "silhouette": asdict(apart) if apart else None,
            "seed": seed,
        },
    )
    write_embedding(out, embedding)
    if apart:
        notify(
            f"{opened.name}: A/B silhouette {apart.value:.3f} "
            f"(shifted labels {apart.expected:.3f}, p = {apart.pvalue:.3g})"
        )
    return embedding


def _at_home(loaded: LoadedModel, store: RegionStore, graph: ChromatinGraph, seed: int) -> LoadedModel:
    """The model itself, or where bins have latents of their own, one that has them for this store's bins."""
    network, origin = loaded.network, loaded.description
    assert isinstance(network, VGAE)
    if network.own is None:
        return loaded
    trained_on = tuple(origin.data["chroms"])
    if store.manifest_sha256 == origin.provenance.get("store_sha256") and graph.config.chroms == trained_on:
        return loaded
    notify(f"{store.name}: learning latents of its own bins, with all else of the model as it is")
    config = LatentsConfig(
        smoothness=float(origin.provenance.get("smoothness", 0.0)),
        balance=bool(origin.provenance.get("balance", False)),
    )
    return replace(loaded, network=learn_latents(network, trained_on, graph, config, seed=seed))


def _latent(loaded: LoadedModel, graph: ChromatinGraph, *, refit_norm: bool) -> np.ndarray:
    network, batch = loaded.network, graph_batch(graph, all_edges(graph))
    assert isinstance(network, VGAE)
    if refit_norm:
        network.refit_norm(batch.features)
    with torch.no_grad():
        latent: np.ndarray = network.encode(batch).mean.numpy()
    return latent


def _origin(model: str | Path, store: RegionStore, graph: ChromatinGraph) -> dict[str, Any]:
    """What says where an embedding comes from, and what `compare` needs to know of it."""
    process = describe_process()
    return {
        "model": str(model),
        "weights_sha256": sha256(Path(model) / WEIGHTS),
        "store": str(store.path),
        "store_name": store.name,
        "store_sha256": store.manifest_sha256,
        "assembly": store.assembly.name,
        "chrom_sizes": {chrom: store.assembly.length(chrom) for chrom in graph.config.chroms},
        "resolution": graph.config.resolution,
        "features": list(graph.config.features),
        "edge_weight": graph.config.edge_weight,
        "frame": graph.config.frame,
        "edges": int(graph.edges.shape[1]),
        **{key: process[key] for key in ("chromweave", "command", "git_commit", "time")},
    }


def _with_compartments(graph: ChromatinGraph, store: RegionStore, phase_by: str) -> pd.DataFrame:
    """The graph's bin table with compartment and E1."""
    bins = graph.bin_table()
    called = compartments(
        store,
        resolution=graph.config.resolution,
        chroms=graph.config.chroms,
        phase_by=phase_by,
        weight=graph.config.weight,
    )
    bins["compartment"] = called["compartment"].to_numpy()
    bins["E1"] = called["E1"].to_numpy()
    return bins


def _silhouette(latent: np.ndarray, bins: pd.DataFrame, seed: int) -> Silhouette | None:
    valid = bins[~bins["masked"]]
    if not {"A", "B"} <= set(valid["compartment"]):
        return None
    return compartment_silhouette(
        latent, valid["compartment"].to_numpy(), valid["chrom"].to_numpy(), seed=seed
    )


def umap(
    out: str | Path,
    *,
    embeddings: Sequence[str | Path],
    seed: int = 0,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
) -> pd.DataFrame:
    """Lay embeddings of one model out in one plane; TSV, picture, and `obsm["X_umap_joint"]` of each `.h5ad`.

    Parameters
    ----------
    out
        TSV to write: embedding, chrom, start, end, compartment, umap1, umap2. Its picture stands beside it as
        PNG: by compartment, by position and, where there are several, by chromosome and by embedding.
    embeddings
        `.h5ad` files that :func:`encode` wrote; with one, `obsm["X_umap"]` is replaced instead.
    seed, n_neighbors, min_dist
        See :func:`chromweave.analysis.embeddings.umap_layout`.

    Raises
    ------
    ConfigError
        None is given, or they are of different models.
    """
    import pandas as pd

    if not embeddings:
        raise ConfigError("give at least one .h5ad to lay out.")
    read = [read_embedding(path) for path in embeddings]
    for other, path in zip(read[1:], embeddings[1:], strict=True):
        require_one_model(read[0], other, (str(embeddings[0]), str(path)))
    layouts = umap_layout(
        [embedding.latent for embedding in read], seed=seed, n_neighbors=n_neighbors, min_dist=min_dist
    )
    key = "umap" if len(read) == 1 else "umap_joint"
    parts = []
    for path, embedding, layout in zip(embeddings, read, layouts, strict=True):
        write_embedding(path, replace(embedding, layouts={**embedding.layouts, key: layout}))
        columns = [c for c in ("chrom", "start", "end", "compartment") if c in embedding.bins.columns]
        rows = embedding.valid_bins[columns].reset_index(drop=True)
        rows.insert(0, "embedding", Path(path).stem)
        parts.append(rows.assign(umap1=layout[:, 0], umap2=layout[:, 1]))
    table = pd.concat(parts, ignore_index=True)
    write_table(out, table)
    _draw_layout(Path(out).with_suffix(".png"), table)
    return table


def _draw_layout(out: Path, table: pd.DataFrame) -> None:
    bins = table.rename(columns={"chrom": "chromosome"})
    shown = [name for name in ("compartment",) if name in bins.columns] + ["position"]
    shown += [name for name in ("chromosome", "embedding") if bins[name].nunique() > 1]
    figure = embedding_figure(bins[["umap1", "umap2"]].to_numpy(dtype=np.float64), bins, shown)
    with atomic_path(out) as temporary:
        temporary.write_bytes(image_bytes(figure))
