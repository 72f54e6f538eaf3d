"""What goes into a store comes out of it, and nothing half-written ever does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chromweave.data import build as building
from chromweave.data.build import add_contacts, add_tracks
from chromweave.data.store import RegionStore
from chromweave.errors import (
    ChromosomeError,
    ConfigError,
    DataError,
    OutputError,
    ResolutionError,
)
from chromweave.genome import Assembly
from chromweave.progress import Silent, reporting
from tests.fakes import (
    SMALL,
    FakeContacts,
    build_fake,
    install,
    random_contacts,
    random_map,
    random_track,
)


class Listener(Silent):
    def __init__(self):
        self.lines = []

    def notify(self, message):
        self.lines.append(message)


def test_what_cannot_be_built(tmp_path, monkeypatch):
    out, contacts = tmp_path / "a.store", random_contacts()
    for message, error, options in [
        ("contacts, tracks or both", ConfigError, {}),
        ("at which resolutions", ConfigError, {"contacts": contacts, "resolutions": ()}),
        ("resolutions belong to contacts", ConfigError, {"tracks": [random_track()], "resolutions": (5000,)}),
        ("cannot name a track", ConfigError, {"tracks": [random_track("../x")]}),
        (
            "no resolution of 5,000 bp; it has 10,000",
            ResolutionError,
            {"contacts": contacts, "resolutions": (5000,)},
        ),
        ("has no contacts on chr3", ChromosomeError, {"contacts": contacts, "chroms": ["chr3"]}),
        ("no chromosome of small", ChromosomeError, {"contacts": contacts, "chroms": ["chr9"]}),
        ("no chromosome is asked for", ConfigError, {"contacts": contacts, "chroms": []}),
        ("less than one bin", ConfigError, {"contacts": contacts, "max_distance": 9000}),
        ("positive number", ConfigError, {"contacts": contacts, "max_distance": 0}),
        ("no track has chr3", ChromosomeError, {"tracks": [random_track()], "chroms": ["chr3"]}),
        ("needs its assembly named", ConfigError, {"tracks": [random_track()], "assembly": None}),
    ]:
        with pytest.raises(error, match=message):
            build_fake(monkeypatch, out, **options)
        assert not list(tmp_path.iterdir())


def test_the_mitochondrion_and_empty_chromosomes_are_left_out_aloud(tmp_path, monkeypatch):
    contacts = random_contacts(chroms=("chr1", "chrM"))
    listener = Listener()
    with reporting(listener):
        store = build_fake(monkeypatch, tmp_path / "a.store", contacts)
    assert store.chromosomes == ("chr1",)
    assert any("chr2, chr3, chrM" in line for line in listener.lines)
    only = random_contacts(chroms=("chrM",))
    with pytest.raises(DataError, match="chrM only"):
        build_fake(monkeypatch, tmp_path / "b.store", only)


def test_extending_links_what_is_there(tmp_path, monkeypatch):
    contacts = random_contacts(resolutions=(10_000, 20_000))
    first = build_fake(monkeypatch, tmp_path / "a.store", contacts, [random_track()], resolutions=(10_000,))
    inode = (first.path / "tracks/ATAC/chr1.mean.npy").stat().st_ino
    install(monkeypatch.setattr, contacts, [random_track("CTCF")])
    second = add_tracks(first, {"CTCF": "fake.bw"})
    assert second.track_names == ("ATAC", "CTCF")
    third = add_contacts(tmp_path / "a.store", "fake.mcool", [20_000])
    assert third.resolutions == (10_000, 20_000)
    assert third.layer_sha256(10_000) == first.layer_sha256(10_000)
    np.testing.assert_array_equal(third.layer("chr2", 20_000).dense(), contacts.maps["chr2", 20_000])
    np.testing.assert_array_equal(
        third.track("CTCF", "chr1").mean, random_track("CTCF").values["chr1"].astype(np.float16)
    )
    third.verify()
    assert (third.path / "tracks/ATAC/chr1.mean.npy").stat().st_ino == inode
    assert len(third.manifest["history"]) == 2
    with pytest.raises(ConfigError, match="a track 'CTCF' already"):
        add_tracks(third, {"CTCF": "fake.bw"})
    with pytest.raises(ConfigError, match="no track to add"):
        add_tracks(third, {})
    with pytest.raises(ConfigError, match="a layer of 20,000 bp already"):
        add_contacts(third, "fake.mcool", [20_000])
    install(monkeypatch.setattr, random_contacts(chroms=("chr1",), resolutions=(50_000,)))
    with pytest.raises(ChromosomeError, match="no contacts on chr2"):
        add_contacts(third, "fake.mcool", [50_000])
    RegionStore.open(tmp_path / "a.store").verify()
    assert [path.name for path in tmp_path.iterdir()] == ["a.store"]


# -- faults ---------------------------------------------------------------------------------------------

KILL = """
import json, os, random, signal, sys, time
from pathlib import Path
from chromweave.data.build import build
from chromweave.data.store import RegionStore
from tests.fakes import SMALL, install, random_contacts, random_track

