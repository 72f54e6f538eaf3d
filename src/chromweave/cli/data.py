"""Commands that make and show data: simulate, build, thin, inspect, windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import ConfigError
from .arguments import ChromOption, JobSeed, StoreOption, named_files

if TYPE_CHECKING:
    from ..data.store import RegionStore

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(simulate)
    app.command()(build)
    app.command()(thin)
    app.command()(inspect)
    app.command()(windows)


def simulate(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    preset: Annotated[str, typer.Option(help="tiny, small or chromosome.")] = "tiny",
    cell_lines: Annotated[int, typer.Option(help="Cell lines that share the sequence.")] = 2,
    replicates: Annotated[int, typer.Option(help="Replicate maps per cell line, beside the pooled one.")] = 1,
    cohesin: Annotated[
        bool, typer.Option("--cohesin/--no-cohesin", help="The same cells without: no loops, no domains.")
    ] = True,
    seed: JobSeed = 0,
) -> None:
    """Write a simulated genome: maps, tracks, loops, genes, and the truth behind them."""
    from ..sim.simulate import simulate as run

    simulation = run(
        out, preset=preset, cell_lines=cell_lines, replicates=replicates, seed=seed, cohesin=cohesin
    )
    context.obj.show(
        {
            "folder": str(simulation.path),
            "assembly": str(simulation.chrom_sizes),
            "resolutions": list(simulation.resolutions),
            **{
                f"cell_line_{name}": {"contacts": line.contacts.name, "tracks": list(line.tracks)}
                for name, line in simulation.cell_lines.items()
            },
        }
    )


def build(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Store to write, e.g. K562.store.", metavar="OUT.store")],
    contacts: Annotated[str | None, typer.Option(help=".hic, .cool, .mcool or cooler URI.")] = None,
    track: Annotated[list[str] | None, typer.Option(help="NAME=FILE.bw; repeat for several.")] = None,
    resolution: Annotated[list[int] | None, typer.Option(help="Bin size in bp; repeat for several.")] = None,
    chrom: ChromOption = None,
    max_distance: Annotated[
        int,
        typer.Option(help="Width in bp of the layers of 10 kb and finer; coarser ones hold every distance."),
    ] = 2_250_000,
    assembly: Annotated[
        str | None, typer.Option(help="hg19, hg38, mm10, mm39 or a chrom.sizes file. Default: by lengths.")
    ] = None,
    balance: Annotated[
        list[str] | None,
        typer.Option(
            help="Balancing vector to store, e.g. KR; repeat for several. Default: all in the file."
        ),
    ] = None,
    weight_type: Annotated[
        Literal["auto", "multiplicative", "divisive"], typer.Option(help="Direction of the file's vectors.")
    ] = "auto",
    name: Annotated[str | None, typer.Option(help="Name of the cell line. Default: the store's.")] = None,
    add_track: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE.bw to add to an existing store; repeat for several.")
    ] = None,
    add_contacts: Annotated[
        str | None, typer.Option(help="Map to add to an existing store, at --resolution.")
    ] = None,
) -> None:
    """Turn a map and tracks into one store, or extend a store."""
    from ..data import build as building

    if add_track or add_contacts:
        if contacts or track:
            raise ConfigError(
                "--add-track and --add-contacts extend a store; --contacts and --track make one."
            )
        store = None
        if add_contacts:
            store = building.add_contacts(
                out,
                add_contacts,
                resolutions=_resolutions(resolution),
                max_distance=max_distance,
                weights=balance or None,
                weight_type=weight_type,
            )
        if add_track:
            store = building.add_tracks(out, named_files(add_track, "--add-track"))
    else:
        store = building.build(
            out,
            contacts=contacts,
            tracks=named_files(track, "--track"),
            resolutions=_resolutions(resolution) if contacts else (),
            assembly=assembly,
            chroms=chrom or None,
            max_distance=max_distance,
            weights=balance or None,
            weight_type=weight_type,
            name=name,
        )
    assert store is not None
    context.obj.show(_describe(store))


def thin(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Store to write, e.g. K562.tenth.store.", metavar="OUT.store")],
    store: StoreOption,
    fraction: Annotated[float, typer.Option(help="Chance of each contact to stay; above 0, at most 1.")],
    seed: JobSeed = 0,
    name: Annotated[str | None, typer.Option(help="Name of the cell line. Default: the store's.")] = None,
) -> None:
    """Write a store with fewer contacts: each of another's stays with one chance."""
    from ..data.thin import thin_store

    thinned = thin_store(out, store, fraction, seed=seed, name=name)
    context.obj.show({**_describe(thinned), "fraction": fraction, "contacts": _contacts(thinned)})


def _contacts(store: RegionStore) -> dict[str, int]:
    """Raw contacts of each layer."""
    return {
        str(r): sum(one["contacts"] for one in store.manifest["contacts"][str(r)]["chromosomes"].values())
        for r in store.resolutions
    }


