"""Models on disk: they come back as they went, and everything that does not fit is refused by name."""

import json
import pickle

import pytest
import torch
from torch import nn

from chromweave.errors import ModelError
from chromweave.training.checkpoint import (
    ModelDescription,
    load_model,
    read_checkpoint,
    read_description,
    read_weights,
    save_model,
    transfer,
)

DESCRIPTION = ModelDescription("toy", {"width": 3}, {"tracks": ["ATAC"], "resolution": 5000}, {"seed": 1})


def toy(width=3, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.Linear(width, 1))


BUILDERS = {"toy": lambda model: toy(model["width"], seed=9)}


@pytest.fixture
def saved(tmp_path):
    network = toy()
    network(torch.randn(8, 3))  # moves the running statistics
    save_model(tmp_path / "model", network, DESCRIPTION)
    return tmp_path / "model", network


def test_a_model_comes_back_as_it_went(saved):
    path, network = saved
    before = torch.get_rng_state()
    loaded = load_model(path, BUILDERS)
    assert torch.equal(torch.get_rng_state(), before)
    x = torch.randn(4, 3)
    assert torch.equal(loaded.network(x), network.eval()(x))
    assert not loaded.network.training
    assert loaded.description == DESCRIPTION == read_description(path)
    assert sorted(p.name for p in path.iterdir()) == ["config.json", "model.safetensors"]


def edit(path, **changes):
    config = json.loads((path / "config.json").read_text())
    for key, value in changes.items():
        if value is None:
            del config[key]
        else:
            config[key] = value
    (path / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "other"}, r"holds a 'other' model; needed is one of: toy"),
        ({"format": "x"}, "does not describe a model"),
        ({"format_version": 99}, "format version 99"),
        ({"data": None}, "lacks data"),
        ({"weights_sha256": "0"}, "checksums differ"),
        ({"model": {"width": 4}}, r"of another shape: 0.bias \(3,\) for \(4,\)"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(saved, changes, message):
    path, _ = saved
    edit(path, **changes)
    with pytest.raises(ModelError, match=message):
        load_model(path, BUILDERS)


def test_leftover_and_missing_tensors_are_named(saved):
    path, _ = saved
    builders = {
        "toy": lambda model: nn.Sequential(nn.Linear(3, 3), nn.Identity(), nn.Linear(3, 1), nn.Linear(1, 1))
    }
    with pytest.raises(
        ModelError, match=r"missing: 3\.bias, 3\.weight; left over: 1\.bias, 1\.num_batches_tracked"
    ):
        load_model(path, builders)


def test_damaged_weights_are_refused(saved):
    path, _ = saved
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"model\.safetensors: is damaged"):
        read_weights(path)
    weights.unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors: no such file"):
        read_weights(path)


def test_a_folder_without_config_and_a_broken_config(saved, tmp_path):
    with pytest.raises(ModelError, match="is no model folder"):
        read_description(tmp_path)
    path, _ = saved
    (path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        read_description(path)


def test_transfer_tells_what_moved():
    source = {name.replace("2.", "5."): tensor for name, tensor in toy(seed=1).state_dict().items()}
    network = toy(seed=2)
    first = network[2].weight.clone()
    moved = transfer(network, source, "source")
    assert set(moved.moved) == {f"0.{k}" for k in ("weight", "bias")} | {
        f"1.{k}" for k in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    assert (set(moved.new), set(moved.left)) == ({"2.weight", "2.bias"}, {"5.weight", "5.bias"})
    assert torch.equal(network[0].weight, source["0.weight"])
    assert torch.equal(network[2].weight, first)


def test_a_transfer_of_nothing_is_an_error():
    with pytest.raises(ModelError, match="nothing of it fits the new model; it has other"):
        transfer(toy(), {"other": torch.ones(1)}, "source")
    with pytest.raises(ModelError, match=r"0.weight is \(4, 4\), and \(3, 3\) in the new model"):
        transfer(toy(), toy(4).state_dict(), "source")


class Payload:
    def __reduce__(self):
        return (print, ("never",))


def test_checkpoints_are_never_unpickled(tmp_path, capsys):
    for name, write in (
        ("zip.ckpt", lambda path: torch.save({"state_dict": Payload()}, path)),
        ("raw.ckpt", lambda path: path.write_bytes(pickle.dumps(Payload()))),
        ("text.ckpt", lambda path: path.write_text("hello")),
    ):
        write(tmp_path / name)
        with pytest.raises(ModelError, match=f"{name}: is truncated or no checkpoint"):
            read_checkpoint(tmp_path / name)
    torch.save({"weights": 1}, tmp_path / "other.ckpt")
    with pytest.raises(ModelError, match="is no training checkpoint"):
        read_checkpoint(tmp_path / "other.ckpt")
    assert capsys.readouterr().out == ""
