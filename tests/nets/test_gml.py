"""GML: what is in it with each option, where, and of which shape."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from streamguard.nets.anomaly import BLOCKS
from streamguard.nets.gml import DEPTHWISE, Gml, GmlOptions
from streamguard.nets.motion import ChannelTaps, ChannelwiseMotion, MotionConsistency, MotionConsistencyBlock
from streamguard.nets.past import Past

from .shaken import moving

SMALL = {"width": 0.06, "size_px": 64, "length": 3}

# Every row of the paper's ablation: the options that give it, and what is then in the network. `without L1` is a matter
# of the loss (training/losses.py), not of the network.
ROWS = {
    "Xception": ({"motion": "none", "anomaly": False}, (0, 0, 0, 0, 0)),
    "+CSTM": ({"motion": "cstm", "anomaly": False}, (34, 0, 0, 0, 0)),
    "+STM (CMM)": ({"motion": "stm", "anomaly": False}, (34, 34, 0, 0, 0)),
    "+MCB": ({"motion": "mcb", "anomaly": False}, (34, 0, 34, 0, 0)),
    "+AD": ({"motion": "none"}, (0, 0, 0, 1, 1)),
    "STM+AD": ({"motion": "stm"}, (34, 34, 0, 1, 1)),
    "MCB+AD without cls": ({"anomaly_classifier": False}, (34, 0, 34, 1, 0)),
    "full": ({}, (34, 0, 34, 1, 1)),
}


@pytest.mark.parametrize("row", ROWS)
@torch.no_grad()
def test_options_give_every_row_of_the_papers_ablation(row: str) -> None:
    options, wanted = ROWS[row]
    net = Gml(GmlOptions(**SMALL, **options)).eval()  # type: ignore[arg-type]
    found = [sum(isinstance(each, kind) for each in net.modules()) for kind in (ChannelTaps, ChannelwiseMotion)]
    found.append(sum(isinstance(each, MotionConsistency) for each in net.modules()))
    found.append(int(net.anomaly is not None))
    found.append(int(net.anomaly is not None and net.anomaly.classifier is not None))
    assert tuple(found) == wanted
    crops = moving(3, faces=2)
    assert net(crops).shape == (2, 1)
    answers = net.answers(crops, Past.of_clips(crops))
    assert (answers.anomaly is not None) == bool(wanted[3])
    assert (answers.anomaly_scores is not None) == bool(wanted[4])


def test_every_depthwise_convolution_of_xception_may_see_motion_and_no_other() -> None:
    net = Gml(GmlOptions(**SMALL))  # type: ignore[arg-type]
    blocks = [each for each in net.modules() if isinstance(each, MotionConsistencyBlock)]
    assert len(blocks) == DEPTHWISE == 34
    depthwise = {each for each in net.modules() if isinstance(each, nn.Conv2d) and each.groups > 1}
    kernels = {each.foretell for each in net.modules() if isinstance(each, MotionConsistency)}
    assert depthwise - kernels == {block.space for block in blocks}


@pytest.mark.parametrize(("layer", "module"), [(0, "blocks.0.units.0"), (6, "blocks.3.units.0"), (33, "conv4")])
def test_layers_are_counted_in_the_order_of_the_network(layer: int, module: str) -> None:
    net = Gml(GmlOptions(form="causal", temporal=(layer,), **SMALL))  # type: ignore[arg-type]
    assert [name for name, each in net.named_modules() if isinstance(each, ChannelTaps)] == [f"{module}.depthwise.time"]
    assert net.memory == 2


def test_memory_is_two_crops_for_each_layer_that_sees_motion() -> None:
    assert Gml(GmlOptions(form="causal", **SMALL)).memory == 68  # type: ignore[arg-type]
    assert Gml(GmlOptions(form="causal", temporal=(6, 9, 12), **SMALL)).memory == 6  # type: ignore[arg-type]
    assert Gml(GmlOptions(form="causal", motion="none", **SMALL)).memory == 0  # type: ignore[arg-type]
    assert Gml(GmlOptions(**SMALL)).memory == 0  # type: ignore[arg-type]


def test_anomaly_branch_stands_after_block_5_at_full_size() -> None:
    with torch.device("meta"):
        net = Gml().eval()
        assert net.anomaly is not None
        assert len(net.anomaly.blocks) == BLOCKS == 9
        features: list[torch.Size] = []
        net.anomaly.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0].shape))
        net.blocks[4].register_forward_hook(lambda *_: features.append(torch.Size([5])))
        net.blocks[5].register_forward_pre_hook(lambda *_: features.append(torch.Size([6])))
        crops = torch.zeros(1, 2, 224, 224, 3, dtype=torch.uint8)
        answers = net.answers(crops, Past.of_clips(crops))
    assert features == [torch.Size([5]), torch.Size([2, 728, 14, 14]), torch.Size([6])]
    assert answers.anomaly is not None
    assert answers.anomaly.shape == (1, 2, 728, 14, 14)


def test_sizes_are_the_papers() -> None:
    """In millions, without norms: the derived figures are 20.8 for Xception and 24.2 with motion and no anomaly branch.
    `python -m streamguard.nets` explains the rest."""
    with torch.device("meta"):
        plain = Gml(GmlOptions(motion="none", anomaly=False))
        moving_net = Gml(GmlOptions(anomaly=False))
    for net, wanted in ((plain, 20.8), (moving_net, 24.2)):
        layers = [each for each in net.modules() if not isinstance(each, nn.BatchNorm2d)]
        size = sum(tensor.numel() for layer in layers for tensor in layer.parameters(recurse=False)) / 1e6
        assert size == pytest.approx(wanted, abs=0.05)


@torch.no_grad()
def test_the_two_forms_start_as_the_same_network() -> None:
    crops = moving(3, faces=2)
    torch.manual_seed(0)
    centred, *others = (
        Gml(GmlOptions(**SMALL, **options)).eval()  # type: ignore[arg-type]
        for options in ({"form": "centred"}, {"form": "causal"}, {"motion": "none"})
    )
    weights = centred.state_dict()
    for other in others:
        own = other.state_dict()
        other.load_state_dict({name: own[name] if ".time." in name else weights[name] for name in own})
        torch.testing.assert_close(other(crops), centred(crops), rtol=1e-5, atol=1e-5)
