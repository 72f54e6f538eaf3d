"""Does pre-training bring maps and tracks together? Paired retrieval on held-out chromosomes.

    python -m benchmarks.pretraining_retrieval [--folder DIR] [--k562 ../shared/data/k562_chr22_hg38]

Simulates three cell lines (preset ``small``, six chromosomes), pre-trains the preset ``small`` on two of them
with chr5 for validation and chr6 for test, and asks on chr6, which nothing has looked at: of all windows'
tracks, how often are a map's own the nearest, and the other way round? Also for the third line, which was not
trained on; for windows without masked bins, as what no read can cover shows in both modalities; for the
network before its first step; and for two trivial rows. With ``--k562`` the same is done by blocks on chr22
of K562, of which there is only one line. ``--folder`` keeps what was made, and a run that is there is not
trained again. Writes ``benchmarks/results/pretraining_retrieval[_k562].{json,md}`` and the curve, a figure in
``docs/figures``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

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
from chromweave.training.objectives import PairedPretraining, partner_ranks, score
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


@dataclass(frozen=True)
class Simple:
    """What the trivial rows know of windows.

    Parameters
    ----------
    tracks
        (windows, bins * tracks): mean of each track in each bin of the x segment.
    maps
        (windows, 325): log observed/expected of 10 kb pixels, upper triangle.
    masked, silent
        bool (windows, bins): bins without a balancing weight; the twentieth of a window's bins with the least
        signal.
    """

    tracks: Tensor
    maps: Tensor
    masked: Tensor
    silent: Tensor

    @classmethod
    def of(cls, windows: WindowDataset) -> Simple:
        """Look at windows, some at a time."""
        parts = []
        for start in range(0, len(windows), 256):
            batch = windows.batch(np.arange(start, min(start + 256, len(windows))))
            bins = windows.window_bins
            signal = batch.tracks[:, : batch.tracks.shape[1] // 2].unflatten(1, (bins, -1)).mean(2).double()
            pooled = F.avg_pool2d(batch.contact_map, 2)[:, 0].double()
            upper = torch.triu_indices(bins // 2, bins // 2)
            total = signal.sum(-1)
            parts.append(
                (
                    signal.flatten(1),
                    pooled[:, upper[0], upper[1]],
                    ~batch.contact_mask[:, 0].any(-1),
                    total <= total.quantile(0.05, dim=1, keepdim=True),
                )
            )
        return cls(*(torch.cat(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Ridge:
    """Sixty principal components of the map by ridge regression from the tracks' means."""

    centre: Tensor
    spread: Tensor
    middle: Tensor
    components: Tensor
    weights: Tensor

    @classmethod
    def fit(cls, train: Simple, components: int = 60, penalty: float = 300.0) -> Ridge:
        """Fit on training windows."""
        centre, spread = train.tracks.mean(0), train.tracks.std(0) + 1e-9
        middle = train.maps.mean(0)
        _, values, axes = torch.linalg.svd(train.maps - middle, full_matrices=False)
        axes = axes[:components].T / (values[:components] / len(train.maps) ** 0.5)
        x = (train.tracks - centre) / spread
        gram = x.T @ x + penalty * torch.eye(x.shape[1], dtype=x.dtype)
        return cls(centre, spread, middle, axes, torch.linalg.solve(gram, x.T @ (train.maps - middle) @ axes))

    def pair(self, windows: Simple) -> tuple[Tensor, Tensor]:
        """Tracks and maps in one space."""
        tracks = (windows.tracks - self.centre) / self.spread @ self.weights
        return tracks, (windows.maps - self.middle) @ self.components


def silent_bins(windows: Simple) -> tuple[Tensor, Tensor]:
    """Silent bins of the tracks and masked bins of the map: what no map can show, no read can cover."""
    generator = torch.Generator().manual_seed(0)  # windows without any are found by chance
    noise = 1e-6 * torch.rand(2, *windows.masked.shape, generator=generator, dtype=torch.float64)
    return windows.silent + noise[0], windows.masked + noise[1]


def hits(tracks: Tensor, maps: Tensor) -> dict[str, float]:
    """Retrieval by cosine, both ways."""
    tracks, maps = F.normalize(tracks, dim=1), F.normalize(maps, dim=1)
    ranks = torch.cat([partner_ranks(tracks, maps), partner_ranks(maps, tracks)])
    return {
        "retrieval_top1": (ranks < 1).double().mean().item(),
        "retrieval_top5": (ranks < 5).double().mean().item(),
    }


def row(method: str, line: str, which: str, n: int, scores: dict[str, float]) -> dict[str, object]:
    """One line of the table."""
    top1, top5 = scores["retrieval_top1"], scores["retrieval_top5"]
    return {
        "method": method,
        "cell line": line,
        "test windows": which,
        "number": n,
        "chance": 1 / n,
        "own first": top1,
        "times chance": top1 * n,
        "own in five": top5,
        "times chance of that": top5 * n / 5,
    }


def measure(lines: Lines, folder: Path, config: PretrainConfig, seed: int) -> pd.DataFrame:
    """Pre-train, and score network and trivial rows on every line's test windows."""
    trained = list(lines.stores)[: lines.trained]
    run = folder / "run"
    if not (run / "model.safetensors").is_file():
        foundation.pretrain(
            run,
            stores=[lines.stores[name] for name in trained],
            windows=[lines.tables[name] for name in trained],
            config=config,
            seed=seed,
            resume=(run / "checkpoints" / "last.ckpt").is_file(),
        )
    model = foundation.load(run)
    given = ModelInput.parse(model.description.data, str(run))
    transform = replace(given.transform, augmentations=(), contacts="observed_expected")
    with seeded(seed):
        untrained = MixHicPretrain(model.network.config).eval()

    def windows(name: str, split: str, keep: np.ndarray | None = None) -> WindowDataset:
        store = RegionStore.open(lines.stores[name])
        table = read_windows(lines.tables[name], store=store, splits=[split])
        if keep is not None:
            attrs, table = table.attrs, table[keep]
            table.attrs = attrs
        return WindowDataset([store], [table], transform, split=split)

    known = [Simple.of(windows(name, "train")) for name in trained]
    ridge = Ridge.fit(Simple(*(torch.cat([getattr(k, f.name) for k in known]) for f in fields(Simple))))
    rows = []
    for name in lines.stores:
        line = name + ("" if name in trained else " (not trained on)")
        whole = Simple.of(windows(name, "test")).masked.any(1).numpy()
        for which, keep in (("all", None), ("without masked bins", ~whole)):
            chosen = windows(name, "test", keep)
            simple, n = Simple.of(chosen), len(chosen)
            if keep is None:
                rows.append(row("masked bins are silent bins", line, which, n, hits(*silent_bins(simple))))
            rows.append(row("ridge from means of bins", line, which, n, hits(*ridge.pair(simple))))
            for label, network in (("network before training", untrained), ("pre-trained", model.network)):
                scores = score(PairedPretraining(), network, loader(chosen, 64))
                rows.append(row(label, line, which, n, scores))
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
    config = replace(config, fit=replace(config.fit, accelerator="cpu"))
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
        command = "python -m benchmarks.pretraining_retrieval"
        command += "" if given.k562 is None else " --k562 DATA"
        command += "" if given.epochs is None else f" --epochs {given.epochs}"
        write(name, table, folder / "run", config, title, command)


if __name__ == "__main__":
    main()
