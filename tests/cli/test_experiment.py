"""What the experiment commands hand over, what they print, and what they refuse."""

import json

import pandas as pd
import pytest

from chromweave import config as configs
from chromweave.cli import main as cli
from chromweave.workflows import ablation, cross_cell, depth, few_shot
from chromweave.workflows.foundation_settings import FinetuneConfig, PretrainConfig

ONE = ("--store", "a.store", "--windows", "a.parquet")


@pytest.fixture
def asked(monkeypatch):
    """The workflows' arguments; each answers with a mean and a difference."""
    calls = []

    def replaced(module, name, **conditions):
        def verb(out, **call):
            calls.append({"out": out, **call})
            shared = {"metric": "auroc", "stratum": "all", **conditions}
            return pd.DataFrame(
                [
                    {**shared, "row": "arm", "value": 0.1, "low": 0.0, "high": 1.0, "note": None},
                    {**shared, "row": "mean", "value": 0.8, "low": 0.75, "high": 0.85, "note": None},
                    {
                        **shared,
                        "stratum": "near",
                        "row": "mean",
                        "value": 0.3,
                        "low": 0,
                        "high": 1,
                        "note": None,
                    },
                ]
            )

        monkeypatch.setattr(module, name, verb)

    replaced(few_shot, "few_shot", start="scratch", ratio=1e-3)
    replaced(cross_cell, "cross_cell", train_line="a", test_line="b")
    replaced(ablation, "ablation", arm="probe")
    replaced(depth, "depth", model="first", fraction=0.5, retrained=True)
    return calls


def answer(capsys, *words):
    code = cli.run([*words, "--json"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return json.loads(shown.out)


def test_few_shot(asked, capsys):
    words = ("--ratio", "1e-2", "--ratio", "0.5", "--draws", "4", "--seeds", "2", "--no-stratified")
    shown = answer(
        capsys,
        *("experiment", "few-shot", "out", *ONE, "--task", "contacts", "--from", "pre", *words),
        *("--mode", "tracks", "--epochs", "3", "--seed", "9", "--least-windows", "7", "--overwrite"),
    )
    (call,) = asked
    assert call["config"] == few_shot.FewShotConfig((0.01, 0.5), 4, 2, False, 7)
    assert call["finetuning"] == FinetuneConfig.preset("tiny", "contacts", "tracks", epochs=3)
    assert (str(call["pretrained"]), call["seed"], call["overwrite"]) == ("pre", 9, True)
    assert shown == {
        "table": "out/few-shot.tsv",
        "figure": "out/few-shot.png",
        "scratch 0.001": "auroc 0.800 [0.750, 0.850]",
    }


def test_few_shot_is_the_papers_unless_told_otherwise(asked, capsys):
    answer(capsys, "experiment", "few-shot", "out", *ONE, "--track", "ATAC", "--block", "1000")
    (call,) = asked
    assert call["config"] == few_shot.FewShotConfig()
    assert call["config"].ratios == (1e-4, 1e-3, 1e-2, 1e-1)
    assert call["config"].stratified is None
    assert call["finetuning"].transform.tracks == ("ATAC",)
    assert call["evaluation"].block == 1000
    assert call["pretrained"] is None


def test_cross_cell(asked, capsys):
    shown = answer(
        capsys,
        *("experiment", "cross-cell", "out", *ONE, "--store", "b.store", "--windows", "b.parquet"),
        *("--task", "expression", "--signal", "RNA", "--preset", "small"),
    )
    (call,) = asked
    assert [str(path) for path in (*call["stores"], *call["windows"])] == [
        "a.store", "b.store", "a.parquet", "b.parquet",
    ]  # fmt: skip
    assert (call["task"], call["finetuning"].signal, call["seeds"]) == ("expression", "RNA", 1)
    assert call["finetuning"].network == FinetuneConfig.preset("small").network
    assert shown["a b"] == "auroc 0.800 [0.750, 0.850]"


def test_ablation(asked, capsys, tmp_path):
    pretraining = ("--pretrain-store", "p.store", "--pretrain-windows", "p.parquet")
    words = ("experiment", "ablation", "out", *pretraining, *ONE)
    answer(capsys, *words, "--arm", "probe", "--arm", "full", "--pretrain-epochs", "2", "--epochs", "3")
    assert asked[0]["arms"] == ["probe", "full"]
    assert asked[0]["pretraining"] == PretrainConfig.preset("tiny", epochs=2)
    assert asked[0]["finetuning"].fit.epochs == 3
    assert [str(path) for path in asked[0]["pretrain_stores"]] == ["p.store"]
    own, tasks = tmp_path / "p.toml", tmp_path / "f.toml"
    configs.save(PretrainConfig.preset("small"), own)
    configs.save(FinetuneConfig(mode="map"), tasks)
    answer(capsys, *words, "--pretrain-config", str(own), "--config", str(tasks))
    assert asked[1]["pretraining"] == PretrainConfig.preset("small")
    assert asked[1]["finetuning"].mode == "map"


def test_depth(asked, capsys):
    words = ("--model", "first", "--model", "second", "--fraction", "1", "--fraction", "0.5", "--retrain")
    shown = answer(capsys, "experiment", "depth", "out", *ONE, *words)
    (call,) = asked
    assert [str(run) for run in call["models"]] == ["first", "second"]
    assert (list(call["fractions"]), call["retrain"]) == ([1.0, 0.5], True)
    assert shown["first 0.5 retrained"] == "auroc 0.800 [0.750, 0.850]"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("few-shot", "out", *ONE, "--ratio", "0"), "above 0 and is at most 1"),
        (("few-shot", "out", *ONE), "a.store"),
        (("few-shot", "out", *ONE, "--from", "pre", "--track", "ATAC"), "--track and --from exclude"),
        (("few-shot", "out", *ONE, "--signal", "RNA"), "--task loops predicts none"),
        (("few-shot", "out", *ONE, "--config", "c.toml", "--epochs", "2"), "--epochs exclude each other"),
        (("few-shot", "out", *ONE, "--config", "c.toml"), "c.toml"),
        (("few-shot", "out", *ONE, "--block", "0"), "block must be at least 1"),
        (("few-shot", "out", *ONE, "--preset", "huge"), "no preset 'huge'"),
        (("cross-cell", "out", *ONE), "two cell lines or more, not 1"),
        (("depth", "out", *ONE, "--model", "none"), "none"),
        (("depth", "out", *ONE, "--model", "none", "--fraction", "2"), "fractions lie above 0"),
        (
            (
                "ablation", "out", *ONE, "--pretrain-store", "p.store", "--pretrain-windows", "p.parquet",
                "--arm", "nothing",
            ),
            "the arm 'nothing' is none of this ablation",
        ),
        (
            (
                "ablation", "out", *ONE, "--pretrain-store", "p.store", "--pretrain-windows", "p.parquet",
                "--pretrain-config", "p.toml", "--pretrain-epochs", "2",
            ),
            "--pretrain-config p.toml and --pretrain-epochs exclude",
        ),
        (("ablation", "out", *ONE), "--pretrain-store"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_sentence(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.run(["experiment", *words]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("chromweave: error: ")
    assert sentence in shown
    assert list(tmp_path.iterdir()) == []