def _resolutions(values: list[int] | None) -> tuple[int, ...]:
    if not values:
        raise ConfigError("--resolution is needed with a map, e.g. --resolution 5000 --resolution 25000.")
    return tuple(values)


def _describe(store: RegionStore) -> dict[str, Any]:
    return {
        "store": str(store.path),
        "name": store.name,
        "assembly": store.assembly.name,
        "chromosomes": list(store.chromosomes),
        "resolutions": list(store.resolutions),
        "weights": {str(r): list(store.weight_names(r)) for r in store.resolutions},
        "tracks": list(store.track_names),
        "bytes": sum(path.stat().st_size for path in Path(store.path).rglob("*") if path.is_file()),
    }


def inspect(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="Region store.", metavar="STORE")],
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and check its checksum.")] = False,
) -> None:
    """Show what a store holds and where it comes from; check it with --verify."""
    from ..data.store import RegionStore

    opened = RegionStore.open(store)
    if verify:
        opened.verify()
    shown = _describe(opened)
    layers = opened.manifest.get("contacts", {})
    for resolution in opened.resolutions:
        entry = layers.get(str(resolution), {})
        shown[f"layer_{resolution}"] = {
            key: value for key, value in entry.items() if isinstance(value, str | int | float)
        }
    if thinned := opened.manifest.get("thinned"):
        shown["thinned"] = [f"{one['store']} to {one['fraction']:g}, seed {one['seed']}" for one in thinned]
    shown["sources"] = [source["path"] for source in opened.manifest.get("sources", ())]
    if verify:
        shown["verified"] = True
    context.obj.show(shown)


def windows(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Table to write.", metavar="OUT.parquet")],
    store: StoreOption,
    around: Annotated[
        Literal["loops", "tss", "grid"], typer.Option(help="What the windows are centred on.")
    ] = "grid",
    loops: Annotated[Path | None, typer.Option(help="BEDPE (or Juicebox, washU) for --around loops.")] = None,
    tss: Annotated[Path | None, typer.Option(help="Gene table for --around tss.")] = None,
    step: Annotated[int, typer.Option(help="Step in bp for --around grid.")] = 62_500,
    max_distance: Annotated[
        int, typer.Option(help="Also windows off the diagonal up to this distance in bp, for --around grid.")
    ] = 0,
    protocol: Annotated[
        Literal["strict", "paper"] | None,
        typer.Option(
            help="strict: strict negatives, splits apart; paper: negatives as published. Default: strict."
        ),
    ] = None,
    negatives: Annotated[
        Literal["strict", "anchors", "paper", "none"] | None,
        typer.Option(
            help="strict: distance-matched 1:1 with an exclusion zone; anchors: the same among anchors of "
            "different loops; paper: as published. Default: those of the protocol."
        ),
    ] = None,
    resolution: Annotated[int, typer.Option(help="Layer the windows are cut from, bp.")] = 5000,
    chrom: ChromOption = None,
    split: Annotated[
        Literal["chromosomes", "blocks", "random"],
        typer.Option(
            help="How train, validation and test are kept apart; random: not, the windows are shuffled."
        ),
    ] = "chromosomes",
    valid_chrom: Annotated[
        list[str] | None, typer.Option(help="Validation chromosome (--split chromosomes).")
    ] = None,
    test_chrom: Annotated[
        list[str] | None, typer.Option(help="Test chromosome (--split chromosomes).")
    ] = None,
    valid_fraction: Annotated[
        float | None,
        typer.Option(
            help="Validation share of each chromosome (--split blocks, default 0.15) "
            "or of the windows (--split random, default 0.1)."
        ),
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            help="Test share of each chromosome (--split blocks, default 0.25) "
            "or of the windows (--split random, default 0.1)."
        ),
    ] = None,
    gap: Annotated[int, typer.Option(help="bp between blocks (--split blocks).")] = 2_000_000,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Region left out, e.g. chr22:19000000-23300000.")
    ] = None,
    seed: JobSeed = 0,
) -> None:
    """Make a table of windows: coordinates, labels and splits; no signal is copied."""
    from ..workflows.windows import SplitConfig, make_windows

    report = make_windows(
        out,
        store=store,
        around=around,
        loops=loops,
        tss=tss,
        step=step,
        max_distance=max_distance,
        protocol=protocol,
        negatives=negatives,
        resolution=resolution,
        split=SplitConfig(
            by=split,
            chroms=tuple(chrom or ()),
            valid_chroms=tuple(valid_chrom or ()),
            test_chroms=tuple(test_chrom or ()),
            valid_fraction=valid_fraction,
            test_fraction=test_fraction,
            gap=gap,
            seed=seed,
        ),
        exclude=exclude or (),
        seed=seed,
    )
    context.obj.show({"table": str(out), **report.summary()})
