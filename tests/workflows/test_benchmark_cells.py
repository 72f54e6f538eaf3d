"""Cells of a benchmark: what one does, the others do not feel; what is there is not made again."""

import math

import pytest

from chromweave.errors import ConfigError
from chromweave.workflows.benchmark_cells import Cell, run_cells
from tests import fakes_benchmark as fakes


def cell(name, call, timeout=60.0, settings=None, **arguments):
    return Cell(name, call, arguments, settings or {"name": name}, timeout)


def test_a_failure_fills_its_cell_and_the_others_go_on(tmp_path):
    cells = [
        cell("good", fakes.counts, path=tmp_path / "a", value=0.5),
        cell("refused", fakes.refuses, path=tmp_path / "b"),
        cell("broken", fakes.breaks),
        cell("slow", fakes.hangs, timeout=1.0),
        cell("dead", fakes.dies),
        cell("last", fakes.counts, path=tmp_path / "c"),
    ]
    found = run_cells(tmp_path / "cells", cells, jobs=2)
    assert [outcome.error for outcome in found] == [
        "",
        f"{tmp_path / 'b'}: has no windows; make some.",
        "ZeroDivisionError: division by zero",
        "took longer than 1 s",
        "its process ended with 9; see dead.log",
        "",
    ]
    assert [dict(outcome.values) for outcome in found] == [{"value": 0.5}, {}, {}, {}, {}, {"value": 1.0}]
    assert "counted" in (tmp_path / "cells" / "good.log").read_text()
    assert "Traceback" in (tmp_path / "cells" / "broken.log").read_text()
    assert "Traceback" not in (tmp_path / "cells" / "refused.log").read_text()
    assert math.isnan(found[3].peak_mb)


def test_what_is_complete_is_not_run_again_and_failures_only_if_asked(tmp_path):
    cells = [
        cell("good", fakes.counts, path=tmp_path / "a"),
        cell("refused", fakes.refuses, path=tmp_path / "b"),
    ]
    first = run_cells(tmp_path / "cells", cells)
    assert run_cells(tmp_path / "cells", cells) == first
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("x", "x")
    again = run_cells(tmp_path / "cells", cells, retry=True)
    assert again[0] == first[0]
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("x", "xx")


def test_a_cell_of_other_settings_is_refused(tmp_path):
    run_cells(tmp_path, [cell("good", fakes.counts, settings={"seed": 1}, path=tmp_path / "a")])
    with pytest.raises(
        ConfigError, match=r"good.json: was made with other settings \(seed was 1, and is 2\)"
    ):
        run_cells(tmp_path, [cell("good", fakes.counts, settings={"seed": 2}, path=tmp_path / "a")])
    assert (tmp_path / "a").read_text() == "x"


def test_a_failure_is_mended_by_other_settings_and_begins_anew(tmp_path):
    kept = tmp_path / "run"
    kept.mkdir()
    (kept / "half").write_text("of an earlier try")

    def tried(seed, call):
        one = Cell("one", call, {"path": tmp_path / "a"}, {"seed": seed}, 60.0, kept)
        return run_cells(tmp_path / "cells", [one], retry=True)[0]

    assert tried(1, fakes.refuses).error
    assert (kept / "half").exists()
    went_on = tried(1, fakes.counts)
    assert math.isnan(went_on.cpu_seconds), "it went on from what was there"
    (tmp_path / "cells" / "one.json").unlink()
    (tmp_path / "cells" / "one.json.step.json").unlink()
    assert tried(1, fakes.refuses).error
    begun = tried(2, fakes.counts)
    assert not kept.exists()
    assert (begun.error, begun.cpu_seconds > 0) == ("", True)


def test_time_and_memory_are_those_of_the_cells_process(tmp_path):
    (small,) = run_cells(tmp_path, [cell("small", fakes.eats, megabytes=1)])
    (large,) = run_cells(tmp_path, [cell("large", fakes.eats, megabytes=200)])
    assert 150 < large.peak_mb - small.peak_mb < 260
    assert 0.3 <= small.cpu_seconds < small.seconds + 30
