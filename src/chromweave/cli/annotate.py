"""Commands that annotate a map: compartments and insulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .arguments import ChromOption, StoreOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(compartments)
    app.command()(insulation)


def compartments(
    context: typer.Context,
    out: Annotated[
        Path, typer.Argument(help="Table to write; tracks and saddle beside it.", metavar="OUT.tsv")
    ],
    store: StoreOption,
    resolution: Annotated[int, typer.Option(help="Layer with every distance, bp.")],
    phase_by: Annotated[str, typer.Option(help="Track of the store that is high in A.")],
    chrom: ChromOption = None,
    regions: Annotated[
        Path | None,
        typer.Option(help="BED of stretches to decompose apart, e.g. arms. Default: chromosomes."),
    ] = None,
    weight: Annotated[str | None, typer.Option(help="Balancing vector. Default: the store's.")] = None,
    n_eigs: Annotated[int, typer.Option(help="Eigenvectors to write.")] = 3,
    saddle_groups: Annotated[int, typer.Option(help="Quantiles of E1 in the saddle; 0 for no saddle.")] = 50,
) -> None:
    """Call A/B compartments: E1 of observed/expected, phased by a track, with confidence and saddle."""
    from ..workflows.compartments import call_compartments

    calls = call_compartments(
        out,
        store=store,
        resolution=resolution,
        phase_by=phase_by,
        chroms=chrom or None,
        regions=regions,
        weight=weight,
        n_eigs=n_eigs,
        saddle_groups=saddle_groups,
    )
    counts = calls.table["compartment"].value_counts()
    sure = int((calls.table["confidence"] >= 0.95).sum())
    shown: dict[str, Any] = {"table": str(out), **{str(name): int(n) for name, n in counts.items()}}
    strengths = dict(zip(calls.strength["saddle"], calls.strength["strength"].astype(float), strict=True))
    context.obj.show({**shown, "confidence_from_0.95": sure, "saddle_strength": strengths or None})


def insulation(
    context: typer.Context,
    out: Annotated[
        Path, typer.Argument(help="Table to write; tracks and boundaries beside it.", metavar="OUT.tsv")
    ],
    store: StoreOption,
    resolution: Annotated[int, typer.Option(help="Layer, bp.")],
    window: Annotated[
        list[int] | None,
        typer.Option(help="Side of the diamond, bp; repeat for several. Default: ten bins."),
    ] = None,
    chrom: ChromOption = None,
    weight: Annotated[str | None, typer.Option(help="Balancing vector. Default: the store's.")] = None,
    strength: Annotated[
        float | None, typer.Option(help="Least strength of a boundary, log2. Default: Li's threshold.")
    ] = None,
) -> None:
    """Score insulation by a diamond sliding along the map, and call the boundaries at its minima."""
    from ..workflows.insulation import call_insulation

    table = call_insulation(
        out,
        store=store,
        resolution=resolution,
        windows=window or (),
        chroms=chrom or None,
        weight=weight,
        strength=strength,
    )
    counts = table.groupby("window", sort=False)["is_boundary"].sum()
    context.obj.show(
        {"table": str(out), "boundaries": {f"{side:,} bp": int(n) for side, n in counts.items()}}
    )
