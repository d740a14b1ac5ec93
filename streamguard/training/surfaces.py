"""GML-S's classifier of surfaces (nets/texture.py): fitted to a finished network, on footage as it was prepared.

    a few crops of every track, as they are and sharpened -> numbers of early features -> their mean -> a ridge fit

Every track is two rows, so some hundred rows stand against a thousand numbers: without strong regularisation this would
learn files by heart. The sharpened rows say that sharpness as a whole tells nothing. Nothing else is degraded or
augmented here: fitted to degraded pairs, it added nothing on people left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn import functional

from ..data.index import Footage, Index
from ..data.tracks import Settings, Track, open_tracks
from ..errors import DataError
from ..nets.gml_s import GmlS
from ..nets.past import Past
from ..nets.texture import TextureHead
from .augment import crop_tiles
from .recipe import Recipe, SurfacesPart
from .tiles import tiles_of

BATCH = 32
LEAST_SPREAD = 1e-3
ORDINARY = 0.6
"""What a real track counts of which there is no fake; those of which there is one count 1."""
SHARPENING_PX = 1.5
ITERATIONS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """One for each track."""

    numbers: Tensor  # (N, V, D): as it is, and sharpened
    fake: np.ndarray  # (N,) bool
    weights: np.ndarray  # (N,): each class adds up to 1


def fit_surfaces(net: GmlS, index: Index, groups: Iterable[str], recipe: Recipe) -> int:
    """Of these groups' filmed footage; gives the number of tracks. DataError without genuine fakes or real video."""
    assert net.texture is not None
    rows = rows_of(net, net.texture, index, groups, recipe)
    mean, spread, weight, bias = fitted(rows, recipe.surfaces)
    net.texture.fit(mean, spread, weight, bias)
    return len(rows.fake)


def rows_of(net: GmlS, head: TextureHead, index: Index, groups: Iterable[str], recipe: Recipe) -> Rows:
    footages: list[Footage] = []
    numbers: list[Tensor] = []
    for footage in index.of_groups(groups):
        if footage.still:
            continue
        for track in open_tracks(index.tracks_folder(footage)):
            crops = _crops(track, recipe)
            if crops is not None:
                footages.append(footage)
                numbers.append(torch.stack([_numbers(net, head, some) for some in (crops, _sharpened(crops))]))
    fake = np.array([footage.label == "fake" for footage in footages], bool)
    if fake.all() or not fake.any():
        lacking = "genuine fakes" if not fake.any() else "real video"
        raise DataError(str(index.folder), f"surfaces are fitted to both classes, and these groups have no {lacking}")
    of_fakes = {footages[row].twin for row in np.flatnonzero(fake)}
    weights = np.array([1.0 if fake[i] or each.key in of_fakes else ORDINARY for i, each in enumerate(footages)])
    keys = [footage.key for footage in footages]
    weights /= np.array([keys.count(key) for key in keys])  # several tracks of one footage count as one
    for of_class in (fake, ~fake):
        weights[of_class] /= weights[of_class].sum()
    return Rows(numbers=torch.stack(numbers), fake=fake, weights=weights)


def fitted(rows: Rows, settings: SurfacesPart) -> tuple[Tensor, Tensor, Tensor, float]:
    """Mean and spread of real tracks, weights of the numbers that are so scaled, bias."""
    variants = rows.numbers.shape[1]
    real = rows.numbers[torch.from_numpy(~rows.fake)].flatten(0, 1)
    mean = real.mean(dim=0)
    spread = real.std(dim=0, unbiased=False) + LEAST_SPREAD
    scaled = (rows.numbers.flatten(0, 1) - mean) / spread  # (N V, D)
    labels = torch.from_numpy(rows.fake).float().repeat_interleave(variants)
    counts = torch.from_numpy(rows.weights).float().repeat_interleave(variants) / variants
    weight = torch.zeros(scaled.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS)

    def loss() -> Tensor:
        solver.zero_grad()
        each = functional.binary_cross_entropy_with_logits(scaled @ weight + bias, labels, reduction="none")
        total = (each * counts).sum() + settings.l2 * weight.square().sum()
        total.backward()
        return total

    solver.step(loss)
    return mean, spread, settings.share * weight.detach(), settings.share * float(bias.detach())


def _crops(track: Track, recipe: Recipe) -> np.ndarray | None:
    """(L, S, S, 3): evenly from all of it, each through a square of its own; None of a track without a patch."""
    runs = track.on_grid(round(recipe.entry.grid_s / Settings().grid_s))
    places = [place for run in runs for place in run]
    if not places:
        return None
    chosen = np.linspace(0, len(places) - 1, min(len(places), recipe.surfaces.crops)).round().astype(int)
    size_px, most_px = int(recipe.options["size_px"]), recipe.data.tile_px
    cut = [
        crop_tiles(tiles_of(track, places[i], 1, 1, most_px=most_px), size_px, recipe.net.span) for i in chosen.tolist()
    ]
    return np.concatenate(cut)


def _sharpened(crops: np.ndarray) -> np.ndarray:
    change = ImageFilter.UnsharpMask(radius=SHARPENING_PX, percent=100, threshold=0)
    return np.stack([np.asarray(Image.fromarray(crop).filter(change)) for crop in crops])


@torch.no_grad()
def _numbers(net: GmlS, head: TextureHead, crops: np.ndarray) -> Tensor:
    """(D,): the mean over single crops."""
    features: list[list[Tensor]] = []
    hook = head.register_forward_hook(lambda module, given, made: features.append(given[0]))
    device = head.mean.device
    try:
        found = []
        for start in range(0, len(crops), BATCH):
            some = torch.from_numpy(crops[start : start + BATCH]).to(device)[:, None]
            net.answers(some, Past.of_clips(some))
            found.append(head.numbers(features.pop()).float().cpu())
    finally:
        hook.remove()
    return torch.cat(found).mean(dim=0)
