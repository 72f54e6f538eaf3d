"""Every kind of model folder is built from what it says, and from nothing else, also one of the hub."""

import json
import shutil
import sys
from fnmatch import fnmatch
from types import ModuleType

import pytest
import torch

import chromweave
from chromweave import config as configs
from chromweave.errors import ConfigError, ModelError
from chromweave.models.mixhic import MixHicConfig, MixHicPretrain
from chromweave.models.tasks import ContactModel, ExpressionModel, LoopModel
from chromweave.training.checkpoint import ModelDescription, save_model
from chromweave.workflows.graph_training import KIND as GRAPH
from chromweave.workflows.networks import LOOPS, PRETRAIN, TASKS, build_network, load, load_task, made_by

CONFIG = MixHicConfig(channels=8, heads=1, depth=1, window_bins=16, positions=1600, n_tracks=3)


def save(path, network, kind, **model):
    described = {"network": configs.to_mapping(CONFIG), **model}
    save_model(path, network, ModelDescription(kind, described, {}, {}))


def test_both_kinds_come_back(tmp_path):
    save(tmp_path / "p", MixHicPretrain(CONFIG), PRETRAIN)
    save(tmp_path / "l", LoopModel(CONFIG, "infer_map"), LOOPS, mode="infer_map")
    assert load(tmp_path / "p").network.config == CONFIG
    loops = load_task(tmp_path / "l", "loops").network
    assert (loops.config, loops.mode, loops.probe) == (CONFIG, "infer_map", False)
    with pytest.raises(ModelError, match=r"/p: is a model of pretrain; give a run .* finetune --task loops"):
        load_task(tmp_path / "p", "loops")
    with pytest.raises(
        ModelError, match=r"/l: is a model of finetune --task loops; .* finetune --task contacts"
    ):
        load_task(tmp_path / "l", "contacts")


def test_models_of_other_commands_are_named_by_these(tmp_path):
    """Not by the names of kinds in the file, which a user has never typed."""
    save(tmp_path / "g", MixHicPretrain(CONFIG), GRAPH)
    with pytest.raises(
        ModelError, match="/g: is a model of graph train; give a run folder of pretrain or fine"
    ):
        load(tmp_path / "g")
    assert [made_by(kind) for kind in TASKS.values()] == [f"finetune --task {task}" for task in TASKS]
    assert made_by("else") == "another kind ('else')"


@pytest.mark.parametrize(
    ("task", "build", "model"),
    [
        ("loops", lambda: LoopModel(CONFIG, "infer_tracks", True), {"mode": "infer_tracks", "probe": True}),
        ("contacts", lambda: ContactModel(CONFIG, "tracks"), {"mode": "tracks"}),
        (
            "contacts",
            lambda: ContactModel(CONFIG, "infer_map", True, "linear"),
            {"mode": "infer_map", "probe": True, "output": "linear"},
        ),
        ("expression", lambda: ExpressionModel(CONFIG, "bimodal"), {"mode": "bimodal", "signal": "CAGE"}),
        ("expression", lambda: ExpressionModel(CONFIG, "map", True), {"mode": "map", "probe": True}),
    ],
)
def test_every_task_comes_back_as_it_was(tmp_path, task, build, model):
    before = build().eval()
    save(tmp_path, before, TASKS[task], **model)
    after = load_task(tmp_path, task).network
    assert (type(after), after.mode, after.probe) == (type(before), before.mode, before.probe)
    assert getattr(after, "output", None) == getattr(before, "output", None)
    generator = torch.Generator().manual_seed(0)
    windows = (
        torch.rand(2, 1, 16, 16, generator=generator), torch.rand(2, 1600, 3, generator=generator),
    )  # fmt: skip
    assert torch.equal(after(*windows).value, before(*windows).value)
    assert type(load(tmp_path).network) is type(before)
    assert set(build_network(TASKS[task], {"network": configs.to_mapping(CONFIG), **model}).state_dict()) == (
        set(before.state_dict())
    )


@pytest.mark.parametrize(
    ("task", "model", "message"),
    [
        (
            "contacts",
            {"mode": "bimodal"},
            r"config\.json: a model that predicts contacts reads no contact map",
        ),
        ("contacts", {"mode": "tracks", "output": "exp"}, "no output 'exp'; there are sigmoid, linear"),
        ("expression", {}, "model lacks 'mode'; it is damaged"),
    ],
)
def test_a_description_that_builds_nothing_is_refused(tmp_path, task, model, message):
    save(tmp_path, MixHicPretrain(CONFIG), TASKS[task], **model)
    with pytest.raises(ModelError, match=message):
        load(tmp_path)


