"""Does pre-training bring maps and tracks together? Paired retrieval on held-out chromosomes.

    python -m benchmarks.pretraining_retrieval [--folder DIR] [--k562 ../shared/data/k562_chr22_hg38]

Simulates three cell lines (preset ``small``, six chromosomes), pre-trains the preset ``small`` on two of them
with chr5 for validation and chr6 for test, and asks on chr6, which nothing has looked at: of all windows'
tracks, how often are a map's own the nearest, and the other way round? Also for the third line, which was not
trained on, and for the network before its first step. With ``--k562`` the same is done by blocks on chr22 of
K562 instead, of which there is only one line. ``--folder`` keeps what was made; a run that was interrupted
goes on from there. Writes ``benchmarks/results/pretraining_retrieval[_k562].{json,md}`` and the curve, a
figure in ``docs/figures``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from chromweave.data.build import build
from chromweave.data.dataset import WindowDataset, loader
from chromweave.data.store import RegionStore
from chromweave.data.windows import read_windows
from chromweave.files import atomic_path, write_json
from chromweave.models.mixhic import MixHicPretrain
from chromweave.plot.curves import training_figure
from chromweave.plot.style import image_bytes
from chromweave.provenance import describe_process
from chromweave.sim.simulate import simulate
from chromweave.training.engine import seeded
from chromweave.training.objectives import PairedPretraining, score
from chromweave.workflows import foundation
from chromweave.workflows.foundation import PretrainConfig
from chromweave.workflows.model_input import ModelInput
from chromweave.workflows.windows import SplitConfig, make_windows

ROOT = Path(__file__).parents[1]
RESULTS, FIGURES = ROOT / "benchmarks" / "results", ROOT / "docs" / "figures"
TRACKS = ("ATAC", "DNase", "CTCF", "H3K27ac")
SHOWN = {"retrieval_top1": "top 1", "retrieval_top5": "top 5", "contrastive": "contrastive loss"}
STEP = 25_000


@dataclass(frozen=True)
class Lines:
    """Cell lines by name, those that are trained on first.

    Parameters
    ----------
    stores, tables
        Paths.
    trained
        How many are trained on.
    """

    stores: dict[str, Path]
    tables: dict[str, Path]
    trained: int


def simulated_lines(folder: Path, seed: int) -> Lines:
    """Three simulated cell lines; chr5 is validation, chr6 test."""
    genome = folder / "genome"
    if not (genome / "simulation.json").is_file():
        simulate(genome, preset="small", cell_lines=3, seed=seed)
    split = SplitConfig(valid_chroms=("chr5",), test_chroms=("chr6",))
    stores, tables = {}, {}
    for name in "ABC":
        stores[name] = folder / f"{name}.store"
        if not stores[name].exists():
            tracks = {track: genome / f"{name}.{track}.bw" for track in TRACKS}
            build(
                stores[name],
                contacts=genome / f"{name}.mcool",
                tracks=tracks,
                resolutions=(5000,),
                assembly=str(genome / "sim-small.chrom.sizes"),
            )
        tables[name] = folder / f"{name}.parquet"
        make_windows(tables[name], store=stores[name], around="grid", step=STEP, split=split, seed=seed)
    return Lines(stores, tables, trained=2)


def k562(folder: Path, data: Path, seed: int) -> Lines:
    """chr22 of K562 without its amplicon, by blocks."""
    store, table = folder / "K562.store", folder / "K562.parquet"
    if not store.exists():
        tracks = {track: data / f"K562.{track}.bw" for track in TRACKS}
        build(store, contacts=data / "K562.chr22.mcool", tracks=tracks, resolutions=(5000,))
    split = SplitConfig(by="blocks")
    exclude = ("chr22:19000000-23300000",)
    make_windows(table, store=store, around="grid", step=STEP, split=split, exclude=exclude, seed=seed)
    return Lines({"K562": store}, {"K562": table}, trained=1)


def retrieval(network: torch.nn.Module, given: ModelInput, store: Path, table: Path) -> dict[str, float]:
    """Scores of a network on the test windows of one line."""
    opened = RegionStore.open(store)
    transform = replace(given.transform, augmentations=())
    windows = WindowDataset(
        [opened], [read_windows(table, store=opened, splits=["test"])], transform, split="test"
    )
    return {"windows": len(windows), **score(PairedPretraining(), network, loader(windows, 64))}


def row(network: str, line: str, scores: dict[str, float]) -> dict[str, object]:
    """One line of the table."""
    chance = scores["retrieval_chance"]
    return {
        "network": network,
        "cell line": line,
        "windows": int(scores["windows"]),
        "chance": chance,
        "top 1": scores["retrieval_top1"],
        "times chance": scores["retrieval_top1"] / chance,
        "top 5": scores["retrieval_top5"],
        "times chance of top 5": scores["retrieval_top5"] / (5 * chance),
        "mapping cosine": scores["mapping_cosine"],
    }


def measure(lines: Lines, folder: Path, config: PretrainConfig, seed: int) -> pd.DataFrame:
    """Pre-train, and score the network before and after on every line's test windows."""
    trained = list(lines.stores)[: lines.trained]
    run = folder / "run"
    result = foundation.pretrain(
        run,
        stores=[lines.stores[name] for name in trained],
        windows=[lines.tables[name] for name in trained],
        config=config,
        seed=seed,
        resume=(run / "checkpoints" / "last.ckpt").is_file(),
    )
    model = foundation.load(result.run)
    given = ModelInput.parse(model.description.data, str(run))
    with seeded(seed):
        untrained = MixHicPretrain(model.network.config)
    rows = []
    for label, network in (("before training", untrained), ("pre-trained", model.network)):
        for name, store in lines.stores.items():
            seen = "" if name in trained else " (not trained on)"
            rows.append(row(label, name + seen, retrieval(network, given, store, lines.tables[name])))
    return pd.DataFrame(rows)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write(
    name: str, table: pd.DataFrame, run: Path, config: PretrainConfig, title: str, command: str
) -> None:
    """The table, its circumstances, and the curve."""
    metrics = pd.read_csv(run / "metrics.csv")
    valid = metrics[metrics["split"] == "valid"]
    one = float(valid.loc[valid["metric"] == "retrieval_chance", "value"].iloc[-1])
    figure = training_figure(
        valid, title=title, names=SHOWN, chance={"retrieval_top1": one, "retrieval_top5": 5 * one}
    )
    FIGURES.mkdir(exist_ok=True)
    with atomic_path(FIGURES / f"{name}.png") as temporary:
        temporary.write_bytes(image_bytes(figure, "png"))
    process = describe_process()
    write_json(RESULTS / f"{name}.json", {"process": process, "scores": table.to_dict(orient="records")})
    fit = config.fit
    cells = [[_shown(value) for value in row] for row in table.itertuples(index=False)]
    lines = [
        f"# {title}",
        "",
        f"`{command}`: preset `small`, {fit.epochs} epochs, batch {fit.batch_size}, learning rate "
        f"{fit.learning_rate:g}; test windows every {STEP // 1000} kb.",
        "",
        f"{process['machine']}, {process['time']}.",
        "",
        "| " + " | ".join(table.columns) + " |",
        "|" + "---|" * len(table.columns),
        *(f"| {' | '.join(row)} |" for row in cells),
    ]
    with atomic_path(RESULTS / f"{name}.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main() -> None:
    """Make the data, train, score, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where genome, stores and run are kept")
    parser.add_argument("--k562", type=Path, help="folder of the real K562 files, instead of simulated lines")
    parser.add_argument("--epochs", type=int, help="instead of the preset's")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    changes = {} if given.epochs is None else {"epochs": given.epochs}
    config = PretrainConfig.preset("small", **changes)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if given.folder is None else given.folder
        folder.mkdir(parents=True, exist_ok=True)
        if given.k562 is None:
            lines, name = simulated_lines(folder, given.seed), "pretraining_retrieval"
            title = "Paired retrieval, two simulated cell lines"
        else:
            lines, name = k562(folder, given.k562, given.seed), "pretraining_retrieval_k562"
            title = "Paired retrieval, K562 chr22"
        table = measure(lines, folder, config, given.seed)
        command = "python -m benchmarks.pretraining_retrieval" + (
            "" if given.k562 is None else " --k562 DATA"
        )
        write(name, table, folder / "run", config, title, command)


if __name__ == "__main__":
    main()
