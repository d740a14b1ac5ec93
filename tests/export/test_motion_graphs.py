"""Exported graphs of networks that see motion, with everything in them at work as after training: motion paths, anomaly
branch and both heads. In untrained ones motion begins at zero, and would hide what its graphs do."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from streamguard_export.make_bundle import About, make_bundle
from streamguard_export.onnx_files import export_graphs
from torch import Tensor, nn

from streamguard.bundle import Bundle, Provenance
from streamguard.config import BackendName, EngineConfig
from streamguard.cores import load_openvino
from streamguard.engine.backend_torch import TorchBackend
from streamguard.engine.open_backend import open_backend
from streamguard.engine.parity import sample_clips, step_scores, window_scores
from streamguard.nets.gml import Gml, GmlOptions
from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.nets.motion_net import Answers, MotionNet, logit
from tests.nets.shaken import moving, shaken

NETWORKS: dict[str, Callable[[], MotionNet]] = {
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
    assert wanted.std() > 3e-4
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
    assert apart.max() > 1e-4


class Heads(nn.Module):
    """Only what becomes of two heads' scores (N, 4)."""

    def forward(self, scores: Tensor) -> Tensor:
        return logit(Answers(scores[:, None, :2], scores[:, None, 2:], None))


def test_heads_that_are_very_sure_stay_numbers_in_every_backend(tmp_path: Path) -> None:
    """A softmax and its logarithm overflow in fp32 from 89 on."""
    from onnxruntime import InferenceSession

    export_graphs(tmp_path, Heads(), window={"scores": torch.zeros(2, 4)}, output="logits")
    path = tmp_path / "window.onnx"
    scores = torch.tensor([[-500.0, 500, 3000, -3000], [0, 90, 0, 90], [200, 0, 200, 0], [-1, 1, 2, -2], [3, 3, 3, 3]])
    wanted = [0.0, 90.0, -200.0, mean_logit(2, -4), 0.0]
    compiled = load_openvino().Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = {
        "torch": Heads()(scores).numpy(),
        "openvino": compiled(scores.numpy())[0],
        "onnxruntime": InferenceSession(path).run(None, {"scores": scores.numpy()})[0],
    }
    for name, logits in found.items():
        np.testing.assert_allclose(logits[:, 0], wanted, rtol=1e-5, atol=1e-5, err_msg=name)


def mean_logit(first: float, second: float) -> float:
    p = (1 / (1 + math.exp(-first)) + 1 / (1 + math.exp(-second))) / 2
    return math.log(p / (1 - p))