folder, chooser = Path(sys.argv[1]), random.Random(0)
out = folder / "a.store"
inputs = [(random_contacts(seed, resolutions=(10_000, 20_000)), random_track(seed=seed)) for seed in (0, 1)]

def start(which):
    pid = os.fork()
    if pid:
        return pid
    contacts, track = inputs[which]
    install(setattr, contacts, [track])
    both = (10_000, 20_000)
    build(out, contacts="x", tracks={"ATAC": "x"}, resolutions=both, assembly=SMALL, name=str(which))
    os._exit(0)

def finish(which):
    begin = time.monotonic()
    assert os.waitpid(start(which), 0)[1] == 0
    return time.monotonic() - begin

def found():
    if not out.exists():
        return None
    store = RegionStore.open(out)
    store.verify()
    return store.name

duration = min(finish(0) for _ in range(4))
outcomes = []
for attempt in range(20):
    before = found()
    if attempt == 10:  # the second half starts without a store
        os.system(f"rm -r {out}")
        before = None
    pid = start(1)
    time.sleep(duration * (attempt % 10 + chooser.random()) / 10)
    os.kill(pid, signal.SIGKILL)
    killed = os.waitpid(pid, 0)[1] == signal.SIGKILL
    outcomes.append([before, killed, found()])
    if attempt < 10 and found() == "1":
        finish(0)
    elif attempt >= 10 and out.exists():
        os.system(f"rm -r {out}")
finish(1)
left = sorted(path.name for path in folder.iterdir())
print(json.dumps({"outcomes": outcomes, "left": left, "last": found()}))
"""


def run(script, *arguments):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=root, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_twenty_builds_killed_at_random_moments_leave_the_old_store_or_none(tmp_path):
    result = run(KILL, tmp_path)
    assert len(result["outcomes"]) == 20
    for before, killed, after in result["outcomes"]:
        assert after in (before, None, "1")
        assert killed or after == "1"
    assert sum(killed for _, killed, _ in result["outcomes"]) >= 10
    assert sum(after == before for before, _, after in result["outcomes"]) >= 4
    assert result["left"] == ["a.store"]  # the next build cleared what the killed ones left
    assert result["last"] == "1"


TWO = """
import json, os, sys
from pathlib import Path
from chromweave.data.build import build
from chromweave.data.store import RegionStore
from tests.fakes import SMALL, install, random_contacts, random_track

out = Path(sys.argv[1]) / "a.store"
inputs = [(random_contacts(seed), random_track(seed=seed)) for seed in (0, 1)]
names = []
for _ in range(5):
    ready, go = os.pipe()
    pids = []
    for which in (0, 1):
        pid = os.fork()
        if not pid:
            os.close(go)
            os.read(ready, 1)  # both start when the parent closes its end
            install(setattr, inputs[which][0], [inputs[which][1]])
            paths = {"contacts": "x", "tracks": {"ATAC": "x"}}
            build(out, **paths, resolutions=(10_000,), assembly=SMALL, name=str(which))
            os._exit(0)
        pids.append(pid)
    os.close(go)
    os.close(ready)
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    assert codes == [0, 0], codes
    store = RegionStore.open(out)
    store.verify()
    contacts, track = inputs[int(store.name)]
    assert (store.layer("chr1", 10_000).pixels().count == contacts.counts("chr1", 10_000).count).all()
    kept = store.track("ATAC", "chr2").mean[:50]
    assert (abs(kept - track.values["chr2"][:50])[kept == kept] < 0.05).all()
    names.append(store.name)
