"""How long an epoch of a graph model takes, beside PyTorch Geometric's own path; and a whole genome.

    python -m benchmarks.graph_speed --data ../shared/data --folder DIR [--epochs 5] [--rounds 2]

First the faithful preset on GM12878 chr20 (25 kb, contacts within 5 Mb), full-batch: our CSR layers, and the
same model of PyTorch Geometric's ``GCNConv`` and ``VGAE`` as they come, on an edge index in both directions.
Same weights, same non-contacts, same noise: posterior and logits must be equal to a float's precision, else
nothing is written. (Its losses differ in the third digit, as log(sigmoid + 1e-15) saturates.) Each runs in
processes of its own, by turns. Then a genome of the 22 autosomes of hg38 at 25 kb: an epoch of both presets,
a chromosome a batch, and training and encoding by commands.

Seconds are of the processor, on one thread, so that it matters little who else uses the machine; an epoch is
forward, backward and the optimiser's step, the median of all. Peak memory is that of the whole process.
Writes ``benchmarks/results/graph_speed.{tsv,json,md}``.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.loop_peers import measured
from benchmarks.tables import write_results
from benchmarks.three_tasks import Step
from chromweave.genome import Assembly

DEEP = {"name": "GM12878 chr20, 25 kb", "chroms": ("chr20",), "resolution": 25_000}
ASSEMBLY = Assembly.named("hg38")
GENOME = {"name": "22 chromosomes, 25 kb", "chroms": ASSEMBLY.autosomes, "resolution": 25_000}
REACH = 5_000_000
DEPTH, SEED = 15.0, 0
EQUAL = 1e-5
SAID = ("mean", "log_std", "logits")


def write_genome(folder: Path) -> tuple[Path, Path]:
    """A map of every autosome whose contacts fall as 1 / distance, checkered, up to 5 Mb; and a track."""
    import cooler
    import pybigtools

    rng, resolution, reach = np.random.default_rng(SEED), GENOME["resolution"], REACH // GENOME["resolution"]
    bins, pieces, runs, offset = [], [], [], 0
    for chrom in ASSEMBLY.autosomes:
        length = ASSEMBLY.length(chrom)
        start = np.arange(0, length, resolution)
        end = np.minimum(start + resolution, length)
        side = np.where(rng.random(len(start) // 40 + 1) < 0.5, -1.0, 1.0).repeat(40)[: len(start)]
        seen = rng.uniform(0.6, 1.4, len(start))
        found = []
        for d in range(reach + 1):
            i = np.arange(len(start) - d)
            rate = DEPTH / (1 + d) * seen[i] * seen[i + d] * (1 + 0.4 * side[i] * side[i + d])
            found.append((i, rng.poisson(rate)))
        first = np.concatenate([i[c > 0] for i, c in found])
        second = np.concatenate([i[c > 0] + d for d, (i, c) in enumerate(found)])
        count = np.concatenate([c[c > 0] for _, c in found])
        order = np.lexsort([second, first])
        pixels = {"bin1_id": first[order] + offset, "bin2_id": second[order] + offset, "count": count[order]}
        pieces.append(pd.DataFrame(pixels))
        # ICE finds no balance along 10,000 bins that touch nothing but their neighbours; it is known here.
        bins.append(pd.DataFrame({"chrom": chrom, "start": start, "end": end, "weight": 1 / seen}))
        signal = 2 + side + rng.normal(0, 0.2, len(start))
        runs += zip([chrom] * len(start), start.tolist(), end.tolist(), signal.tolist(), strict=True)
        offset += len(start)
    folder.mkdir(parents=True, exist_ok=True)
    contacts, track = folder / "genome.cool", folder / "signal.bw"
    cooler.create_cooler(str(contacts), pd.concat(bins, ignore_index=True), iter(pieces), ordered=True)
    lengths = {chrom: ASSEMBLY.length(chrom) for chrom in ASSEMBLY.autosomes}
    pybigtools.open(str(track), "w").write(lengths, iter(runs))
    return contacts, track


def genome_store(folder: Path) -> Path:
    """The genome's store."""
    store = folder / "genome.store"
    if not (store / "manifest.json").exists():
        contacts, track = write_genome(folder)
        Step(
            store / "manifest.json",
            (
                "build", str(store), "--contacts", str(contacts), "--resolution", "25000",
                "--assembly", "hg38", "--track", f"signal={track}",
            ),
        ).run()  # fmt: skip
    return store


