"""The bundle that opens without a path: trained, calibrated, small, and accounted for.

While the package has none that is trained, UNTRAINED opens, and what a trained one must be is skipped.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from streamguard.bundle import DEFAULT, TRAINED, UNTRAINED, Bundle, open_bundle
from streamguard.cli.main import main
from streamguard.engine.open_backend import open_backend
from streamguard.engine.parity import measure
from streamguard.events import Score
from streamguard.wire import event_from_json
from tests.clips import one_person, pictures_of, write_video

ROOT = Path(__file__).parent.parent
CARD = ROOT / "docs" / "model_card.md"
MOST_BYTES = 10_000_000

trained = pytest.mark.skipif(DEFAULT == UNTRAINED, reason="the package has no trained bundle")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle()


def test_it_is_the_trained_one_where_there_is_one(bundle: Bundle) -> None:
    assert (TRAINED if TRAINED.exists() else UNTRAINED) == DEFAULT, "a folder without bundle.json"
    assert bundle.folder == DEFAULT
    assert bundle.manifest.trained is (DEFAULT == TRAINED)


def test_it_and_the_untrained_one_are_all_that_the_package_has() -> None:
    assert {path.name for path in DEFAULT.parent.iterdir()} == {DEFAULT.name, UNTRAINED.name}


def test_it_is_inside_the_wheel() -> None:
    """hatch packages what lies under a package and git does not ignore."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "streamguard" in settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for folder in {DEFAULT, UNTRAINED}:
        paths = [str(path) for path in folder.iterdir()]
        ignored = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (ignored.returncode, ignored.stdout) == (1, "")


@trained
def test_it_is_small(bundle: Bundle) -> None:
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) <= MOST_BYTES


@trained
def test_it_is_calibrated_for_steps_whichever_precision_a_processor_is_made_for(bundle: Bundle) -> None:
    assert bundle.manifest.graphs.keys() == {"window", "step"}
    calibrated = {each.precision for each in bundle.manifest.calibrations if each.graph == "step"}
    assert calibrated == bundle.manifest.graphs["step"].keys() >= {"fp32", "bf16"}
    assert all(each.thresholds.false_positive_rate <= 0.06 for each in bundle.manifest.calibrations), (
        "tell it in the card"
    )


@trained
def test_it_says_where_it_comes_from(bundle: Bundle) -> None:
    provenance, net = bundle.manifest.provenance, bundle.manifest.net
    assert len(provenance.data) > 20
    assert re.fullmatch("[0-9a-f]{7,40}", provenance.commit)
    assert provenance.licence == "Apache-2.0"
    assert provenance.metrics
    assert net is not None
    assert net.name == "gml-s"
    assert net.weights is not None, "nobody could train it on"


@trained
def test_its_card_is_of_this_very_bundle(bundle: Bundle) -> None:
    card = CARD.read_text()
    assert bundle.name in card
    assert bundle.sha256 in card
    assert "EfficientNet-Lite0" in card, "what it was trained from is credited"


@trained
def test_every_backend_here_gives_its_scores(bundle: Bundle) -> None:
    assert [row for row in measure(bundle) if not row.ok] == []


@trained
def test_what_runs_it_by_itself_can_judge(bundle: Bundle) -> None:
    backend = open_backend(bundle)
    backend.close()
    assert bundle.calibration(backend.graph, backend.precision) is not None


@trained
def test_scan_judges_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_video(tmp_path / "one.mp4", pictures_of(one_person(), 3.0))
    assert main(["scan", str(clip), "--out", str(tmp_path / "out"), "--no-video"]) in (0, 10)
    assert not re.search("UNTRAINED|UNCALIBRATED", capsys.readouterr().out)
    events = [event_from_json(line) for line in (tmp_path / "out" / "one" / "events.jsonl").read_text().splitlines()]
    scores = [event.kind for event in events if isinstance(event.kind, Score)]
    assert scores
    assert all(score.p_fake is not None for score in scores)
