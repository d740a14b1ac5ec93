"""A network with what is minimised of it, as one module: so that several processes can share the work of it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..nets import gml, gml_s
from ..nets.contract import ClipNet
from ..nets.gml import Gml
from ..nets.gml_s import GmlS
from ..nets.motion import MotionConsistencyBlock
from ..nets.motion_net import Answers, MotionNet
from ..nets.past import Past
from ..weights.imagenet import load_lite0, load_xception
from ..weights.load import load_weights
from .losses import difference_loss, logit_loss, motion_loss, ranking_loss
from .recipe import LossPart, Recipe

TERMS = ("loss", "first", "anomaly", "second", "ranking", "difference")
"""What `Objective` gives, in this order: the sum, then the parts as they are weighted in it."""


class Objective(nn.Module):
    """`net` is the network; what else there is, is for training only."""

    def __init__(self, net: nn.Module, weights: LossPart, *, freeze_norms: bool = False) -> None:
        super().__init__()
        self.net = net
        self.weights = weights
        still = set(image_norms(net)) if freeze_norms else set()
        # Layers that are held are held whole: statistics that follow the data would change them all the same.
        self._still_norms = [each for each in _norms(net) if each in still or not each.weight.requires_grad]
        self.difference: nn.Conv2d | None = None
        if weights.difference:
            self.difference = nn.Conv2d(difference_channels(net), 1, 1)

    def train(self, mode: bool = True) -> Objective:
        super().train(mode)
        for norm in self._still_norms:
            norm.eval()
        return self

    def forward(self, crops: Tensor, labels: Tensor, masks: Tensor, masked: Tensor, twins: Tensor) -> Tensor:
        """Of a batch as batches.Batch has it: the TERMS."""
        if not isinstance(self.net, MotionNet):
            return self._of_logits(self.net(crops).float(), labels, twins)
        features: list[Tensor] = []
        answers = self._answers(crops, features)
        weights = self.weights
        main = motion_loss(answers, labels, anomaly=weights.anomaly, second=weights.second, smoothing=weights.smoothing)
        ranking = difference = main.total.new_zeros(())
        if weights.ranking:
            ranking = ranking_loss(_clip_logits(answers.scores), twins, margin=weights.margin)
            if answers.anomaly_scores is not None and weights.second:
                second = ranking_loss(_clip_logits(answers.anomaly_scores), twins, margin=weights.margin)
                ranking = (ranking + second) / 2
        if self.difference is not None:
            found = self.difference(features[0].float())[:, 0].unflatten(0, (-1, crops.shape[1]))  # (N, L, h, w)
            difference = difference_loss(found, masks, masked)
        ranking, difference = weights.ranking * ranking, weights.difference * difference
        total = main.total + ranking + difference
        return torch.stack([total, main.first, main.anomaly, main.second, ranking, difference])

    def _answers(self, crops: Tensor, features: list[Tensor]) -> Answers:
        """With the features that the difference is found in, if it is."""
        net = cast(MotionNet, self.net)
        hook = None
        if self.difference is not None:
            hook = difference_block(net).register_forward_hook(lambda module, given, made: features.append(made))
        try:
            answers = net.answers(crops, Past.of_clips(crops))
        finally:
            if hook is not None:
                hook.remove()
        return Answers(answers.scores.float(), _float(answers.anomaly_scores), _float(answers.anomaly))

    def _of_logits(self, logits: Tensor, labels: Tensor, twins: Tensor) -> Tensor:
        first = logit_loss(logits, labels, smoothing=self.weights.smoothing)
        nothing = first.new_zeros(())
        ranking = nothing
        if self.weights.ranking:
            ranking = self.weights.ranking * ranking_loss(logits[:, 0], twins, margin=self.weights.margin)
        return torch.stack([first + ranking, first, nothing, nothing, ranking, nothing])


def build_net(recipe: Recipe) -> nn.Module:
    """With the weights that it starts from; others come from PyTorch's generator."""
    try:
        net = recipe.entry.build(recipe.net.options)
    except ValueError as exc:
        raise ConfigError("recipe: net.options", str(exc)) from exc
    for i, stage in enumerate(recipe.stages):
        told = cast(ClipNet, net)
        if not isinstance(net, MotionNet) and stage.length != told.length:
            problem = f"{recipe.net.name} sees clips of {told.length} crops, not of {stage.length}"
            raise ConfigError(f"recipe: stages.{i}.length", problem)
    if recipe.loss.difference and not isinstance(net, MotionNet):
        raise ConfigError("recipe: loss.difference", f"{recipe.net.name} has no features of single crops: must be 0")
    _start(net, recipe)
    held = tuple(recipe.init.held)
    for prefix in held:
        if not any(name.startswith(prefix) for name, _ in net.named_parameters()):
            raise ConfigError("recipe: init.held", f"no parameter's name begins with {prefix!r}")
    for name, parameter in net.named_parameters():
        if held and name.startswith(held):
            parameter.requires_grad_(False)
    return net


def _start(net: nn.Module, recipe: Recipe) -> None:
    init = recipe.init
    if init.kind == "weights":
        load_weights(net, init.file)
    elif init.kind == "imagenet" and isinstance(net, GmlS):
        load_lite0(net, init.file or None)
    elif init.kind == "imagenet" and isinstance(net, Gml):
        if not init.file:
            problem = "Xception's ImageNet weights are yours to bring: name the file, or set init.kind to none"
            raise ConfigError("recipe: init.file", problem)
        load_xception(net, init.file)
    elif init.kind == "imagenet":
        raise ConfigError("recipe: init.kind", f"{recipe.net.name} has no image network inside: none or weights")


def image_names(net: nn.Module) -> frozenset[str]:
    """What of it has ImageNet weights, by name; of networks without an image network inside, nothing."""
    if not isinstance(net, Gml | GmlS):
        return frozenset()
    new = ["anomaly.", "classifier.", "texture."]
    for name, module in net.named_modules():
        if isinstance(module, MotionConsistencyBlock):
            new += [f"{name}.time.", f"{name}.motion."]
    return frozenset(name for name in net.state_dict() if not name.startswith(tuple(new)))


def image_norms(net: nn.Module) -> list[nn.Module]:
    names = image_names(net)
    return [
        module
        for name, module in net.named_modules()
        if isinstance(module, nn.BatchNorm2d) and f"{name}.running_mean" in names
    ]


def _norms(net: nn.Module) -> list[nn.BatchNorm2d | nn.BatchNorm3d]:
    return [module for module in net.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d)]


def difference_block(net: MotionNet) -> nn.Module:
    """The one after which the anomaly branch begins, whether there is one or not."""
    if isinstance(net, GmlS):
        return net.blocks[gml_s.ANOMALY_AFTER]
    assert isinstance(net, Gml)
    return net.blocks[gml.ANOMALY_AFTER - 1]


def difference_channels(net: nn.Module) -> int:
    block = difference_block(cast(MotionNet, net))
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    return norms[-1].num_features


def _float(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.float()


def _clip_logits(scores: Tensor) -> Tensor:
    """Of scores (N, A, 2): (N,), the mean over a clip's answers."""
    return (scores[..., 1] - scores[..., 0]).mean(dim=1)