def deep_store(folder: Path, data: Path) -> Path:
    """The real map's store, with the tracks of the original."""
    store, files = folder / "chr20.store", data / "gm12878_chr20_hg19"
    tracks = [f"{name}={files}/GM12878.{name}.bw" for name in ("CTCF", "H3K27me3")]
    Step(
        store / "manifest.json",
        (
            "build", str(store), "--contacts", f"{files}/GM12878.chr20.mcool", "--resolution", "25000",
            "--assembly", "hg19", "--track", tracks[0], "--track", tracks[1],
        ),
    ).run()  # fmt: skip
    return store


# What runs in a process of its own.


def epochs(store: str, kind: str, n: int, out: str) -> None:
    """Time `n` epochs of one kind after a first, and write what the model says at its first weights."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of PyTorch Geometric's imports
    of = {"csr": csr_epoch, "edge-index": edge_index_epoch}.get(kind, genome_epoch)
    before = peak()
    state = of(store, kind)
    torch.manual_seed(SEED)
    seconds = []
    for _ in range(n + 1):
        start = time.process_time()
        state["epoch"]()
        seconds.append(time.process_time() - start)
    np.savez(out, **{name: state[name] for name in SAID})
    said = {"seconds": seconds[1:], "megabytes": peak(), "imported": before}
    print(json.dumps({**said, **{key: state[key] for key in ("bins", "edges")}}))


def peak() -> float:
    """Most memory this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def material(store: str, names: tuple[str, ...], by_chromosome: bool) -> dict[str, Any]:
    """Graph, split and parts, as `graph train` makes them."""
    from chromweave.data.graph import GraphConfig, build_graph, split_edges
    from chromweave.data.graph_batches import graph_parts
    from chromweave.data.store import RegionStore

    opened = RegionStore.open(store)
    graph = build_graph(opened, GraphConfig(25_000, names, opened.track_names, REACH))
    split = split_edges(graph, seed=SEED)
    return {
        "graph": graph,
        "split": split,
        "parts": graph_parts(graph, split.message, by_chromosome=by_chromosome),
    }


