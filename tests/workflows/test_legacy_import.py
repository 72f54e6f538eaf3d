"""Published checkpoints become model folders that load, say what they are, and compute the same."""

import pickle

import pytest
import torch

from benchmarks.plain_mixhic import PlainContacts, PlainLoops, PlainMixHic
from chromweave.errors import ConfigError, ModelError, OutputError
from chromweave.progress import Silent, reporting
from chromweave.workflows.legacy_import import import_legacy
from chromweave.workflows.networks import load

SETTINGS = {"assembly": "hg38", "tracks": ("ATAC", "DNase")}


def shipped(tmp_path, build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = build(16, across_batch=True, as_shipped=True).eval()
    path = tmp_path / "epoch41.pth"
    state = {f"module.{name}": tensor for name, tensor in plain.state_dict().items()}
    torch.save({"epoch": 41, "model_state_dict": state}, path)
    return plain, path


def draw(windows):
    generator = torch.Generator().manual_seed(1)
    contacts = torch.rand(windows, 1, 50, 50, generator=generator)
    return contacts, torch.rand(windows, 5000, 2, generator=generator)


class Notes(Silent):
    def __init__(self):
        self.messages = []

    def notify(self, message):
        self.messages.append(message)


def test_pretrained(tmp_path):
    plain, path = shipped(tmp_path, PlainMixHic)
    with reporting(notes := Notes()):
        result = import_legacy(path, tmp_path / "model", kind="pretrain", **SETTINGS)
    assert len(result.dropped) == 54
    assert "54 tensors that it does not read left behind" in notes.messages[0]
    model = load(tmp_path / "model")
    assert model.network.config == result.config
    assert result.config.legacy
    data = model.description.data
    assert (data["assembly"], data["resolution"], data["window_bins"]) == ("hg38", 5000, 50)
    transform = data["transform"]
    assert transform["tracks"] == ["ATAC", "DNase"]
    assert (transform["weight"], transform["scaled"], transform["clip"]) == ("KR", False, 255.0)
    assert (transform["contacts"], transform["signal"]) == ("clip", "raw")
    assert model.description.provenance["dropped_tensors"] == list(result.dropped)
    windows = draw(3)
    with torch.no_grad():
        pair, expected = model.network(*windows), plain(*windows)
    joined = torch.cat([pair.track_invariant, pair.track_specific], -1)
    torch.testing.assert_close(joined, expected.tracks, rtol=1e-5, atol=1e-6)


def test_fine_tuned_for_loops(tmp_path):
    plain, path = shipped(tmp_path, PlainLoops)
    import_legacy(path, tmp_path / "model", kind="loops", weight="weight", **SETTINGS)
    model = load(tmp_path / "model")
    transform = model.description.data["transform"]
    assert (transform["signal"], transform["weight"], transform["scaled"]) == ("log2", "weight", True)
    assert model.description.model["mode"] == "bimodal"
    windows = draw(3)
    with torch.no_grad():
        torch.testing.assert_close(model.network(*windows).value, plain.predict(*windows)[:, 0])


def test_fine_tuned_for_contacts(tmp_path):
    plain, path = shipped(tmp_path, PlainContacts)
    result = import_legacy(path, tmp_path / "model", kind="contacts", **SETTINGS)
    model = load(tmp_path / "model")
    assert (result.kind, model.description.model["mode"]) == ("mixhic-contacts", "infer_map")
    contacts, tracks = draw(3)
    with torch.no_grad():
        torch.testing.assert_close(model.network(None, tracks).value, plain.predict(contacts, tracks))
    assert "patch_embedding.weight" in result.dropped


class Bomb:
    """Unpickling this would call something."""

    def __reduce__(self):
        return (print, ("run",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"model_state_dict": {}, "options": Bomb()}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match=r"evil\.pth: holds more than tensors.*any code"):
        import_legacy(tmp_path / "evil.pth", tmp_path / "model", kind="pretrain", **SETTINGS)
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match=r"bare\.pth: "):
        import_legacy(tmp_path / "bare.pth", tmp_path / "model", kind="pretrain", **SETTINGS)
    assert "run" not in capsys.readouterr().out
    assert not (tmp_path / "model").exists()


def test_a_damaged_or_absent_file_is_refused(tmp_path):
    _, path = shipped(tmp_path, PlainMixHic)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"epoch41\.pth: is damaged"):
        import_legacy(path, tmp_path / "model", kind="pretrain", **SETTINGS)
    with pytest.raises(ModelError, match="no such checkpoint"):
        import_legacy(tmp_path / "none.pth", tmp_path / "model", kind="pretrain", **SETTINGS)


def test_settings_that_do_not_fit_are_refused(tmp_path):
    _, path = shipped(tmp_path, PlainMixHic)
    out = tmp_path / "model"
    with pytest.raises(ConfigError, match="reads 2 tracks, and 1 are named"):
        import_legacy(path, out, kind="pretrain", assembly="hg38", tracks=("ATAC",))
    with pytest.raises(ConfigError, match="have 10,000"):
        import_legacy(path, out, kind="pretrain", resolution=10_000, **SETTINGS)
    with pytest.raises(ConfigError, match="no kind 'cage'"):
        import_legacy(path, out, kind="cage", **SETTINGS)
    with pytest.raises(ConfigError, match="mode 'map'"):
        import_legacy(path, out, kind="pretrain", mode="map", **SETTINGS)
    import_legacy(path, out, kind="pretrain", **SETTINGS)
    with pytest.raises(OutputError, match="holds a model already"):
        import_legacy(path, out, kind="pretrain", **SETTINGS)
    import_legacy(path, out, kind="pretrain", overwrite=True, **SETTINGS)
