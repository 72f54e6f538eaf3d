"""A run's model card: `README.md` for people and for the Hugging Face Hub, made of nothing but the run.

What a run did not record, the card says is not recorded. Stores and runs go by name, without their folders.
"""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..baselines.descriptions import describe
from ..data.store import RegionStore
from ..errors import FileFormatError, ModelError
from ..files import atomic_path, read_json
from ..models.mixhic import PRESETS
from ..models.tasks import reads_map
from ..training.checkpoint import CONFIG, WEIGHTS, read_description
from .architectures import MIX_HIC
from .networks import CARD, CONTACTS, EXPRESSION, LOOPS, PRETRAIN, TASKS, network_config
from .seen_places import covered_stretches

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["training_data", "write_model_card"]

_TITLES = {
    PRETRAIN: "MIX-HIC, pre-trained on pairs of contact windows and signal tracks",
    LOOPS: "MIX-HIC, fine-tuned for chromatin loops",
    CONTACTS: "MIX-HIC, fine-tuned for contact maps",
    EXPRESSION: "MIX-HIC, fine-tuned for expression",
}
_PURPOSES = {
    PRETRAIN: (
        "Two encoders, one for windows of the contact map and one for signal tracks along the same segments, "
        "that have learned which map and which tracks belong together, and to infer the tokens of one from "
        "those of the other. It is the start of fine-tuning; by itself it calls nothing."
    ),
    LOOPS: "It gives the probability that the two anchors at the centre of a window form a loop.",
    CONTACTS: "It gives the contacts of a window from the signal tracks along its two segments.",
    EXPRESSION: "It gives a signal, such as CAGE, in every bin of a window's two segments.",
}
_COMMANDS = {
    PRETRAIN: "finetune RUN --task loops --from FOLDER --store STORE --windows WINDOWS",
    LOOPS: "loops call OUT.bedpe --model FOLDER --store STORE",
    CONTACTS: "predict contacts OUT.mcool --model FOLDER --store STORE",
    EXPRESSION: "predict expression OUT_PREFIX --model FOLDER --store STORE",
}
_SPLITS = ("train", "valid")
_MOST_STRETCHES = 2000
_MEANINGS = {
    "loss": "what training minimises",
    "contrastive": "maps and tracks of the same window against those of others",
    "orthogonal": "overlap of what a token shares with its partner and what it does not",
    "mapping": "error of tokens inferred from the other modality",
    "temperature": "of the contrastive loss",
    "retrieval_top1": "share of windows whose own partner is the nearest of all in validation",
    "retrieval_top5": "share of windows whose own partner is among the nearest five",
    "alignment": "mean squared distance of partners on the unit sphere; lower is better",
    "uniformity": "log of the mean of exp(-2 d²) between windows; lower is better",
    "mapping_cosine": "cosine of inferred and true tokens; windows that are all alike have a high one, too",
    "auroc": "how often a loop scores above a non-loop",
    "average_precision": "area under the precision-recall curve; chance is the share of loops",
    "pearson": (
        "correlation with what was measured, over all known entries of all windows; of contacts that are not "
        "given over expected ones, distance alone has a high one"
    ),
}


def training_data(stores: Sequence[RegionStore], tables: Sequence[pd.DataFrame]) -> list[dict[str, Any]]:
    """What a run's provenance says of its windows: for each store, how many of each split, and where.

    Parameters
    ----------
    stores
        The stores, in order.
    tables
        A window table for each (:data:`schemas.WINDOWS`).

    Returns
    -------
    list of dict
        Plain values: name, manifest_sha256, and for ``"train"`` and ``"valid"`` the number of windows and
        the chromosomes they lie on, in the store's order. ``"train"`` also has the stretches of each
        chromosome that its windows cover (bp, before any jitter), where these are no more than 2,000.
    """
    described = []
    for store, table in zip(stores, tables, strict=True):
        entry: dict[str, Any] = {
            "name": store.name,
            "manifest_sha256": store.manifest_sha256,
        }
        for split in _SPLITS:
            rows = table[table["split"] == split]
            found = set(rows["chrom"].astype(str))
            entry[split] = {
                "windows": len(rows),
                "chromosomes": [chrom for chrom in store.chromosomes if chrom in found],
            }
        covered = covered_stretches(table[table["split"] == "train"])
        if sum(map(len, covered.values())) <= _MOST_STRETCHES:
            entry["train"]["stretches"] = {chrom: found.tolist() for chrom, found in covered.items()}
        described.append(entry)
    return described


