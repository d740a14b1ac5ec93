"""Heat maps that were exported are PyTorch's, in every engine, share their weights with the graphs that score, and are
a network's that has some."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamguard_export.make_bundle import unmeasured_bundle
from streamguard_export.map_graph import check_maps, maps_spec

from streamguard.bundle import Bundle, open_bundle
from streamguard.engine.backend_onnxruntime import OnnxRuntimeMaps
from streamguard.engine.backend_openvino import OpenVinoMaps
from streamguard.engine.parity import sample_clips
from streamguard.errors import BundleError, ClosedError, EngineError
from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.weights.load import rounded_to_halves
from tests.export.small import small_net
from tests.export.test_make_bundle import ABOUT
from tests.export.tiny import TinyWindow
from tests.nets.shaken import moving, shaken

ENGINES = [OpenVinoMaps, OnnxRuntimeMaps]


def reference(net: Any, clips: np.ndarray) -> dict[str, np.ndarray]:
    """The mean of PyTorch's own maps over the last T crops: each (N, h, w)."""
    with torch.no_grad():
        maps = net.maps(torch.tensor(clips))
    return {kind: getattr(maps, kind)[:, -net.length :].mean(dim=1).numpy() for kind in ("anomaly", "motion")}


@pytest.mark.parametrize("engine", ENGINES)
def test_maps_are_those_of_pytorch(bundles: dict[str, Bundle], engine: Callable[[Bundle], Any]) -> None:
    bundle = bundles["gml-s"]
    clips = sample_clips(bundle.manifest.clip, 3, seed=5)
    wanted = reference(small_net("gml-s"), clips)
    backend = engine(bundle)
    for i, crops in enumerate(clips):
        found = backend.run(crops)
        assert found.keys() == wanted.keys()
        for kind, values in found.items():
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, wanted[kind][i], rtol=1e-4, atol=1e-5)
    for values in wanted.values():
        assert np.ptp(values, axis=(1, 2)).min() > 0.01, "maps that are the same everywhere prove nothing"
        assert np.abs(values[0] - values[1]).max() > 0.01
    backend.close()
    with pytest.raises(ClosedError):
        backend.run(clips[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_crops_of_another_shape_are_refused(bundles: dict[str, Bundle], engine: Callable[[Bundle], Any]) -> None:
    backend = engine(bundles["gml-s"])
    clip = sample_clips(bundles["gml-s"].manifest.clip, 1)[0]
    with pytest.raises(EngineError, match="'crops' is"):
        backend.run(clip[1:])
    backend.close()


def test_the_bundle_says_which_maps_there_are_and_of_what_size(bundles: dict[str, Bundle]) -> None:
    maps = bundles["gml-s"].manifest.maps
    assert maps is not None
    assert (maps.file, maps.height, maps.width, maps.kinds) == ("maps.onnx", 4, 4, ("anomaly", "motion"))
    assert (maps.ranges, maps.measured_on) == ({}, ""), "nobody held them against real faces yet"
    assert bundles["altfreezing"].manifest.maps is None
    assert not (bundles["altfreezing"].folder / "maps.onnx").exists()


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({"anomaly": False}, ("motion",)),
        ({"motion": "none"}, ("anomaly",)),
        ({"anomaly": False, "motion": "none"}, None),
    ],
)
def test_a_network_has_the_maps_of_what_it_is_made_of(options: dict[str, Any], kinds: tuple[str, ...] | None) -> None:
    net = GmlS(GmlSOptions(width=0.1, size_px=32, length=2, temporal=(4,), **options)).eval()
    spec = maps_spec(net, "square")
    assert (None if spec is None else spec.kinds) == kinds
    assert maps_spec(net, "similarity") is None, "its crops lie on no square"
    assert maps_spec(TinyWindow().eval(), "square") is None


def smaller_net() -> Any:
    """Two blocks that see motion: one before the anomaly branch, one behind it."""
    net = GmlS(GmlSOptions(width=0.1, size_px=64, length=2, temporal=(4, 13)))
    return shaken(net, moving(6, faces=4, seed=9), seed=3)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Bundle]:
    net = rounded_to_halves(smaller_net())
    folder = tmp_path_factory.mktemp("halves")
    return net, unmeasured_bundle(folder, net, ABOUT, precisions=("fp32",), store="fp16")


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_in_16_bits_are_shared_and_give_the_maps_of_the_rounded_network(
    halves: tuple[Any, Bundle], engine: Callable[[Bundle], Any]
) -> None:
    net, bundle = halves
    clips = sample_clips(bundle.manifest.clip, 1, seed=5)
    wanted = reference(net, clips)
    backend = engine(bundle)
    for kind, values in backend.run(clips[0]).items():
        np.testing.assert_allclose(values, wanted[kind][0], rtol=1e-3, atol=1e-4)
    backend.close()


def test_a_maps_graph_costs_hardly_any_bytes(halves: tuple[Any, Bundle]) -> None:
    """Numbers of the network are referred to; only what motion gives at rest was worked out anew."""
    net, bundle = halves
    files = bundle.manifest.files
    parameters = sum(each.numel() for each in net.state_dict().values())
    assert files["network.safetensors"].size_bytes > 2 * parameters
    graphs = sum(spec.size_bytes for name, spec in files.items() if name.endswith(".onnx"))
    assert files["maps.onnx"].size_bytes < graphs / 2
    own = files["weights.bin"].size_bytes if "weights.bin" in files else 0
    assert own < 0.05 * files["network.safetensors"].size_bytes


def test_a_graph_that_shows_something_else_is_refused_by_name(halves: tuple[Any, Bundle]) -> None:
    net, bundle = halves
    clips = sample_clips(bundle.manifest.clip, 2)
    check_maps(net, bundle, clips)

    other = smaller_net()
    with torch.no_grad():
        other.blocks[13].depthwise.motion.expand_first[1].weight += 0.5
    with pytest.raises(BundleError, match=r"OpenVINO's is .* off PyTorch's") as refused:
        check_maps(other, bundle, clips)
    assert refused.value.where == "maps.motion"


def test_a_maps_graph_of_another_shape_than_stated_does_not_open(halves: tuple[Any, Bundle], tmp_path: Path) -> None:
    _, bundle = halves
    text = (bundle.folder / "bundle.json").read_text()
    folder = tmp_path / "other"
    folder.mkdir()
    for name in bundle.manifest.files:
        (folder / name).write_bytes((bundle.folder / name).read_bytes())
    (folder / "bundle.json").write_text(text.replace('"height": 4', '"height": 5', 1))
    with pytest.raises(
        BundleError, match=r"output anomaly is float32 \(any, 4, 4\), not float32 \(any, 5, 4\)"
    ) as refused:
        open_bundle(folder)
    assert refused.value.where == "maps.onnx"
