"""Loops of whole chromosomes by every caller there is, each list held against a published one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.store import RegionStore
from ..errors import ChromweaveError, ConfigError, DataError
from ..files import write_json
from ..genome import Interval
from ..io.export import write_table
from ..io.pairs import read_bedpe, write_bedpe
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from .annotation_callers import Caller, Region, annotate, comparable_loops
from .benchmark_cells import Cell, Outcome, run_cells
from .experiment_steps import plain
from .loop_validation import validate_loops

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "benchmark_annotation"]

COLUMNS = (
    "method", "version", "tolerance_bins", "called", "known", "matched",
    "precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high",
    "f1", "f1_low", "f1_high", "average_precision", "shifted_control", "seconds", "megabytes", "reason",
)  # fmt: skip
"""Of the table: `called` and `matched` count loops; seconds are of the processor, megabytes the peak of the
largest process; `reason` says why a method has no list, and is empty where it has one."""

_GRACE = 60.0  # seconds that a process has beyond the program it waits for


def benchmark_annotation(
    out: str | Path,
    *,
    store: str | Path | RegionStore,
    truth: str | Path,
    callers: Mapping[str, Caller],
    resolution: int | None = None,
    chroms: Sequence[str] | None = None,
    min_distance: int = 20_000,
    max_distance: int = 2_000_000,
    tolerances: Sequence[int] = (1, 2),
    exclude: Sequence[str] = (),
    timeout: float = 3600.0,
    seed: int = 0,
    jobs: int = 1,
    retry: bool = False,
) -> pd.DataFrame:
    """Call loops with each caller, in a process of its own, and hold its list against a published one.

    A caller that raises, takes too long, is killed or is not installed gets rows with the reason, and the
    others go on. What a caller has found, or why it has not, is kept in the folder, and not done again.

    Parameters
    ----------
    out
        Folder: ``annotation.tsv`` and ``.json``, and under ``callers/`` each list (``NAME.bedpe``), what its
        caller printed (``NAME.log``) and left behind (``NAME/``).
    store
        Where to call.
    truth
        Published loops (any BEDPE dialect).
    callers
        By the names of their rows, such as :func:`~chromweave.workflows.annotation_callers.standard_callers`.
    resolution
        Layer, bp; the finest if not given.
    chroms
        Chromosomes; all of the store if not given.
    min_distance, max_distance
        Between anchors, bp, of called and published loops alike.
    tolerances
        Bins by which both anchors of a match may differ; each makes a row.
    exclude
        Regions whose loops, on either side, are left out of the comparison.
    timeout
        Seconds on the clock that each caller may take.
    seed
        Of decoys, forests and intervals.
    jobs
        Callers side by side; time is measured best one by one.
    retry
        Whether callers that failed before are asked again.

    Returns
    -------
    pandas.DataFrame
        :data:`COLUMNS`, a row for each caller and tolerance.

    Raises
    ------
    ConfigError
        No caller or tolerance is given, two callers have one file name, or what is in the folder was made
        with other settings.
    DataError
        The published list cannot be used, or has no loop there.
    """
    import pandas as pd

    opened = store if isinstance(store, RegionStore) else RegionStore.open(store)
    if not callers or not tolerances:
        raise ConfigError("give at least one caller, and one tolerance in bins.")
    region = Region(
        str(opened.path), resolution or opened.resolutions[0],
        tuple(opened.require(chrom) for chrom in chroms or opened.chromosomes), min_distance, max_distance,
        seed,
    )  # fmt: skip
    bench = _Bench(Path(out), opened, region, truth, tuple(tolerances), tuple(exclude))
    known = bench.publish()
    settings = {name: _settings(caller) for name, caller in callers.items()}
    outcomes = bench.ask(callers, settings, timeout, jobs, retry)
    rows = [row for name, outcome in outcomes.items() for row in bench.rows(name, outcome, known)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_table(bench.out / "annotation.tsv", table)
    write_json(bench.out / "annotation.json", bench.record(settings))
    notify(f"{len(callers)} callers beside {known:,} published loops: {bench.out / 'annotation.tsv'}")
    return table


def _settings(caller: Caller) -> dict[str, Any] | ChromweaveError:
    """What decides a caller's list; or what is wrong with it, such as a model that is not there."""
    try:
        return dict(plain({"caller": type(caller).__name__, **caller.settings()}))
    except ChromweaveError as error:
        return error