@dataclass(frozen=True)
class _Run:
    """What a run folder says."""

    path: Path
    kind: str
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    provenance: Mapping[str, Any]
    parameters: int
    weights_sha256: str
    settings: Mapping[str, Any]
    first_epoch: Mapping[str, float]

    @property
    def mode(self) -> str | None:
        return self.model.get("mode")

    @property
    def architecture(self) -> str:
        return str(self.model.get("architecture", MIX_HIC))

    @property
    def transform(self) -> Mapping[str, Any]:
        return self.data["transform"]

    @property
    def simulated(self) -> bool:
        """Whether the assembly is one of :mod:`chromweave.sim`."""
        return str(self.data["assembly"]).startswith("sim-")


def write_model_card(run: str | Path) -> Path:
    """Write `README.md` into the folder of a finished run and return its path.

    The front matter names no licence and no data set of the hub: the first is for whoever publishes the
    weights to choose, and stores are no data sets of the hub.

    Parameters
    ----------
    run
        Folder with `config.json` and, where they are there, `config.toml` and `metrics.csv`.

    Raises
    ------
    ModelError
        The folder holds no model, or its description is damaged.
    OutputError
        The card cannot be written.
    """
    given = _read(Path(run))
    parts = [
        _front_matter(given), *_what_it_is(given), *_what_it_reads(given), *_trained_on(given),
        *_optimisation(given), *_validation(given), *_how_to_load(given), *_limits(given), *_origin(given),
    ]  # fmt: skip
    card = given.path / CARD
    with atomic_path(card) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return card


def _read(run: Path) -> _Run:
    description = read_description(run)
    whole = read_json(run / CONFIG)
    missing = [
        name for name in ("assembly", "resolution", "window_bins", "transform") if name not in whole["data"]
    ]
    if missing or "network" not in description.model:
        raise ModelError(f"{run / CONFIG}: lacks {', '.join(missing) or 'network'}; it is damaged.")
    return _Run(
        path=run,
        kind=description.kind,
        model=description.model,
        data=description.data,
        provenance=description.provenance,
        parameters=int(whole["parameters"]),
        weights_sha256=str(whole["weights_sha256"]),
        settings=_settings(run / "config.toml"),
        first_epoch=_first_epoch(run / "metrics.csv"),
    )


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise FileFormatError(f"{path}: is no TOML ({error}); restore it or train again.") from error


def _first_epoch(path: Path) -> dict[str, float]:
    """Validation scores after the first epoch."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("split") == "valid" and row.get("value")]
    return {row["metric"]: float(row["value"]) for row in rows if row["epoch"] == "1"}


def _front_matter(run: _Run) -> str:
    tags = ["biology", "genomics", "Hi-C", "chromatin", run.kind, str(run.data["assembly"])]
    tags += ["simulated data"] if run.simulated else []
    # JSON strings are YAML strings, whatever they hold.
    listed = "\n".join(f"- {json.dumps(tag)}" for tag in tags)
    return f"---\nlibrary_name: chromweave\ntags:\n{listed}\n---"


def _what_it_is(run: _Run) -> Iterable[str]:
    title = _TITLES.get(run.kind, run.kind)
    if run.architecture != MIX_HIC:
        title = title.replace("MIX-HIC, fine-tuned", f"{run.architecture}, trained")
    yield f"# {title}"
    yield _PURPOSES.get(run.kind, f"A model of kind {_code(run.kind)}.")
    yield from _what_it_answers(run)
    if run.architecture != MIX_HIC:
        yield from _what_a_baseline_is(run)
        return
    config = network_config(run.model)
    sizes = [
        name
        for name, preset in PRESETS.items()
        if all(getattr(preset, key) == getattr(config, key) for key in ("channels", "heads", "depth"))
    ]
    named = f"the sizes of the preset {_code(sizes[0])}" if sizes else "sizes of its own"
    reads = "" if run.mode is None else f" Its mode is {_code(run.mode)}."
    yield f"It has {run.parameters:,} parameters and {named}.{reads}"
    yield _table(("network", "value"), [(key, _shown(value)) for key, value in run.model["network"].items()])


def _what_a_baseline_is(run: _Run) -> Iterable[str]:
    of = describe(run.architecture)
    yield f"It is the network of another paper, restated. Kept: {of.kept}. Adapted: {of.adapted}."
    yield f"It has {run.parameters:,} parameters and reads what the mode {_code(run.mode)} does."
    yield _table(("network", "value"), [(key, _shown(value)) for key, value in run.model["network"].items()])


def _what_it_answers(run: _Run) -> Iterable[str]:
    """How a task's answers are to be read."""
    model = run.model
    if "signal" in model:
        yield f"It predicts the track {_code(model['signal'])}."
    if "temperature" in model:
        yield (
            f"Its logits are divided by a temperature of {model['temperature']:.4g}, which was fitted on the "
            "validation windows, before they become probabilities."
        )
    if "farthest_bins" in model:
        farthest = int(model["farthest_bins"]) * int(run.data["resolution"])
        yield f"The anchors of its training windows lie up to {farthest:,} bp apart."
    if model.get("probe"):
        yield "It is a linear probe: one dense layer on the tokens of the pre-trained model."


