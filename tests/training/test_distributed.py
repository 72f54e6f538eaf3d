"""Two processes train what one would have trained; they stop together, and one of them does the writing."""

import csv
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from chromweave.models.mixhic import MixHicPretrain
from chromweave.training.distributed import any_of_us, first_of_us, from_first, gathered, joined, rank, world
from chromweave.training.engine import seeded
from chromweave.training.objectives import PairedPretraining
from tests.training import together

ROOT = Path(__file__).parents[2]
SCRIPT = Path(together.__file__)


def launch(*command):
    """Run a command of this Python; every trace of an outer launch is taken out of its environment."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
    }
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Folder in which two processes went through all scenarios, one after the other."""
    folder = tmp_path_factory.mktemp("pair")
    together.learn("handed", folder, epochs=1)
    done = launch(SCRIPT, folder, "--devices", 2, *together.SCENARIOS)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    return folder


def rows(path):
    with (path / "metrics.csv").open() as file:
        return [((r["step"], r["epoch"], r["split"], r["metric"]), float(r["value"] or math.nan))
                for r in csv.DictReader(file)]  # fmt: skip


def assert_alike(folder, single, name, model, curve=None):
    """The same rows and, in every process, the same final weights, within 1e-5."""
    found, expected = rows(folder / name), rows(single / (curve or name))
    assert [key for key, _ in found] == [key for key, _ in expected]
    assert [v for _, v in found] == pytest.approx([v for _, v in expected], abs=1e-5, nan_ok=True)
    for process in (0, 1):
        weights = torch.load(folder / f"{name}-{process}.pt", weights_only=True)
        for key, tensor in model.state_dict().items():
            assert torch.allclose(weights[key], tensor, rtol=0, atol=1e-5), key


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """Folder of what one process does, and the network that comes of it."""
    folder = tmp_path_factory.mktemp("single")
    return folder, together.learn("group", folder)[0]


def test_two_processes_are_one(pair, single):
    assert_alike(pair, single[0], "group", single[1])


def test_batch_statistics_are_those_of_all(pair, tmp_path):
    assert_alike(pair, tmp_path, "batch", together.learn("batch", tmp_path)[0])


def test_overlaps_accumulation_and_averaging_too(pair, tmp_path):
    assert_alike(pair, tmp_path, "overlap", together.learn("overlap", tmp_path)[0])


def test_sharded_weights_learn_alike_and_are_kept_whole(pair, tmp_path):
    """FSDP2, taken up again after the first epoch; the kept weights fit a plain network."""
    assert_alike(pair, tmp_path, "fsdp", together.learn("fsdp", tmp_path)[0])


def test_sharded_processes_go_on_from_what_one_began(pair, single):
    assert_alike(pair, single[0], "handed", single[1], curve="group")


@pytest.mark.parametrize("name", ["group", "fsdp"])
def test_one_process_goes_on_from_what_several_began(pair, tmp_path, name):
    """The second epoch anew, from the checkpoint that two processes left after the first."""
    shutil.copytree(pair / name, tmp_path / name)
    before, checkpoints = rows(tmp_path / name), tmp_path / name / "checkpoints"
    (checkpoints / "last.ckpt").unlink()
    model, _ = together.learn(name, tmp_path, resume=checkpoints / "previous.ckpt")
    assert (checkpoints / "last.ckpt").is_file()
    after = rows(tmp_path / name)
    assert [key for key, _ in after] == [key for key, _ in before]
    assert [v for _, v in after] == pytest.approx([v for _, v in before], abs=1e-5, nan_ok=True)
    weights = torch.load(pair / f"{name}-0.pt", weights_only=True)
    for key, tensor in model.state_dict().items():
        assert torch.allclose(weights[key], tensor, rtol=0, atol=1e-5), key


def test_negatives_may_be_those_of_one_process_only(pair, single):
    batch = next(iter(together.Shuffled(together.windows("alone"), 8)))
    with seeded(0):
        network = MixHicPretrain(together.NETWORK).double()
    halves = [PairedPretraining().step(network, batch[part]) for part in (slice(4), slice(4, 8))]
    expected = sum(half.terms["contrastive"].item() for half in halves) / 2
    found, gathered_one = (dict(rows(path))["1", "1", "train", "contrastive"]
                           for path in (pair / "alone", single[0] / "group"))  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-6)
    assert found < gathered_one - 0.3


def test_a_stop_of_one_stops_all_and_nothing_is_lost(pair, single):
    for process in (0, 1):
        said = (pair / f"stopped-{process}.txt").read_text()
        assert said.startswith("stopped by SIGTERM after step 3; go on with --resume.")
    assert_alike(pair, single[0], "stopped", single[1], curve="group")


def test_a_loss_that_is_no_number_ends_all_and_names_the_batch(pair):
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0)).split(4)
    part = next(number for number, rows in enumerate(order) if 5 in rows)
    said = {(pair / f"bad-{process}.txt").read_text() for process in (0, 1)}
    assert len(said) == 1
    places = [40 * row // 3 for row in order[part].tolist()]
    assert f"the loss is nan in epoch 1, step {part // 2 + 1}, windows at {places}" in said.pop()


@pytest.mark.slow
def test_torchrun(pair, tmp_path):
    done = launch("-m", "torch.distributed.run", "--nproc-per-node", 2, "--standalone",
                  SCRIPT, tmp_path, "--devices", 2, "alone")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "alone") == rows(pair / "alone")


def test_one_process_has_only_itself_to_talk_to():
    x = torch.ones(2, 3)
    assert (rank(), world()) == (0, 1)
    assert gathered(x) is x
    assert joined("a") == ["a"]
    assert from_first("a") == "a"
    assert any_of_us(True)
    assert not any_of_us(False)
    assert first_of_us(None) is None
    assert first_of_us("a") == "a"