@dataclass(frozen=True)
class _Bench:
    """Where callers are asked, and what they are held against."""

    out: Path
    store: RegionStore
    region: Region
    truth: str | Path
    tolerances: tuple[int, ...]
    exclude: tuple[str, ...]

    @property
    def published(self) -> Path:
        return self.out / "published.bedpe"

    def publish(self) -> int:
        """Write the published loops that can be compared; how many they are."""
        loops = comparable_loops(read_bedpe(self.truth, self.store.assembly), self.region, unique=True)
        for region in (Interval.parse(text, self.store.assembly) for text in self.exclude):
            inside = (loops["start1"] < region.end) & (loops["end2"] > region.start)
            loops = loops[~((loops["chrom1"] == region.chrom) & inside)]
        if not len(loops):
            raise DataError(
                f"{self.truth}: has no loop of {self.region.min_distance:,} to {self.region.max_distance:,} "
                f"bp on {', '.join(self.region.chroms)} outside of what is left out."
            )
        write_bedpe(self.published, loops)
        return len(loops)

    def ask(
        self,
        callers: Mapping[str, Caller],
        settings: Mapping[str, dict[str, Any] | ChromweaveError],
        timeout: float,
        jobs: int,
        retry: bool,
    ) -> dict[str, Outcome]:
        """How each caller did, by name."""
        if len({_file_name(name) for name in callers}) < len(callers):
            raise ConfigError(f"two callers would write one file among {', '.join(callers)}; name one anew.")
        where = {**plain(asdict(self.region)), "store": self.store.manifest_sha256}
        cells = {}
        for name, caller in callers.items():
            known = settings[name]
            if isinstance(known, ChromweaveError):
                continue
            call = {
                "caller": caller, "region": self.region, "folder": self._list(name).with_suffix(""),
                "out": self._list(name), "timeout": timeout,
            }  # fmt: skip
            cells[name] = Cell(_file_name(name), annotate, call, {**known, "region": where}, timeout + _GRACE)
        done = run_cells(self.out / "callers", list(cells.values()), jobs=jobs, retry=retry)
        outcomes = dict(zip(cells, done, strict=True))
        return {
            name: outcomes.get(name) or Outcome({}, str(settings[name]), math.nan, math.nan, math.nan)
            for name in callers
        }

    def rows(self, name: str, outcome: Outcome, known: int) -> Iterator[dict[str, Any]]:
        """A row for each tolerance."""
        values = outcome.values
        shared = {
            "method": name, "version": values.get("version", ""), "known": known, "reason": outcome.error,
        }  # fmt: skip
        if not outcome.error:  # of a process that was broken off they would mean nothing
            shared["seconds"] = values.get("seconds", outcome.cpu_seconds)
            shared["megabytes"] = values.get("megabytes", outcome.peak_mb)
        for bins in self.tolerances:
            row = dict.fromkeys(COLUMNS, math.nan) | shared | {"tolerance_bins": bins}
            if not outcome.error:
                row |= self._judged(name, bins) if values["loops"] else _NOTHING
            yield row

    def _judged(self, name: str, tolerance_bins: int) -> dict[str, Any]:
        found = validate_loops(
            self._list(name), self.published, store=self.store, resolution=self.region.resolution,
            tolerance_bins=tolerance_bins, chroms=self.region.chroms, exclude=self.exclude,
            seed=self.region.seed,
        )  # fmt: skip
        taken = ("called", "matched", "precision", "recall", "f1", "average_precision", "shifted_control")
        row = {key: found.summary.get(key, math.nan) for key in taken}
        whole = found.table[found.table["stratum"] == "all"].set_index("metric")
        for metric in ("precision", "recall", "f1"):
            row |= {f"{metric}_{end}": float(whole.loc[metric, end]) for end in ("low", "high")}
        return row

    def _list(self, name: str) -> Path:
        return self.out / "callers" / f"{_file_name(name)}.bedpe"

    def record(self, settings: Mapping[str, dict[str, Any] | ChromweaveError]) -> dict[str, Any]:
        """Settings and provenance."""
        said = {name: str(one) if isinstance(one, ChromweaveError) else one for name, one in settings.items()}
        return {
            "kind": "annotation benchmark",
            **describe_process(),
            "config": {
                **plain(asdict(self.region)), "tolerances": list(self.tolerances),
                "exclude": list(self.exclude), "callers": said,
            },
            "inputs": describe_inputs([self.store.path, self.truth]),
        }  # fmt: skip


_NOTHING = {"called": 0, "matched": 0, "recall": 0.0, "f1": 0.0}


def _file_name(name: str) -> str:
    """A caller's name as part of a path."""
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", name).strip("_")
