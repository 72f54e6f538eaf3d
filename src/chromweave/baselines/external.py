"""Loop callers of others, run as they are: chromosight, cooltools dots, mustache and hicDetectLoops.

Each comes from a virtual environment of its own, reads a cooler, and is given its documented defaults; its
list becomes a table of ours with a score that is higher for better loops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, FileFormatError
from ..schemas import BEDPE
from .loop_list import loop_list
from .programs import (
    Cost,
    ProgramFailed,
    find_program,
    measured,
    program_version,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EXTERNAL", "ExternalCalls", "ExternalRequest", "Program", "call_external"]

_QVALUES = [f"la_exp.{kernel}.qval" for kernel in ("donut", "vertical", "horizontal", "lowleft")]
_PAIR = ["chrom1", "start1", "end1", "chrom2", "start2", "end2"]


@dataclass(frozen=True)
class ExternalRequest:
    """What a program is asked for.

    Parameters
    ----------
    cool
        Cooler, or its URI, balanced by the column `weight`; for hicDetectLoops balanced values on the scale
        of counts as they are.
    folder
        Where its files go; what is there is not made again.
    resolution
        Bin size, bp.
    chroms
        Chromosomes of the cooler to call on.
    min_distance, max_distance
        Between the anchors, bp; not every program can be told of the first.
    programs
        Folder of the program, the `bin` of another virtual environment; the PATH if not given.
    timeout
        Seconds on the clock, of all its steps; None to wait for ever.
    """

    cool: str
    folder: Path
    resolution: int
    chroms: tuple[str, ...]
    min_distance: int = 20_000
    max_distance: int = 2_000_000
    programs: str | Path | None = None
    timeout: float | None = None


@dataclass(frozen=True)
class ExternalCalls:
    """What a program found.

    Attributes
    ----------
    table
        Schema `BEDPE` with name and score, and what else the program says of each loop.
    cost
        Of all its steps.
    version
        Of the program.
    """

    table: pd.DataFrame
    cost: Cost
    version: str


class _Run:
    """One program at one request: runs its steps, within the time there is, and adds up what they cost."""

    def __init__(self, program: Path, request: ExternalRequest) -> None:
        self.program, self.request = program, request
        self.cost = Cost(0.0, 0.0)
        self._end = None if request.timeout is None else time.monotonic() + request.timeout

    def step(self, made: str, *arguments: str | Path) -> Path:
        """Run the program with these arguments unless what it makes is there."""
        path = self.request.folder / made
        left = None if self._end is None else max(self._end - time.monotonic(), 0.001)
        self.cost += measured([self.program, *arguments], path, timeout=left)
        return path

    def none(self, phrase: str, error: ProgramFailed) -> pd.DataFrame:
        """No loops, where the program said so by an error or by leaving no file; any other error goes on."""
        if phrase.lower() not in str(error).lower():
            raise error
        self.cost += error.cost or Cost(0.0, 0.0)
        return loop_list("", np.empty(0), np.empty(0), self.request.resolution, np.empty(0))


@dataclass(frozen=True)
class Program:
    """A program that calls loops.

    Attributes
    ----------
    command
        What it is called on the command line.
    install
        The command that installs it.
    package
        Python package that knows its version, where the program does not.
    call
        Runs it and reads its list; keyword arguments are settings of its own.
    applied
        Whether it wants balanced values in place of counts.
    """

    command: str
    install: str
    call: Callable[..., pd.DataFrame]
    package: str | None = None
    applied: bool = False


def call_external(
    name: str, request: ExternalRequest, options: Mapping[str, Any] | None = None
) -> ExternalCalls:
    """Run a program and read what it found.

    Parameters
    ----------
    name
        Of :data:`EXTERNAL`.
    request
        Map, places, and where the program is.
    options
        Settings of the program's own: `pearson` (chromosight), `fdr` (cooltools dots), `pvalue` and
        `sparsity` (mustache), `preselection` and `pvalue` (hicDetectLoops); its defaults if not given.

    Raises
    ------
    ConfigError
        There is no such program here, or it has no such setting.
    ProgramMissing
        It is not installed; the message says how to.
    ProgramFailed
        It ended with an error, or not in time.
    FileFormatError
        Its list is not what it was in the versions known here.
    """
    if name not in EXTERNAL:
        raise ConfigError(f"there is no external caller {name!r}; there are {', '.join(EXTERNAL)}.")
    chosen = EXTERNAL[name]
    wrong = sorted(set(options or {}) - set(chosen.call.__kwdefaults__ or {}))
    if wrong:
        has = ", ".join(chosen.call.__kwdefaults__ or {}) or "none"
        raise ConfigError(f"{name} has no setting {wrong[0]!r} here; it has {has}.")
    program = find_program(chosen.command, request.programs, chosen.install)
    request.folder.mkdir(parents=True, exist_ok=True)
    run = _Run(program, request)
    table = chosen.call(run, **(options or {}))
    return ExternalCalls(table, run.cost, program_version(program, package=chosen.package))


def _chromosight(run: _Run, *, pearson: float = 0.3) -> pd.DataFrame:
    """Pearson's correlation with a loop's picture is the score; nothing found leaves no file."""
    asked, stem = run.request, f"chromosight_{pearson:g}"
    try:
        made = run.step(
            f"{stem}.tsv", "detect", "--no-plotting", f"--pearson={pearson:g}",
            f"--min-dist={asked.min_distance}", f"--max-dist={asked.max_distance}", asked.cool,
            asked.folder / stem,
        )  # fmt: skip
    except ProgramFailed as error:
        return run.none("No pattern", error)
    table = _read(made, [*_PAIR, "score"])
    return _listed(table, table["score"].to_numpy(), run.request, qvalue=table["qvalue"].to_numpy())


def _dots(run: _Run, *, fdr: float = 0.02) -> pd.DataFrame:
    """With its own expected values; the score is less the largest of four q-values."""
    asked = run.request
    expected = run.step(
        "expected.tsv", "expected-cis", asked.cool, "-o", asked.folder / "expected.tsv"
    )  # fmt: skip
    made = f"dots_{fdr:g}.bedpe"
    table = _read(
        run.step(
            made, "dots", asked.cool, expected, "--fdr", f"{fdr:g}",
            "--max-loci-separation", str(asked.max_distance), "-o", asked.folder / made,
        ),
        [*_PAIR, *_QVALUES],
    )  # fmt: skip
    worst = table[_QVALUES].max(axis=1).to_numpy(np.float64)
    return _listed(table, -worst, asked, qvalue=worst)


def _mustache(run: _Run, *, pvalue: float = 0.2, sparsity: float = 0.88) -> pd.DataFrame:
    """The score is less its false discovery rate."""
    asked, made = run.request, f"mustache_{pvalue:g}_{sparsity:g}.tsv"
    table = _read(
        run.step(
            made, "-f", asked.cool, "-r", str(asked.resolution), "-d", str(asked.max_distance),
            "-pt", f"{pvalue:g}", "-st", f"{sparsity:g}", "-p", "1", "-ch", *asked.chroms,
            "-o", asked.folder / made,
        ),
        ["BIN1_CHR", "BIN1_START", "BIN1_END", "BIN2_CHROMOSOME", "BIN2_START", "BIN2_END", "FDR"],
    )  # fmt: skip
    table.columns = [*_PAIR, *table.columns[6:]]
    rate = table["FDR"].to_numpy(np.float64)
    return _listed(table, -rate, asked, qvalue=rate)


def _detect_loops(run: _Run, *, preselection: float = 0.1, pvalue: float = 0.025) -> pd.DataFrame:
    """The score is less its p-value; where it finds nothing it ends with an error, which is taken as none."""
    import pandas as pd

    asked, made = run.request, f"hicDetectLoops_{preselection:g}_{pvalue:g}.bedgraph"
    try:
        path = run.step(
            made, "--matrix", asked.cool, "--outFileName", asked.folder / made,
            "--maxLoopDistance", str(asked.max_distance), "--pValuePreselection", f"{preselection:g}",
            "--pValue", f"{pvalue:g}", "--threads", "1", "--chromosomes", *asked.chroms,
        )  # fmt: skip
    except ProgramFailed as error:
        return run.none("No loops could be detected", error)
    table = (
        _read(path, list(range(7)), header=None) if path.stat().st_size else pd.DataFrame(columns=range(7))
    )
    table.columns = [*_PAIR, "pvalue", *table.columns[7:]]
    chance = table["pvalue"].to_numpy(np.float64)
    return _listed(table, -chance, asked, pvalue=chance)


def _read(path: Path, columns: Sequence[Any], header: int | None = 0) -> pd.DataFrame:
    """A program's tab-separated list, if it has the columns known here."""
    import pandas as pd

    try:
        table = pd.read_csv(path, sep="\t", header=header)
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path}: cannot be read as a list of loops ({error}).") from error
    missing = [str(name) for name in columns if name not in table.columns]
    if missing:
        raise FileFormatError(
            f"{path}: lacks the column {', '.join(missing)}; use the version of the program that is named "
            "with how to install it."
        )
    return table


