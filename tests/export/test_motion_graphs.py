"""Exported graphs of networks that see motion, with everything in them at work as after training: motion paths, anomaly
branch and both heads. In untrained ones motion begins at zero, and would hide what its graphs do."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from streamguard_export.make_bundle import About, make_bundle
from torch import nn

from streamguard.bundle import Bundle, Provenance
from streamguard.config import BackendName, EngineConfig
from streamguard.engine.backend_torch import TorchBackend
from streamguard.engine.open_backend import open_backend
from streamguard.engine.parity import sample_clips, step_scores, window_scores
from streamguard.nets.gml import Gml, GmlOptions
from streamguard.nets.gml_s import GmlS, GmlSOptions
from tests.nets.shaken import moving, shaken

NETWORKS = {
    "gml-s": lambda: GmlS(GmlSOptions(width=0.2, size_px=64, length=4, temporal=(2, 9, 13))),
    "gml": lambda: Gml(GmlOptions(width=0.06, size_px=64, length=4)),
    "gml-causal": lambda: Gml(GmlOptions(form="causal", width=0.06, size_px=64, length=4, temporal=(1, 8, 20, 33))),
}
NAMES = [
    pytest.param("gml-s"),
    pytest.param("gml", marks=pytest.mark.full),
    pytest.param("gml-causal", marks=pytest.mark.full),
]


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Bundle]:
    torch.manual_seed(0)
    net = shaken(NETWORKS[request.param](), moving(8, faces=4, seed=9))
    provenance = Provenance(data="none", commit="none", licence="Apache-2.0")
    about = About(
        network=request.param,
        version="shaken",
        trained=False,
        grid_s=0.08,
        hop_s=0.32,
        recipe="square",
        provenance=provenance,
    )
    return net, make_bundle(tmp_path_factory.mktemp("bundle") / "made", net, about, clips=2)


@pytest.mark.parametrize("made", NAMES, indirect=True)
def test_every_backend_gives_pytorchs_scores_by_clip_and_by_steps(made: tuple[nn.Module, Bundle]) -> None:
    net, bundle = made
    manifest = bundle.manifest
    clips = sample_clips(manifest.clip, 3, seed=7)
    wanted = window_scores(TorchBackend(net, manifest, "window"), manifest, clips)
    assert wanted.std() > 0.01
    longer = np.concatenate([clips[:, ::-1], clips], axis=1)  # what a face did long before does not matter
    backends: tuple[BackendName, ...] = ("openvino", "onnxruntime")
    for name in backends:
        for graph in manifest.graphs:
            with closing(open_backend(bundle, EngineConfig(backend=name, graph=graph, precision="fp32"))) as backend:
                if graph == "window":
                    np.testing.assert_allclose(window_scores(backend, manifest, clips), wanted, rtol=0, atol=1e-5)
                else:
                    np.testing.assert_allclose(step_scores(backend, manifest, longer), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("made", NAMES, indirect=True)
def test_motion_matters_in_the_graphs(made: tuple[nn.Module, Bundle]) -> None:
    """A clip whose crops are in another order has another score: else all the above would say little."""
    _, bundle = made
    manifest = bundle.manifest
    clips = sample_clips(manifest.clip, 3, seed=7)
    recent = manifest.clip.length
    mixed = clips.copy()
    mixed[:, -recent:] = mixed[:, -recent:][:, [2, 0, 3, 1]]
    with closing(open_backend(bundle, EngineConfig(backend="openvino", graph="window", precision="fp32"))) as backend:
        apart = np.abs(window_scores(backend, manifest, clips) - window_scores(backend, manifest, mixed))
    assert apart.min() > 1e-4


@pytest.mark.parametrize("made", [pytest.param("gml-s")], indirect=True)
def test_heads_that_are_very_sure_stay_numbers_in_every_backend(made: tuple[nn.Module, Bundle], tmp_path: Path) -> None:
    """Softmax and its logarithm overflow in fp32 from 89 on."""
    net, bundle = made
    assert isinstance(net, GmlS)
    manifest = bundle.manifest
    clips = sample_clips(manifest.clip, 2, seed=7)
    kept = {name: each.clone() for name, each in net.state_dict().items()}
    assert net.anomaly is not None
    assert net.anomaly.classifier is not None
    with torch.no_grad():
        net.classifier.bias += torch.tensor([-500.0, 500.0])
        net.anomaly.classifier.bias += torch.tensor([3000.0, -3000.0])
    about = About(
        network="sure",
        version="1",
        trained=False,
        grid_s=0.08,
        hop_s=0.32,
        recipe="square",
        provenance=manifest.provenance,
    )
    sure = make_bundle(tmp_path / "sure", net, about, clips=1)
    net.load_state_dict(kept)
    for name in ("openvino", "onnxruntime"):
        with closing(open_backend(sure, EngineConfig(backend=name, graph="window", precision="fp32"))) as backend:
            np.testing.assert_allclose(window_scores(backend, sure.manifest, clips), 0.5, rtol=0, atol=1e-5)