def _what_it_reads(run: _Run) -> Iterable[str]:
    bins, resolution = int(run.data["window_bins"]), int(run.data["resolution"])
    first = [
        ("assembly", _code(run.data["assembly"])),
        ("bins of the contact map", f"{resolution:,} bp"),
        ("window", f"{bins} x {bins} bins, {bins * resolution:,} bp a side"),
    ]
    names = {
        "tracks": "signal tracks, in this order",
        "weight": "balancing vector",
        "scaled": "balanced values scaled to counts",
        "contacts": f"contacts are {'predicted' if run.kind == CONTACTS else 'given'} as",
        "clip": "contacts are clipped at",
        "signal": "signal is given as",
        "augmentations": "augmentations, in training only",
    }
    rest = [(names.get(key, key), _shown(value)) for key, value in run.transform.items()]
    yield "## What it reads"
    yield _table(("input", "value"), [*first, *rest])


def _trained_on(run: _Run) -> Iterable[str]:
    yield "## What it was trained on"
    stores = run.provenance.get("data")
    if not isinstance(stores, list):
        yield "How many windows of which chromosomes were used is not recorded; these files were read:"
        yield _table(
            ("input", "SHA-256"),
            [
                (_code(Path(entry["path"]).name), _code(entry["sha256"]))
                for entry in run.provenance.get("inputs", ())
            ],
        )
    else:
        yield _stores_table(stores)
    yield _held_out(run)
    if run.simulated:
        yield "**The data are simulated**: genome, maps and tracks come from `chromweave simulate`."
    if "pretrained" in run.provenance:
        before = Path(str(run.provenance["pretrained"])).name
        moved = run.provenance.get("transferred_tensors")
        kept = ", which were kept as they are" if run.settings.get("tune") in ("frozen", "probe") else ""
        yield f"Training started from {moved} tensors of the pre-trained run {_code(before)}{kept}."
        earlier = run.provenance.get("pretraining_data")
        if isinstance(earlier, list):
            yield "That run was trained on:"
            yield _stores_table(earlier)
        else:
            yield "Where that run took its windows from is not recorded."


def _stores_table(stores: Sequence[Mapping[str, Any]]) -> str:
    return _table(
        ("store", "training windows", "on", "validation windows", "on", "SHA-256 of its manifest"),
        [_store_row(store) for store in stores],
    )


def _store_row(store: Mapping[str, Any]) -> tuple[str, ...]:
    cells = [_code(store["name"])]
    for split in _SPLITS:
        cells += [f"{int(store[split]['windows']):,}", ", ".join(store[split]["chromosomes"]) or "none"]
    return (*cells, _code(store["manifest_sha256"]))


def _held_out(run: _Run) -> str:
    included = run.provenance.get("include_test_chromosomes", run.settings.get("include_test_chromosomes"))
    if (
        included is None and run.kind in TASKS.values()
    ):  # fine-tuning reads no such windows; pre-training may have
        included = None if "pretrained" in run.provenance else False
    if included is None:
        return "Whether windows of the test split were trained on is not recorded."
    if included:
        return (
            "**Windows of the test split were trained on**, without labels, as the paper does: no score on "
            "those chromosomes is one of unseen data."
        )
    before = ", nor of those of its pre-training," if "pretrained" in run.provenance else ""
    return (
        f"No window of the test split of these tables{before} was trained on. Windows of other tables may "
        "lie where training windows lie; `chromweave evaluate` says how many do."
    )


