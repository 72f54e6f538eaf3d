"""The report of one pre-training run, finished or still going on: what was learned so far, on one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FileFormatError, ModelError
from ..files import read_json
from ..provenance import describe_process
from ..report.page import Cell, Report, Section, Table, write_report
from ..report.sections import files_section, pretraining_section
from ..training.callbacks import COLUMNS
from ..training.checkpoint import CONFIG, WEIGHTS
from .networks import CARD

__all__ = ["REPORT", "pretraining_sections", "report_pretraining"]

REPORT = "report.html"


def report_pretraining(run: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a pre-training run and return its path.

    Parameters
    ----------
    run
        Run folder of :func:`~chromweave.workflows.foundation.pretrain`; training may still be going on.
    out
        The page; ``report.html`` in the run folder if not given.

    Raises
    ------
    ModelError
        The folder holds no pre-training run.
    FileFormatError
        Its metrics are damaged.
    OutputError
        The page cannot be written.
    """
    run = Path(run)
    page = run / REPORT if out is None else Path(out)
    record = _record(run)
    return write_report(
        page,
        Report(
            title=f"Pre-training: {run.resolve().name}",
            summary=_summary(run, record),
            provenance={
                **describe_process(),
                "trained_by": f"chromweave {record.get('chromweave')}: {record.get('command')}",
                "trained_at": record.get("time"),
                "seed": record.get("seed"),
            },
            sections=[*pretraining_sections(run), files_section(_files(run), page)],
        ),
    )


def pretraining_sections(run: str | Path) -> list[Section]:
    """The parts of a report that a pre-training run fills: what was learned, and from which windows.

    Raises
    ------
    ModelError
        The folder has no metrics.
    FileFormatError
        They are damaged.
    """
    import pandas as pd

    path = Path(run) / "metrics.csv"
    if not path.is_file():
        raise ModelError(f"{path}: no such file; give the folder of a pre-training run.")
    try:
        metrics = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise FileFormatError(f"{path}: is no table of metrics ({error}).") from error
    if tuple(metrics.columns) != COLUMNS:
        raise FileFormatError(f"{path}: is no table of metrics; its columns must be {', '.join(COLUMNS)}.")
    windows = _windows(_provenance(Path(run)))
    return [pretraining_section(metrics), *([] if windows is None else [windows])]


def _record(run: Path) -> dict[str, Any]:
    path = run / "run.json"
    if not path.is_file():
        raise ModelError(f"{run}: is no run folder; give the folder of a pre-training run.")
    record = read_json(path)
    if record.get("kind") != "pretrain":
        raise ModelError(f"{run}: holds a {record.get('kind')!r} run; give the folder of a pre-training run.")
    return dict(record)


def _provenance(run: Path) -> Mapping[str, Any]:
    path = run / CONFIG
    return read_json(path)["provenance"] if path.is_file() else {}


def _summary(run: Path, record: Mapping[str, Any]) -> tuple[str, ...]:
    stores = ", ".join(Path(entry["path"]).name for entry in record.get("inputs", ()))
    source = f"Both encoders learn which maps and which tracks belong together, from {stores or 'stores'}."
    said = _provenance(run)
    if not said:
        return (source, "The run is not finished: this page shows how far it has come.")
    return (
        source,
        f"{said['epochs']} epochs were trained; the weights are those of epoch {said['best_epoch']}.",
    )


def _windows(provenance: Mapping[str, Any]) -> Section | None:
    """How many windows of each store, and where, as far as that was recorded."""
    stores = provenance.get("data")
    if not isinstance(stores, list):
        return None
    rows: list[tuple[Cell, ...]] = [
        (
            str(store["name"]),
            int(store["train"]["windows"]),
            ", ".join(store["train"]["chromosomes"]),
            int(store["valid"]["windows"]),
            ", ".join(store["valid"]["chromosomes"]),
        )
        for store in stores
    ]
    columns = ("store", "training windows", "on", "validation windows", "held-out")
    table = Table("Windows of each store", columns, tuple(rows))
    return Section("Windows", "windows", tables=(table,))


def _files(run: Path) -> dict[str | Path, str]:
    candidates: dict[str | Path, str] = {
        run / "config.toml": "settings of this run",
        run / "run.json": "versions, command, seed, inputs with checksums",
        run / "metrics.csv": "the numbers behind the curves",
        run / WEIGHTS: "weights",
        run / CONFIG: "what the weights are of",
        run / CARD: "model card",
        run / "checkpoints": "states to resume from",
    }
    return {path: meaning for path, meaning in candidates.items() if Path(path).exists()}
