"""The large networks, small: real footage is prepared, trained on for some hundred steps, and a bundle of it scans.

Where the footage is: STREAMGUARD_DATA, or shared/data beside the repository.
"""

from __future__ import annotations

import faulthandler
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from streamguard.cli.main import LIKELY_FAKE, main
from streamguard.data.index import Index

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("STREAMGUARD_DATA", ROOT.parent / "shared" / "data"))
FOOTAGE, SECONDS = 60, 3

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no footage in {DATA}: set STREAMGUARD_DATA to a folder with some"),
]


@dataclass(frozen=True)
class Small:
    """A recipe of ours, cut down to some minutes on a CPU."""

    options: tuple[str, ...]
    length: int
    steps: int
    lr: float

    def arguments(self, name: str) -> list[str]:
        changes = [f"net.options.{option}" for option in self.options]
        changes += [f"stages.*.length={self.length}", f"stages.*.lr={self.lr}", f"stages.*.steps={self.steps}"]
        # Few pairs, seen often, and most of them genuine fakes beside other people: enough to show that it learns. Of
        # pseudo-fakes alone, which differ from their clip by little, so small a network learns nothing in this time.
        changes += ["data.bank=24", "data.reuse=64", "data.workers=1", "data.tile_px=160", "data.degraded=0"]
        changes += ["stages.*.pairs=6", "stages.*.twins=0", "stages.*.pseudo=0.3", "stages.*.alone=0.7"]
        changes += ["stages.*.warmup=20", "data.monitor_pairs=24", "run.evaluate_every=50"]
        return [name, *(part for change in changes for part in ("--set", change))]


SMALL = {
    "altfreezing": Small(options=("size_px=64", "length=8", "width=0.25"), length=8, steps=300, lr=0.005),
    "gml": Small(options=("size_px=64", "length=4", "width=0.2"), length=4, steps=300, lr=1e-3),
}


@pytest.fixture(scope="module")
def unhurried() -> None:
    """Other tests of more than five minutes hang; these only work."""
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def data(unhurried: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "data"
    told = ["data", "prepare", str(DATA), "--out", str(folder), "--limit", str(FOOTAGE), "--seconds", str(SECONDS)]
    assert main(told) in (0, 3), "some footage may show no face"
    return folder


@pytest.mark.parametrize("name", SMALL)
def test_network_improves_on_its_start_and_its_bundle_scans(data: Path, tmp_path: Path, name: str) -> None:
    faulthandler.cancel_dump_traceback_later()
    small = SMALL[name]
    out = tmp_path / "out"
    assert main(["train", *small.arguments(name), "--data", str(data), "--out", str(out), "--threads", "1"]) == 0
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    losses = [line["first"] for line in lines]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])

    bundle = tmp_path / "bundle"
    weights = out / "weights.safetensors"
    options = [part for option in small.options for part in ("--option", option)]
    account = ["--data", "a test's", "--licence", "none"]
    assert main(["bundle", "new", name, str(bundle), "--weights", str(weights), *options, *account]) == 0
    index = Index.open(data)
    clip = next(index.path(each) for each in index.footage if each.label == "real" and not each.still)
    scanned = main(["scan", str(clip), "--bundle", str(bundle), "--out", str(tmp_path / "scan"), "--seconds", "4"])
    assert scanned in (0, LIKELY_FAKE)
    events = [json.loads(line) for line in next((tmp_path / "scan").rglob("events.jsonl")).read_text().splitlines()]
    assert [event for event in events if "score" in json.dumps(event).lower()], "its faces were scored"
