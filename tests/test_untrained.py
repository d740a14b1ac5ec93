"""The untrained bundle that comes with the package is what streamguard_export.untrained makes, and is packaged."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest

from streamguard.bundle import UNTRAINED, Bundle, open_bundle
from streamguard.engine.backend_openvino import OpenVinoBackend, fast_precisions
from streamguard.engine.parity import sample_clips, window_scores

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    from streamguard_export import untrained

    if "bf16" not in fast_precisions()[1]:
        pytest.skip("this processor has no bf16, which the bundle must be measured in")
    return untrained.make(tmp_path_factory.mktemp("untrained") / "bundle")


def test_it_says_that_it_is_not_trained() -> None:
    bundle = open_bundle(UNTRAINED)
    assert bundle.manifest.trained is False
    assert bundle.manifest.calibrations == ()
    assert bundle.manifest.provenance.data == "none"


def test_committed_files_are_what_is_made_now(made: Bundle) -> None:
    committed = open_bundle(UNTRAINED)
    for name in ("weights.bin", "window.onnx", "step.onnx"):
        assert (committed.folder / name).read_bytes() == (made.folder / name).read_bytes(), f"{name} is stale"


def test_committed_manifest_says_what_is_made_now_but_for_what_was_measured(made: Bundle) -> None:
    now, then = made.manifest, open_bundle(UNTRAINED).manifest
    for name in ("network", "version", "trained", "clip", "colour", "output", "states", "net", "provenance", "files"):
        assert getattr(now, name) == getattr(then, name)
    assert {graph: set(specs) for graph, specs in now.graphs.items()} == {
        graph: set(specs) for graph, specs in then.graphs.items()
    }
    for graph, specs in now.graphs.items():
        for precision, spec in specs.items():
            assert spec.tolerance <= 2 * then.graphs[graph][precision].tolerance


def test_scores_are_those_of_what_is_made_now(made: Bundle) -> None:
    committed = open_bundle(UNTRAINED)
    clips = sample_clips(committed.manifest.clip, 2)
    scores = [
        window_scores(OpenVinoBackend(bundle, "window", "fp32"), bundle.manifest, clips) for bundle in (committed, made)
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=0, atol=1e-6)


def test_both_graphs_share_one_weights_file() -> None:
    places = []
    for name in ("window.onnx", "step.onnx"):
        model = onnx.load(UNTRAINED / name, load_external_data=False)
        external = [tensor for tensor in model.graph.initializer if tensor.external_data]
        entries = [{entry.key: entry.value for entry in tensor.external_data} for tensor in external]
        assert {entry["location"] for entry in entries} == {"weights.bin"}
        places.append({(entry["offset"], entry["length"]) for entry in entries})
    assert len(places[0] & places[1]) >= 20
    sizes = {path.name: path.stat().st_size for path in UNTRAINED.iterdir()}
    assert sizes["window.onnx"] + sizes["step.onnx"] < 30_000
    assert sum(sizes.values()) < 300_000


def test_graphs_tell_nothing_of_the_machine_that_made_them() -> None:
    for name in ("window.onnx", "step.onnx"):
        model = onnx.load(UNTRAINED / name, load_external_data=False)
        assert not model.metadata_props
        assert model.producer_version == ""
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
        assert b".py" not in model.SerializeToString()
        assert [opset.version for opset in model.opset_import] == [18]


def test_it_is_inside_the_wheel() -> None:
    """hatch packages what lies under a package and git does not ignore."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "streamguard" in settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    paths = [str(path) for path in UNTRAINED.iterdir()]
    ignored = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ignored.returncode, ignored.stdout) == (1, "")
