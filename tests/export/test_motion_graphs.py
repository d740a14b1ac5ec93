"""Exported graphs of networks that see motion, with all of it at work, against PyTorch: whole clips, and steps."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from streamguard_export.onnx_files import export_graphs
from torch import Tensor, nn

from streamguard.bundle import Bundle
from streamguard.config import BackendName, EngineConfig
from streamguard.cores import load_openvino
from streamguard.engine.backend_torch import TorchBackend
from streamguard.engine.open_backend import open_backend
from streamguard.engine.parity import sample_clips, step_scores, window_scores
from streamguard.nets.motion_net import Answers, logit
from tests.export.small import NAMES, small_net

ATOL = 1e-5
"""Of raw scores, in fp32."""


@pytest.mark.parametrize("name", NAMES)
def test_every_backend_gives_pytorchs_scores_by_clip_and_by_steps(bundles: dict[str, Bundle], name: str) -> None:
    bundle, net = bundles[name], small_net(name)
    manifest = bundle.manifest
    clips = sample_clips(manifest.clip, 3, seed=7)
    wanted = window_scores(TorchBackend(net, manifest, "window"), manifest, clips)
    assert wanted.std() > 100 * ATOL, "scores that are all alike prove nothing"
    longer = np.concatenate([clips[:, ::-1], clips], axis=1)  # what a face did long before does not matter
    backends: tuple[BackendName, ...] = ("openvino", "onnxruntime")
    for backend_name in backends:
        for graph in manifest.graphs:
            config = EngineConfig(backend=backend_name, graph=graph, precision="fp32")
            with closing(open_backend(bundle, config)) as backend:
                if graph == "window":
                    found = window_scores(backend, manifest, clips)
                else:
                    found = step_scores(backend, manifest, longer)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=ATOL, err_msg=f"{backend_name} {graph}")


@pytest.mark.parametrize("name", NAMES)
def test_first_crops_of_a_face_have_pytorchs_scores_too(bundles: dict[str, Bundle], name: str) -> None:
    """There an age decides what counts as motion; later it decides nothing."""
    bundle, net = bundles[name], small_net(name)
    manifest = bundle.manifest
    clips = sample_clips(manifest.clip, 2, seed=8)
    backends: tuple[BackendName, ...] = ("openvino", "onnxruntime") if "step" in manifest.graphs else ()
    for backend_name in backends:
        config = EngineConfig(backend=backend_name, graph="step", precision="fp32")
        with closing(open_backend(bundle, config)) as backend:
            for count in (1, 2, 3):
                found = step_scores(backend, manifest, clips[:, :count])
                wanted = step_scores(TorchBackend(net, manifest, "step"), manifest, clips[:, :count])
                np.testing.assert_allclose(found, wanted, rtol=0, atol=ATOL, err_msg=f"{backend_name}, {count}")


@pytest.mark.parametrize("name", NAMES)
def test_motion_matters_in_the_graphs(bundles: dict[str, Bundle], name: str) -> None:
    """A clip whose crops are in another order has another score: else all the above would say little."""
    bundle = bundles[name]
    manifest = bundle.manifest
    clips = sample_clips(manifest.clip, 3, seed=7)
    recent = clips[:, -manifest.clip.length :]
    mixed = clips.copy()
    mixed[:, -manifest.clip.length :] = np.concatenate([recent[:, 1::2], recent[:, ::2]], axis=1)
    with closing(open_backend(bundle, EngineConfig(backend="openvino", graph="window", precision="fp32"))) as backend:
        apart = np.abs(window_scores(backend, manifest, clips) - window_scores(backend, manifest, mixed))
    assert apart.max() > 100 * ATOL


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
