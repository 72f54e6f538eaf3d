"""The paper's tables from ours: who is better at a glance, why a cell is empty, nothing hidden."""

import numpy as np
import pandas as pd
import pytest

from chromweave.workflows.benchmark_report import BETTER, UNSEEN, WORSE, markdown, verdict


def row(method, value, role="baseline", metric="auroc", low=np.nan, high=np.nan, seed=0, line="C", **more):
    return {
        "train_line": line, "test_line": line, "role": role, "task": "loops", "method": method,
        "metric": metric, "value": value, "stratum": "all", "low": low, "high": high, "n": 10, "seed": seed,
        "note": None, **more,
    }  # fmt: skip


def against(method, low, high, seed=0):
    return row(f"MIX-HIC - {method}", (low + high) / 2, "difference", low=low, high=high, seed=seed)


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([(0.1, 0.2)], WORSE),
        ([(-0.2, -0.1)], BETTER),
        ([(-0.1, 0.1)], UNSEEN),
        ([(0.1, 0.2), (-0.1, 0.2)], UNSEEN),
        ([(0.1, 0.2), (0.05, 0.2)], WORSE),
        ([(np.nan, np.nan)], ""),
    ],
)
def test_a_difference_is_real_where_every_training_shows_it(intervals, expected):
    assert verdict(pd.DataFrame(intervals, columns=["low", "high"])) == expected


def cells(text, method):
    line = next(line for line in text.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_methods_stand_with_intervals_signs_and_reasons():
    table = pd.DataFrame(
        [
            row("MIX-HIC", 0.9, "ours", low=0.8, high=0.95),
            row("DLoopCaller", 0.7, low=0.6, high=0.8),
            row("Peakachu", np.nan, note="took longer than 9 s"),
            row("distance alone", 0.5, "trivial"),
            against("DLoopCaller", 0.1, 0.3),
            against("distance alone", -0.1, 0.5),
        ]
    )
    costs = pd.DataFrame(
        [
            {"method": "MIX-HIC", "parameters": 1000.0, "cpu_seconds": 10.0, "peak_mb": 500.0},
            {"method": "MIX-HIC", "parameters": 1000.0, "cpu_seconds": 20.0, "peak_mb": 700.0},
            {"method": "Peakachu", "parameters": np.nan, "cpu_seconds": np.nan, "peak_mb": np.nan},
        ]
    )
    text = markdown("loops", table, costs, title="Loops")
    head = next(line for line in text.splitlines() if line.startswith("| method"))
    assert head.split(" | ")[:5] == ["| method", "Precision, C", "Recall, C", "F1, C", "AUROC, C"]
    assert cells(text, "MIX-HIC")[3] == "0.900 [0.800, 0.950]"
    assert cells(text, "DLoopCaller")[3] == f"0.700 [0.600, 0.800] {WORSE}"
    assert cells(text, "Peakachu")[3] == "failed"
    assert cells(text, "distance alone")[3] == f"0.500 {UNSEEN}"
    assert cells(text, "distance alone")[0] == "–"
    assert "- Peakachu, trained on C, seed 0: took longer than 9 s" in text
    assert "| MIX-HIC | 1,000 | 15 | 600 |" in text
    assert "| Peakachu | – | – | – |" in text


def test_several_trainings_are_shown_each_and_lines_side_by_side():
    table = pd.DataFrame(
        [
            *(row("MIX-HIC", 0.8 + seed / 10, "ours", seed=seed) for seed in (0, 1)),
            row("MIX-HIC", 0.6, "ours", line="D"),
            row("MIX-HIC", 0.5, "ours", train_line="C", test_line="D"),
        ]
    )
    text = markdown("loops", table, None, title="Loops")
    assert "AUROC, C |" in text
    assert "AUROC, D |" in text
    assert "AUROC, C → D |" in text
    assert cells(text, "MIX-HIC")[3::5] == ["0.850 (0.800 0.900)", "0.600", "0.500"]