def _listed(
    table: pd.DataFrame, score: np.ndarray, request: ExternalRequest, **further: np.ndarray
) -> pd.DataFrame:
    """As a table of ours, of the chromosomes asked for."""
    kept = (table["chrom1"].astype(str) == table["chrom2"].astype(str)).to_numpy()
    kept &= table["chrom1"].astype(str).isin(request.chroms).to_numpy()
    table = table[kept]
    found = loop_list(
        table["chrom1"].astype(str).to_numpy(object), table["start1"].to_numpy(), table["start2"].to_numpy(),
        request.resolution, score[kept], ends=(table["end1"].to_numpy(), table["end2"].to_numpy()),
        **{name: np.asarray(values, np.float64)[kept] for name, values in further.items()},
    )  # fmt: skip
    return BEDPE.check(found, "the program's loops")


EXTERNAL: Mapping[str, Program] = {
    "chromosight": Program("chromosight", "pip install chromosight==1.6.3 'pandas<3'", _chromosight),
    "cooltools dots": Program("cooltools", "pip install cooltools==0.7.1 'pandas<3'", _dots),
    "mustache": Program(
        "mustache",
        "pip install mustache-hic==1.3.3 'numpy<2' 'pandas<2.3' (which needs the headers of libcurl)",
        _mustache,
        package="mustache-hic",
    ),
    "hicDetectLoops": Program(
        "hicDetectLoops",
        "conda install -c bioconda hicexplorer=3.7 (it is not on PyPI, and needs a Python before 3.11)",
        _detect_loops,
        applied=True,
    ),
}
"""By name. All are run on one thread."""
