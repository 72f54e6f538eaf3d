"""Trainings and evaluations that cost nothing, remember what they were asked, and score as they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chromweave import config as configs
from chromweave.data.windows import read_windows
from chromweave.evaluation.table import Result, results_table
from chromweave.files import read_json, write_json
from chromweave.training.checkpoint import CONFIG
from chromweave.workflows.experiments import Verbs
from chromweave.workflows.foundation_settings import FinetuneConfig
from chromweave.workflows.model_input import ModelInput


@dataclass
class Laboratory:
    """Stands in for pretrain, finetune and evaluate.

    `score` gets what a model was trained with (a dict) and the evaluation's arguments, and says its AUROC.
    """

    score: Callable[[dict[str, Any], dict[str, Any]], float] = lambda trained, asked: 0.5
    pretrained: list[dict[str, Any]] = field(default_factory=list)
    trained: list[dict[str, Any]] = field(default_factory=list)
    evaluated: list[dict[str, Any]] = field(default_factory=list)
    fail: Callable[[dict[str, Any]], None] = lambda call: None

    @property
    def verbs(self) -> Verbs:
        return Verbs(self.pretrain, self.finetune, self.evaluate)

    def pretrain(self, run, **call):
        self.pretrained.append({"run": Path(run), **call})
        fake_run(run, "mixhic-pretrain", seed=call["seed"])

    def finetune(self, run, **call):
        call = {"run": Path(run), **call}
        self.trained.append(call)
        rows = read_windows(call["windows"], splits=["train"])
        kind = f"mixhic-{call['task']}"
        shown = {
            "pretrained": call["pretrained"] and str(call["pretrained"]),
            "seed": call["seed"],
            "train": len(rows),
            "store": str(call["stores"]),
            "mode": call["config"].mode,
            "tune": call["config"].tune,
        }
        fake_run(run, kind, seed=call["seed"], config=call["config"], trained=shown)
        self.fail(call)

    def evaluate(self, out, **call):
        call = {"out": Path(out), **call}
        self.evaluated.append(call)
        trained = read_json(Path(call["model"]) / CONFIG).get("trained", {})
        value = self.score(trained, call)
        learned = read_windows(call["windows"], splits=["train"])
        known = {"n": 40, "seed": call["seed"]}
        return results_table(
            [
                Result("loops", "model", "auroc", value, low=value - 0.1, high=value + 0.1, **known),
                Result("loops", "model", "brier", 1 - value, **known),
                Result("loops", "model", "auroc", value, stratum="20kb-50kb", **known),
                Result("loops", "distance alone", "auroc", len(learned) / 1000, **known),
                Result("loops", "model - distance alone", "auroc", value - len(learned) / 1000, **known),
            ]
        )


def fake_run(run, kind, *, seed=0, config=None, trained=None, data: ModelInput | None = None, network=None):
    """A run folder as far as experiments look into it."""
    run = Path(run)
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / "run.json", {"kind": "fake", "seed": seed, "name": run.name})
    if config is None:
        config = FinetuneConfig()
    configs.save(config, run / "config.toml")
    write_json(
        run / CONFIG,
        {
            "format": "chromweave model",
            "format_version": 1,
            "kind": kind,
            "model": {} if network is None else {"network": configs.to_mapping(network)},
            "data": {} if data is None else configs.to_mapping(data),
            "provenance": {},
            "weights_sha256": "",
            "trained": trained or {},
        },
    )
    return run


class News:
    """A reporter that keeps every line."""

    def __init__(self):
        self.lines = []

    def track(self, items, description, total, unit):
        yield from items

    def notify(self, message):
        self.lines.append(message)
