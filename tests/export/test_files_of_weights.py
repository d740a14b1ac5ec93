"""What a bundle says of the file that its weights came from, and of its options: all of it, and of that very file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from streamguard_export import registered
from streamguard_export.registered import bundle_of_weights, network_of

from streamguard.bundle import UNTRAINED, NetSpec, open_bundle
from streamguard.errors import BundleError, CheckpointError
from streamguard.nets.registry import ENTRIES
from streamguard.weights.load import save_weights
from streamguard.weights.read import read_checkpoint

SMALL = {"width": "0.1", "size_px": "32", "temporal": "2", "anomaly": "no"}


def test_a_file_that_changes_while_it_is_read_becomes_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the account would name the hash of weights that are not in it."""
    file = tmp_path / "weights.safetensors"
    save_weights(ENTRIES["gml-s"].build(SMALL), file)

    def read(path: Path) -> dict[str, torch.Tensor]:
        found = read_checkpoint(path)
        path.write_bytes(b"something else")
        return found

    monkeypatch.setattr(registered, "read_checkpoint", read)
    with pytest.raises(CheckpointError, match="was changed while it was read"):
        bundle_of_weights(tmp_path / "out", ENTRIES["gml-s"], SMALL, file, data="none", licence="none")
    assert not (tmp_path / "out").exists()


def test_options_that_a_bundle_does_not_name_are_not_made_up(tmp_path: Path) -> None:
    """Their defaults may be others by then."""
    bundle = open_bundle(UNTRAINED)
    options = ENTRIES["gml-s"].options()
    del options["motion"]
    net = NetSpec(name="gml-s", options=options, decisions={}, weights="weights.bin")
    without = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, net=net))
    with pytest.raises(BundleError, match=r"net\.options\.motion: is missing"):
        network_of(without)