print(json.dumps({"names": names, "left": [path.name for path in out.parent.iterdir()]}))
"""


@pytest.mark.slow
def test_two_builds_into_one_name_do_not_mix(tmp_path):
    result = run(TWO, tmp_path)
    assert set(result["names"]) <= {"0", "1"}
    assert result["left"] == ["a.store"]


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of half a MB; the test is skipped where mounting is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, check=False
    ) if os.geteuid() == 0 else None  # fmt: skip
    if done is None or done.returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_nothing_is_left(small_disk, monkeypatch):
    rng = np.random.default_rng(0)
    big = FakeContacts({("chr1", 5000): random_map(401, rng)}, {("weight", "chr1", 5000): np.ones(401)})
    tracks = [random_track(f"track{i}", chroms=("chr1",)) for i in range(9)]
    with pytest.raises(OutputError, match="no space left on the disk"):
        build_fake(monkeypatch, small_disk / "a.store", big, tracks)
    assert not list(small_disk.iterdir())
    store = build_fake(monkeypatch, small_disk / "a.store", big)
    before = store.manifest_sha256
    install(monkeypatch.setattr, big, tracks)
    with pytest.raises(OutputError, match="no space left on the disk"):
        add_tracks(store, {track.name: track.path for track in tracks})
    store = RegionStore.open(store.path)
    store.verify()
    assert store.manifest_sha256 == before
    assert [path.name for path in small_disk.iterdir()] == ["a.store"]


def test_a_read_only_target_is_said(small_disk, monkeypatch):
    store = build_fake(monkeypatch, small_disk / "old.store", random_contacts(chroms=("chr3",)))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OutputError, match="cannot be written to"):
        build_fake(monkeypatch, small_disk / "a.store", random_contacts())
    install(monkeypatch.setattr, tracks=[random_track(chroms=("chr3",))])
    with pytest.raises(OutputError, match="cannot be written to"):
        add_tracks(store, {"ATAC": "x"})
    RegionStore.open(store.path).verify()
    assert [path.name for path in small_disk.iterdir()] == ["old.store"]


def test_a_folder_that_is_no_store_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").touch()
    with pytest.raises(OutputError, match="not replaced"):
        build_fake(monkeypatch, tmp_path / "thesis", random_contacts())
    assert [path.name for path in tmp_path.rglob("*")] == ["thesis", "chapter1.tex"]


# -- real files -----------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_k562_chr22(real_data, tmp_path):
    folder = real_data / "k562_chr22_hg38"
    store = building.build(
        tmp_path / "K562.store",
        contacts=folder / "K562.chr22.mcool",
        tracks={"ATAC": folder / "K562.ATAC.bw"},
        resolutions=(5000, 100_000),
    )
    store.verify()
    assert store.assembly == Assembly.named("hg38")
    assert store.chromosomes == ("chr22",)
    entry = store.manifest["contacts"]["5000"]["chromosomes"]["chr22"]
    assert entry["contacts"] + entry["contacts_beyond_band"] == 6_499_134
    assert entry["n_diagonals"] == 450
    assert store.layer("chr22", 100_000).pixels().count.sum() == 6_499_134
    assert [source["role"] for source in store.manifest["sources"]] == ["contacts", "track"]
    assert store.manifest["sources"][0]["bytes"] == (folder / "K562.chr22.mcool").stat().st_size
    # K562 at 5 kb on the scale of counts: mean at distance 0, 1, 2 bins is 360, 155, 42 (as measured before)
    square = store.layer("chr22", 5000).dense(6000, 7000, weight="weight", scaled=True)
    assert np.nanmean(np.diagonal(square, 1)) > 2 * np.nanmean(np.diagonal(square, 2)) > 40
    assert SMALL.name not in str(store.manifest["assembly"])


@pytest.mark.real_data
def test_a_real_hic_has_juicers_values_and_equals_an_mcool_of_the_same_map(real_data, tmp_path):
    """KR divides (juicer): count / (v_i v_j), as hictkpy balances it, and as a cooler of the same map."""
    import cooler
    import hictkpy
    import pandas as pd

    source = real_data / "gm12878_chr21_hichip_hg38" / "GM12878.cohesin_HiChIP.hic"
    resolution = 25_000
    store = building.build(tmp_path / "hic.store", contacts=source, resolutions=(5000, resolution))
    store.verify()
    assert store.chromosomes == ("chr21",)
    assert set(store.weight_names(resolution)) == {"KR", "VC", "VC_SQRT"}

    file = hictkpy.File(str(source), resolution)
    name = next(chrom for chrom in file.chromosomes() if chrom.removeprefix("chr") == "21")
    truth = file.fetch(name, normalization="KR").to_numpy(query_span="full")
    ours = store.layer("chr21", resolution).dense(weight="KR")
    seen = np.isfinite(truth) & np.isfinite(ours)
    assert (truth[seen] > 0).sum() > 100_000
    np.testing.assert_allclose(ours[seen], truth[seen], rtol=1e-5)
    assert not np.nansum(truth[np.isnan(ours)])  # what we mask has no balanced contacts there either

    vector = np.asarray(file.weights("KR", divisive=True), dtype=float)
    pixels = file.fetch(name).to_coo(query_span="upper_triangle")
    table = pd.DataFrame({"bin1_id": pixels.row, "bin2_id": pixels.col, "count": pixels.data.astype(int)})
    before = 0
    for chrom, size in file.chromosomes().items():
        if chrom == name:
            break
        before += -(-size // resolution)
    length = store.assembly.length("chr21")
    starts = np.arange(0, length, resolution)
    bins = pd.DataFrame(
        {
            "chrom": "chr21",
            "start": starts,
            "end": np.minimum(starts + resolution, length),
            "KR": vector[before : before + len(starts)],
        }
    )
    path = tmp_path / "same.cool"
    cooler.create_cooler(str(path), bins, table.sort_values(["bin1_id", "bin2_id"]), ordered=True)
    other = building.build(tmp_path / "cool.store", contacts=path, resolutions=(resolution,), assembly="hg38")
    np.testing.assert_allclose(other.layer("chr21", resolution).dense(weight="KR"), ours, rtol=1e-9)
