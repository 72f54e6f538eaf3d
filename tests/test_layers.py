"""Imports go one way: this table is the architecture, and it is read off the source with ``ast``."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "chromweave"

KERNEL = {
    "_version", "errors", "files", "genome", "schemas", "batch", "config", "progress", "provenance",
}  # fmt: skip

# room -> rooms it may import besides itself and the kernel
ALLOWED = {
    "io": set(),
    "models": set(),
    "training": set(),
    "evaluation": set(),
    "plot": set(),
    "sim": {"io"},
    "data": {"io"},
    "analysis": {"io", "evaluation"},
    "baselines": {"io", "models", "training", "evaluation"},
    "report": {"plot", "evaluation"},
    "workflows": {
        "io", "models", "training", "evaluation", "plot", "sim", "data", "analysis", "baselines", "report",
    },
    "cli": {"workflows", "io", "data", "analysis", "evaluation", "report", "sim"},
}  # fmt: skip

TORCH_FREE = {"io", "sim", "evaluation", "plot", "analysis", "report", "cli"}
TORCH_FREE_MODULES = {"data/store.py", "data/build.py", "data/windows.py", "data/cutter.py"}


def modules():
    return sorted(ROOT.rglob("*.py"))


def imports(path):
    """Absolute dotted names imported by a file, with the line they stand on."""
    package = ["chromweave", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                assert alias.name != "*", f"{path}:{node.lineno}: star import"
                yield f"{stem}.{alias.name}", node.lineno


def room_of(path):
    parts = path.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    room = room_of(path)
    assert room in KERNEL or room in ALLOWED or room == "__init__", f"{room} is no room of the architecture"
    for name, line in imports(path):
        if not name.startswith("chromweave."):
            continue
        other = name.split(".")[1]
        if other in KERNEL or other == room or room == "__init__":
            continue
        assert other in ALLOWED.get(room, set()), f"{path}:{line}: {room} may not import {other}"


def torch_free_modules():
    return [
        p for p in modules() if room_of(p) in TORCH_FREE or str(p.relative_to(ROOT)) in TORCH_FREE_MODULES
    ]


@pytest.mark.parametrize("path", torch_free_modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_torch_stays_where_it_belongs(path):
    for name, line in imports(path):
        assert name.split(".")[0] not in {"torch", "lightning"}, f"{path}:{line} imports {name}"
        assert not name.startswith("chromweave.batch"), f"{path}:{line} imports torch through the batch types"


def test_every_kernel_module_exists():
    assert all((ROOT / f"{name}.py").is_file() for name in KERNEL)


def test_tests_are_named_after_files():
    """tests/<room>/test_<file>.py names a file of that room."""
    for test in Path(__file__).parent.glob("*/test_*.py"):
        room, stem = test.parent.name, test.stem.removeprefix("test_")
        if room in ALLOWED:
            assert (ROOT / room / f"{stem}.py").is_file(), f"{test} tests no file of {room}"