def test_another_mode_leaves_tensors_over(tmp_path):
    save(tmp_path / "l", LoopModel(CONFIG, "bimodal"), LOOPS, mode="tracks")
    with pytest.raises(ModelError, match=r"left over: fusion\.blocks"):
        load(tmp_path / "l")


def test_a_setting_of_a_later_version_is_refused(tmp_path):
    described = {"network": {**configs.to_mapping(CONFIG), "rotary": True}}
    save_model(tmp_path, MixHicPretrain(CONFIG), ModelDescription(PRETRAIN, described, {}, {}))
    with pytest.raises(ConfigError, match="unknown key 'rotary'"):
        load(tmp_path)


def test_a_description_without_its_sizes_is_refused(tmp_path):
    save_model(tmp_path / "a", MixHicPretrain(CONFIG), ModelDescription(PRETRAIN, {}, {}, {}))
    with pytest.raises(ModelError, match="model lacks 'network'"):
        load(tmp_path / "a")
    save(tmp_path / "b", LoopModel(CONFIG, "map"), LOOPS, mode="maps")
    with pytest.raises(ModelError, match=r"no mode 'maps'; there are bimodal, map, tracks, infer_map"):
        load(tmp_path / "b")


class FakeHub(ModuleType):
    """The hub's client: repositories are folders, and a download copies what its patterns let through."""

    def __init__(self, root, cache):
        super().__init__("huggingface_hub")
        self.root, self.cache, self.asked = root, cache, []

    def snapshot_download(self, repo_id, *, revision, allow_patterns, library_name, library_version):
        self.asked.append((repo_id, revision, tuple(allow_patterns)))
        assert (library_name, library_version) == ("chromweave", chromweave.__version__)
        source = self.root / repo_id
        if not source.is_dir():
            raise OSError("404 Client Error.\n\nRepository Not Found for url")
        folder = self.cache / repo_id
        folder.mkdir(parents=True)
        for path in source.iterdir():
            if any(fnmatch(path.name, pattern) for pattern in allow_patterns):
                shutil.copy(path, folder)
        return str(folder)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one model, lab/mixhic, that has pickles beside its weights; we stand in an empty folder."""
    fake = FakeHub(tmp_path / "hub", tmp_path / "cache")
    network = MixHicPretrain(CONFIG)
    save(fake.root / "lab" / "mixhic", network, PRETRAIN)
    for name in ("pytorch_model.bin", "last.ckpt", "model.pt", "README.md"):
        (fake.root / "lab" / "mixhic" / name).write_text("a card, or what should not be here")
    fake.network = network
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return fake


def test_a_hub_model_is_fetched_by_three_names_and_loaded(hub):
    loaded = chromweave.load("lab/mixhic", revision="v1")
    assert hub.asked == [("lab/mixhic", "v1", ("config.json", "model.safetensors", "README.md"))]
    fetched = {path.name for path in (hub.cache / "lab" / "mixhic").iterdir()}
    assert fetched == {"config.json", "model.safetensors", "README.md"}
    assert loaded.description.kind == PRETRAIN
    assert not loaded.network.training
    for name, tensor in hub.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor)


def test_a_folder_comes_before_the_hub(hub, tmp_path):
    save(tmp_path / "here" / "lab" / "mixhic", LoopModel(CONFIG, "map"), LOOPS, mode="map")
    assert load("lab/mixhic").description.kind == LOOPS
    assert hub.asked == []
    with pytest.raises(ModelError, match="a folder has no revisions"):
        load("lab/mixhic", revision="v1")


def test_what_the_hub_gives_is_checked(hub):
    config = hub.root / "lab" / "mixhic" / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps({**values, "weights_sha256": "0" * 64}))
    with pytest.raises(ModelError, match=r"lab/mixhic on the hub: .*checksums differ"):
        load("lab/mixhic")


def test_a_hub_model_of_pickles_only_is_refused(hub):
    (hub.root / "lab" / "old").mkdir()
    (hub.root / "lab" / "old" / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match=r"lab/old on the hub: .*is no model folder"):
        load("lab/old")


def test_a_bad_id_says_what_was_looked_for(hub):
    with pytest.raises(ModelError, match=r"lab/typo: there is no such folder here, .*404 Client Error\.\)"):
        load("lab/typo")
    with pytest.raises(ModelError, match="at revision v9"):
        load("lab/typo", revision="v9")
    for path in ("runs/a/b", "../mixhic", "/lab/mixhic", "mixhic", "lab/.."):
        with pytest.raises(ModelError, match="is no model folder"):
            load(path)
    assert [repository for repository, _, _ in hub.asked] == ["lab/typo", "lab/typo"]


def test_without_the_client_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"pip install 'chromweave\[hub\]'"):
        load("lab/mixhic")
