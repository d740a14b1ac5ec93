"""Registered networks (nets/registry.py) -> bundles, and back. For `streamguard bundle new` and `bundle import`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import nn

from streamguard.bundle import Bundle, NetSpec, Provenance
from streamguard.errors import BundleError, CheckpointError, ConfigError
from streamguard.nets.altfreezing import AltFreezing
from streamguard.nets.contract import ClipNet
from streamguard.nets.cost import META, cost_of
from streamguard.nets.registry import ENTRIES, Entry, options_as_text
from streamguard.strict import shown
from streamguard.weights import altfreezing
from streamguard.weights.load import load_strictly
from streamguard.weights.read import read_checkpoint, read_safetensors, sha256_of

from .make_bundle import CLIPS, NOT_TRAINED, About, Progress, Store, make_bundle

MEASURED_MACS = 200_000_000_000
"""Roughly what measuring may cost in each graph, precision and engine: some ten seconds."""
LEAST_CLIPS = 2

ALTFREEZING_DATA = (
    "FaceForensics++ c23: real videos, and fakes of Deepfakes, Face2Face, FaceSwap and NeuralTextures; trained by the "
    "authors of AltFreezing (CVPR 2023)"
)
ALTFREEZING_LICENCE = "unclear: the authors' code is MIT, and of the weights nothing is said"


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """What the maker of a bundle may choose."""

    span: float = 2.0
    """Side of the square in face scales, 1 to 2; 2 with the similarity recipe, which has none."""
    store: Store = "fp32"


AS_ALWAYS = Making()


def new_bundle(
    out: Path,
    entry: Entry,
    options: Mapping[str, str],
    *,
    seed: int = 0,
    making: Making = AS_ALWAYS,
    progress: Progress = lambda line: None,
) -> Bundle:
    """An untrained one: the same options and seed give the same weights. ConfigError if there is no such option."""
    net = build(entry, options, seed=seed)
    return _make(out, entry, net, f"seed-{seed}", NOT_TRAINED, trained=False, making=making, progress=progress)


def bundle_of_weights(
    out: Path,
    entry: Entry,
    options: Mapping[str, str],
    file: Path,
    *,
    data: str,
    licence: str,
    commit: str = "none",
    held_out: Iterable[str] = (),
    making: Making = AS_ALWAYS,
    progress: Progress = lambda line: None,
) -> Bundle:
    """An uncalibrated one with weights under PyTorch's names. CheckpointError if they are not this network's.

    `held_out`: groups of people whom training never saw, as far as that is known.
    """
    net = build(entry, options)
    progress(f"reading {shown(str(file))}")
    with _unchanged(file) as sha256:
        load_strictly(net, read_checkpoint(file), file)
    data = f"{data}; weights from {shown(file.name)}, sha256 {sha256}"
    provenance = Provenance(data=data, commit=commit, licence=licence, held_out=tuple(sorted(held_out)))
    return _of_file(out, entry, net, sha256, provenance, making=making, progress=progress)


def bundle_of_altfreezing(out: Path, file: Path, *, progress: Progress = lambda line: None) -> Bundle:
    """An uncalibrated one of AltFreezing's published checkpoint. CheckpointError if it is not that."""
    entry = ENTRIES["altfreezing"]
    net = build(entry, {})
    progress(f"reading {shown(str(file))}")
    with _unchanged(file) as sha256:
        altfreezing.load(cast(AltFreezing, net), file)
    data = f"{ALTFREEZING_DATA}; weights from {shown(file.name)}, sha256 {sha256}"
    provenance = Provenance(data=data, commit="none", licence=ALTFREEZING_LICENCE)
    return _of_file(out, entry, net, sha256, provenance, making=AS_ALWAYS, progress=progress)


def build(entry: Entry, options: Mapping[str, str], *, seed: int = 0) -> nn.Module:
    """The network with the weights of a seed. ConfigError for an option that there is not, or not with that value."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return entry.build(options)
        except ValueError as exc:
            raise ConfigError("--option", str(exc)) from exc


def network_of(bundle: Bundle) -> nn.Module:
    """The registered network of a bundle, with its weights, in eval mode. BundleError if it has none that is known,
    CheckpointError if the weights are not that network's.
    """
    spec = bundle.manifest.net

    def refuse(where: str, problem: str) -> BundleError:
        return BundleError(bundle.name, where, problem)

    if spec is None:
        raise refuse("net", "is null: the network was made elsewhere")
    entry = ENTRIES.get(spec.name)
    if entry is None:
        raise refuse("net.name", f"{shown(spec.name)} is not known here; there are: {', '.join(ENTRIES)}")
    if spec.weights is None:
        raise refuse("net.weights", "is null: its parameters are not in it")
    if missing := sorted(entry.options().keys() - spec.options.keys()):
        raise refuse(f"net.options.{missing[0]}", "is missing")  # its default may change
    path = bundle.folder / spec.weights
    tensors = read_safetensors(path)
    try:
        with META:  # without numbers: a stranger's options take no more memory than weights that fit them
            load_strictly(entry.build(spec.options), tensors, path)
        net = entry.build(spec.options)
    except ValueError as exc:
        raise refuse("net.options", str(exc)) from exc
    load_strictly(net, tensors, path)
    for name in ("size_px", "length", "memory"):
        wanted, found = getattr(bundle.manifest.clip, name), getattr(net, name)
        if found != wanted:
            raise refuse("net.options", f"make a network whose {name} is {found}, and the bundle's is {wanted}")
    return net


@contextmanager
def _unchanged(file: Path) -> Iterator[str]:
    """Its sha256, for the account of a bundle: the file must be the same after it was read."""
    sha256 = sha256_of(file)
    yield sha256
    if sha256_of(file) != sha256:
        raise CheckpointError(str(file), "", "was changed while it was read")


def _of_file(
    out: Path,
    entry: Entry,
    net: nn.Module,
    sha256: str,
    provenance: Provenance,
    *,
    making: Making,
    progress: Progress,
) -> Bundle:
    return _make(out, entry, net, f"weights-{sha256[:12]}", provenance, trained=True, making=making, progress=progress)


def _make(
    out: Path,
    entry: Entry,
    net: nn.Module,
    version: str,
    provenance: Provenance,
    *,
    trained: bool,
    making: Making,
    progress: Progress,
) -> Bundle:
    told = cast(ClipNet, net)
    options = options_as_text(told.options)
    about = About(
        network=entry.name,
        version=version,
        trained=trained,
        grid_s=entry.grid_s,
        hop_s=entry.hop_s,
        recipe=entry.recipe,
        span=making.span,
        provenance=provenance,
        net=NetSpec(name=entry.name, options=options, decisions=dict(told.DECISIONS)),
    )
    clips = MEASURED_MACS // cost_of(entry, options).clip_macs
    clips = max(LEAST_CLIPS, min(CLIPS, clips))
    return make_bundle(out, net, about, store=making.store, clips=clips, progress=progress)