def _optimisation(run: _Run) -> Iterable[str]:
    yield "## How it was trained"
    done = f"{run.provenance.get('epochs', 'an unknown number of')} epochs were trained"
    best = run.provenance.get("best_epoch")
    yield f"{done}; the weights are those of epoch {best}." if best else f"{done}."
    for name, meaning in (("loss", "objective"), ("fit", "optimisation")):
        values = run.settings.get(name)
        if isinstance(values, Mapping):
            yield _table((meaning, "value"), [(key, _shown(value)) for key, value in values.items()])
    if not run.settings:
        yield "The settings are not recorded."


def _validation(run: _Run) -> Iterable[str]:
    yield "## Scores on validation windows"
    scores = run.provenance.get("validation") or {}
    if not scores:
        yield "No window was held out for validation: nothing is known of how well it does."
        return
    yield (
        "These windows were never trained on, but the epoch was chosen by them. Chance is what a model that "
        "knows nothing scores."
    )
    chance = _chance(scores)
    rows = [
        (
            _code(name),
            f"{value:.4g}",
            f"{run.first_epoch[name]:.4g}" if name in run.first_epoch else "–",
            f"{chance[name]:.4g}" if name in chance else "–",
            _MEANINGS.get(name, ""),
        )
        for name, value in scores.items()
        if name != "retrieval_chance"
    ]
    yield _table(("score", "value", "after the first epoch", "chance", "meaning"), rows)


def _chance(scores: Mapping[str, float]) -> dict[str, float]:
    """Score -> what a model that knows nothing would have, where that is known."""
    one = scores.get("retrieval_chance")
    known = {} if one is None else {"retrieval_top1": one, "retrieval_top5": min(1.0, 5 * one)}
    return {**known, "auroc": 0.5, "pearson": 0.0}


def _how_to_load(run: _Run) -> Iterable[str]:
    yield "## How to load it"
    yield (
        "```python\nimport chromweave\n\n"
        'model = chromweave.load("FOLDER")  # or "owner/name" on the Hugging Face Hub\n'
        "model.network, model.description\n```"
    )
    if run.kind in _COMMANDS:
        yield f"```\nchromweave {_COMMANDS[run.kind]}\n```"
    yield f"`{WEIGHTS}` and `{CONFIG}` are all it takes; no pickle is read."


def _limits(run: _Run) -> Iterable[str]:
    lines = [
        _fitting_stores(run),
        "It has seen the cell lines above and no others; a score on them says nothing of others.",
    ]
    if run.simulated:
        lines.append("It was trained on simulated data; how it does on real ones is not known.")
    if not run.provenance.get("validation"):
        lines.append("It was never validated.")
    lines += [
        "It is for research, not for diagnosis.",
        "No licence is stated here: whoever publishes the weights adds one.",
    ]
    yield "## Limits"
    yield "\n".join(f"- {line}" for line in lines)


def _fitting_stores(run: _Run) -> str:
    tracks = ", ".join(_code(name) for name in run.transform.get("tracks", ()))
    maps = run.mode is None or reads_map(run.mode)
    what = [*(["contacts"] if maps else []), *([f"the tracks {tracks}"] if tracks else [])]
    refused = [*(["without this resolution"] if maps else []), *(["without these tracks"] if tracks else [])]
    return (
        f"It reads {' and '.join(what)} of {_code(run.data['assembly'])} at "
        f"{int(run.data['resolution']):,} bp, prepared as above. Stores of another assembly or "
        f"{' or '.join(refused)} are refused; data of another assay or scale under the same names are not "
        "noticed, and its output then means nothing."
    )


def _origin(run: _Run) -> Iterable[str]:
    said = run.provenance
    packages = ", ".join(f"{name} {version}" for name, version in dict(said.get("packages", {})).items())
    rows = [
        ("chromweave", said.get("chromweave")),
        ("command", _code(said["command"]) if "command" in said else None),
        ("seed", said.get("seed")),
        ("commit", said.get("git_commit")),
        ("time", said.get("time")),
        ("Python", said.get("python")),
        ("packages", packages or None),
        ("machine", said.get("machine")),
        (f"SHA-256 of {WEIGHTS}", _code(run.weights_sha256)),
    ]
    yield "## Where it comes from"
    yield _table(
        ("", "value"), [(name, "not recorded" if value is None else str(value)) for name, value in rows]
    )


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _code(value) if isinstance(value, str) else f"{value}"


def _code(value: object) -> str:
    """Text as it is, in a table cell, too."""
    return "`" + " ".join(str(value).split()).replace("`", "'").replace("|", "\\|") + "`"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
