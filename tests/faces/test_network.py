"""One compiled network for all who open the same file, and as many calls at once as there are cores."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from streamguard.assets import asset_path
from streamguard.errors import AssetError
from streamguard.faces import network
from streamguard.faces.network import Network, Pixels, open_network

PIXELS = Pixels(mean=1.0, scale=2.0)  # as nobody else opens it


def test_threads_that_open_one_file_at_once_compile_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []
    taking_bytes = network._taking_bytes

    def counting(model: Any, pixels: Pixels) -> Any:
        compiled.append(model)
        return taking_bytes(model, pixels)

    monkeypatch.setattr(network, "_taking_bytes", counting)
    start = Barrier(4)
    opened: list[Network] = []

    def open_it() -> None:
        start.wait(timeout=30)
        opened.append(open_network(asset_path("face-short-range"), PIXELS))

    threads = [Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(compiled) == 1
    assert len(set(map(id, opened))) == 1


def test_a_damaged_network_is_an_asset_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(asset_path("face-short-range").read_bytes()[:5000])
    with pytest.raises(AssetError, match=r"cut\.tflite: OpenVINO cannot run it"):
        open_network(path, PIXELS)