def random_pairs(starts: np.ndarray, edges: int) -> np.ndarray:
    """Pairs of nodes of one part each, `edges` in all, int64 (2, pairs)."""
    rng = np.random.default_rng(SEED)
    sizes = np.diff(starts)
    return np.concatenate(
        [
            first + rng.integers(0, n, (2, edges * n // sizes.sum()))
            for first, n in zip(starts, sizes, strict=False)
        ],
        axis=1,
    )


def faithful(given: dict[str, Any]) -> tuple[Any, list[Any], Callable[[], float]]:
    """The faithful network, its batches, and an epoch that gives the loss."""
    import torch

    from chromweave.batch import EdgeBatch
    from chromweave.models.vgae import VGAE, VGAEConfig
    from chromweave.training.edges import EdgePrediction

    parts, message = given["parts"], given["split"].message
    pool = random_pairs(parts.starts, len(message))
    asked = zip(parts.batches, parts.divide(message.index.numpy()), parts.divide(pool), strict=True)
    batches = [
        EdgeBatch(batch, torch.from_numpy(own), torch.from_numpy(others)) for batch, own, others in asked
    ]
    torch.manual_seed(SEED)
    network = VGAE(VGAEConfig(given["graph"].features.shape[1]))
    objective = EdgePrediction(lambda label, score: {})
    return network, batches, stepper(network, batches, lambda batch: objective.step(network, batch).total)


def stepper(network: Any, batches: list[Any], loss: Callable[[Any], Any]) -> Callable[[], float]:
    """An epoch: gradients of all batches, and one step."""
    import torch

    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)

    def epoch() -> float:
        network.train()
        optimiser.zero_grad()
        total = 0.0
        for batch in batches:
            value = loss(batch)
            value.backward()
            total += float(value)
        optimiser.step()
        return total

    return epoch


def outcome(
    given: dict[str, Any], epoch: Callable[[], float], posterior: Any, logits: Any = None
) -> dict[str, Any]:
    """What :func:`epochs` asks for."""
    return {
        "epoch": epoch,
        "mean": posterior.mean.detach().numpy(),
        "log_std": posterior.log_std.detach().numpy(),
        "logits": np.empty(0) if logits is None else logits.detach().numpy(),
        "bins": given["graph"].n_nodes,
        "edges": given["graph"].edges.shape[1],
    }


def csr_epoch(store: str, kind: str) -> dict[str, Any]:
    """Ours."""
    given = material(store, DEEP["chroms"], False)
    network, batches, epoch = faithful(given)
    posterior = network.eval().encode(batches[0].graph)
    logits = network.decode(posterior.mean, batches[0].graph, batches[0].positives)
    return outcome(given, epoch, posterior, logits)


def edge_index_epoch(store: str, kind: str) -> dict[str, Any]:
    """The same weights in PyTorch Geometric's model on an edge index, as its documentation writes it."""
    import torch
    from torch_geometric.nn import VGAE, GCNConv

    from chromweave.batch import Posterior

    given = material(store, DEEP["chroms"], False)
    network, batches, _ = faithful(given)
    batch, message = batches[0], given["split"].message.index
    features, index = batch.graph.features, torch.cat([message, message.flip(0)], dim=1)

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.dropout = torch.nn.BatchNorm1d(features.shape[1]), torch.nn.Dropout(0.2)
            self.shared = GCNConv(features.shape[1], network.config.hidden)
            self.mean, self.log_std = (
                GCNConv(network.config.hidden, network.config.latent) for _ in range(2)
            )

        def forward(self, x: Any, index: Any) -> tuple[Any, Any]:
            hidden = self.dropout(self.shared(self.norm(x), index).relu())
            return self.mean(hidden, index), self.log_std(hidden, index)

    model = VGAE(Encoder())  # which draws its weights anew
    for name in ("shared", "mean", "log_std"):
        take_weights(getattr(model.encoder, name), getattr(network, name))

    def loss(asked: Any) -> Any:
        z = model.encode(features, index)
        return model.recon_loss(z, asked.positives, asked.negatives) + model.kl_loss() / len(features)

    with torch.no_grad():
        mean, log_std = model.eval().encoder(features, index)
        logits = model.decode(mean, batch.positives, sigmoid=False)
    return outcome(given, stepper(model, [batch], loss), Posterior(mean=mean, log_std=log_std), logits)


def take_weights(theirs: Any, ours: Any) -> None:
    """Give PyTorch Geometric's layer the weights of ours."""
    import torch

    with torch.no_grad():
        theirs.lin.weight.copy_(ours.linear.weight)
        theirs.bias.copy_(ours.bias)


def genome_epoch(store: str, kind: str) -> dict[str, Any]:
    """One of the presets on the genome, a chromosome a batch."""
    import torch

    from chromweave.models.vgae import VGAE, VGAEConfig
    from chromweave.training.edge_counts import CountPrediction
    from chromweave.workflows.graph_settings import PRESETS

    given = material(store, GENOME["chroms"], True)
    graph, parts = given["graph"], given["parts"]
    if kind == "vgae-original":
        network, batches, epoch = faithful(given)
        return outcome(given, epoch, network.eval().encode(batches[0].graph))
    chosen = PRESETS[kind]
    config = VGAEConfig(
        graph.features.shape[1], chosen["hidden"], chosen["latent"], chosen["dropout"], chosen["encoder"],
        chosen["decoder"], chosen["likelihood"], graph.n_nodes, graph.max_bins,
    )  # fmt: skip
    network = VGAE(config)
    network.own.place(torch.from_numpy(graph.chrom), torch.from_numpy(graph.bins))
    objective = CountPrediction(0.2, chosen["smoothness"], lambda label, score: {}, chosen["noise"])
    batches = parts.counted(given["split"].message)
    epoch = stepper(network, batches, lambda batch: objective.step(network, batch).total)
    return outcome(given, epoch, network.eval().encode(parts.batches[0]))


# What is told.


def timed(store: Path, kind: str, n: int, made: Path) -> dict[str, Any]:
    """:func:`epochs` in a process of its own."""
    words = ["-m", "benchmarks.graph_speed", "--kind", kind, "--store", str(store), "--epochs", str(n)]
    print(" ".join(words), flush=True)
    command = [sys.executable, *words, "--out", str(made)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def side_by_side(store: Path, folder: Path, n: int, rounds: int) -> list[dict[str, Any]]:
    """Both paths by turns, and whether they say the same."""
    kinds, made = ("csr", "edge-index"), {}
    found = [
        {
            "kind": kind,
            "map": DEEP["name"],
            **timed(store, kind, n, made.setdefault(kind, folder / f"{kind}.npz")),
        }
        for _ in range(rounds)
        for kind in kinds
    ]
    ours, theirs = (np.load(made[kind]) for kind in kinds)
    for name in SAID:
        apart = float(np.abs(ours[name] - theirs[name]).max())
        print(f"{name}: at most {apart:.2g} apart")
        if not apart < EQUAL:
            raise SystemExit(f"the two models differ in {name} by {apart:g}.")
    return found


def commands(store: Path, folder: Path) -> list[dict[str, Any]]:
    """Training for two epochs, and encoding, as a user would."""
    program = str(Path(sys.executable).with_name("chromweave"))
    run, out = folder / "genome.run", folder / "genome.h5ad"
    train = [
        program, "graph", "train", str(run), "--store", str(store), "--resolution", "25000", "--preset",
        "vgae-original", "--by-chromosome", "--epochs", "2",
    ]  # fmt: skip
    encode = [program, "graph", "encode", str(out), "--model", str(run), "--store", str(store), "--no-umap"]
    rows = []
    for kind, command, made in (
        ("graph train, 2 epochs", train, run / "config.json"),
        ("graph encode --no-umap", encode, out),
    ):
        cost = measured(command, made)
        rows.append(
            {"kind": kind, "map": GENOME["name"], "seconds": [cost.seconds], "megabytes": cost.megabytes}
        )
    return rows


def summary(table: pd.DataFrame) -> str:
    """Markdown."""
    lines = ["| map | what | bins | edges | processor seconds | peak memory |", "|---" * 6 + "|"]
    for (name, kind), rows in table.groupby(["map", "kind"], sort=False):
        size = [f"{rows[key].iloc[0]:,.0f}" if rows[key].notna().all() else "" for key in ("bins", "edges")]
        lines.append(
            f"| {name} | {kind} | {' | '.join(size)} | {rows['seconds'].median():.3f} "
            f"| {rows['megabytes'].max():,.0f} MB |"
        )
    median = table.groupby("kind")["seconds"].median()
    ratio = median["edge-index"] / median["csr"]
    return "\n".join([*lines, "", f"An epoch on an edge index takes {ratio:.1f} times as long as ours."])


def main() -> None:
    """Measure all, or in a process of its own one kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--folder", type=Path, help="where everything is kept")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.kind:
        epochs(given.store, given.kind, given.epochs, given.out)
        return
    if given.data is None or given.folder is None:
        parser.error("--data and --folder are needed.")
    given.folder.mkdir(parents=True, exist_ok=True)
    rows = side_by_side(deep_store(given.folder, given.data), given.folder, given.epochs, given.rounds)
    genome = genome_store(given.folder)
    for kind in ("vgae-original", "distance-aware"):
        found = timed(genome, kind, 3, given.folder / f"{kind}.npz")
        rows.append({"kind": f"{kind}, an epoch", "map": GENOME["name"], **found})
    rows += commands(genome, given.folder)
    table = pd.DataFrame(rows).explode("seconds").astype({"seconds": float})
    text = summary(table)
    write_results("graph_speed", "Speed of graph models", table, text, threads=1)
    print(text)


if __name__ == "__main__":
    main()
