"""A region store while it is being written."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic_directory, sha256, write_json
from ..provenance import describe_process
from .store import KIND, MANIFEST, SCHEMA_VERSION, RegionStore, seal

__all__ = ["Draft", "extending"]


@dataclass
class Draft:
    """An unfinished store: arrays written so far, with size and checksum."""

    folder: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def save(self, name: str, array: np.ndarray) -> None:
        """Write one array as ``name.npy``."""
        path = self.folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.ascontiguousarray(array)
        with path.open("wb") as file:  # numpy.save hides the system's reason when the disk is full
            header = np.lib.format.header_data_from_array_1_0(array)
            np.lib.format.write_array_header_1_0(file, header)
            file.write(array.reshape(-1).view(np.uint8).data)
        self.files[f"{name}.npy"] = {"bytes": path.stat().st_size, "sha256": sha256(path)}

    def link(self, store: RegionStore, under: str = "") -> None:
        """Take over the files of a finished store, or those whose name begins with `under`.

        Files are never changed in place, so links are safe.
        """
        for name, entry in store.manifest["files"].items():
            if not name.startswith(under):
                continue
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(store.path / name, path)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP):
                    raise
                shutil.copyfile(store.path / name, path)
            self.files[name] = dict(entry)

    def finish(self, content: Mapping[str, Any]) -> None:
        """Write the manifest."""
        manifest = {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            **content,
            "files": dict(sorted(self.files.items())),
            "provenance": describe_process(),
        }
        write_json(self.folder / MANIFEST, manifest | {"seal": seal(manifest)})


@contextmanager
def extending(before: RegionStore) -> Iterator[tuple[Draft, dict[str, Any]]]:
    """A draft that holds all of a store, and its manifest's content to be added to."""
    with atomic_directory(before.path, marker=MANIFEST) as folder:
        draft = Draft(folder)
        draft.link(before)
        own = {"kind", "schema_version", "files", "provenance", "seal"}
        content = {key: value for key, value in before.manifest.items() if key not in own}
        content["history"] = [*content.get("history", ()), before.manifest["provenance"]]
        content["sources"] = list(content["sources"])
        content["tracks"], content["contacts"] = dict(content["tracks"]), dict(content["contacts"])
        yield draft, content
        draft.finish(content)
