"""A network's heat maps as a graph beside those that score: which maps it has, and that engines agree on them."""

from __future__ import annotations

from contextlib import closing
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from streamguard.bundle import Bundle, MapKind, MapsSpec
from streamguard.engine.backend_openvino import OpenVinoMaps
from streamguard.errors import BundleError
from streamguard.nets.contract import ClipNet

FILE = "maps.onnx"
KINDS: tuple[MapKind, ...] = ("anomaly", "motion")
MOST_APART = 0.01
"""Of what a map reaches from its least to its most: between PyTorch and an engine. More would be seen."""


class MapsOf(nn.Module):
    """A network that can show maps (nets/motion_net.py), as torch.onnx exports it: the mean over the last T crops."""

    def __init__(self, net: nn.Module, kinds: tuple[MapKind, ...]) -> None:
        super().__init__()
        self.net = net
        self.kinds = kinds

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Crops (N, R + T, H, W, 3) uint8 give one (N, h, w) for each kind."""
        maps = self.net.maps(crops)  # type: ignore[operator]  # any attribute of a module may be a Tensor, says its type
        length = cast(ClipNet, self.net).length
        return tuple(getattr(maps, kind)[:, -length:].mean(dim=1) for kind in self.kinds)


@torch.no_grad()
def maps_spec(module: nn.Module, recipe: str) -> MapsSpec | None:
    """Of a network in eval mode. None if it shows none, or if its crops lie on no square of the picture."""
    if not hasattr(module, "maps") or recipe != "square":
        return None
    net = cast(ClipNet, module)
    crops = torch.zeros(1, net.memory + net.length, net.size_px, net.size_px, 3, dtype=torch.uint8)
    maps = module.maps(crops)  # type: ignore[operator]
    kinds = tuple(kind for kind in KINDS if getattr(maps, kind) is not None)
    if not kinds:
        return None
    _, _, height, width = getattr(maps, kinds[0]).shape
    return MapsSpec(file=FILE, height=height, width=width, kinds=kinds)


@torch.no_grad()
def check_maps(module: nn.Module, bundle: Bundle, clips: np.ndarray) -> None:
    """BundleError if the graph of a bundle gives other maps of clips (N, R + T, H, W, 3) than its network."""
    spec = bundle.manifest.maps
    assert spec is not None
    wanted = MapsOf(module, spec.kinds)(torch.tensor(clips))
    with closing(OpenVinoMaps(bundle)) as backend:
        found = [backend.run(crops) for crops in clips]
    for kind, reference in zip(spec.kinds, wanted, strict=True):
        values, true = np.stack([maps[kind] for maps in found]), reference.numpy()
        if not np.isfinite(true).all():
            raise BundleError("", f"maps.{kind}", "the network's map holds what is no number")
        apart = float(np.abs(values - true).max())
        if not apart <= MOST_APART * max(float(np.ptp(true)), 1e-3):
            problem = (
                f"OpenVINO's is {apart:.1g} off PyTorch's, which reaches from {true.min():.1g} to {true.max():.1g}"
            )
            raise BundleError("", f"maps.{kind}", problem)
