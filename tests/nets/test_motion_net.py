"""GML causal and GML-S, run both ways: steps equal the clip, whatever came before; and how far they look, exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from streamguard.nets.anomaly import CLASSES
from streamguard.nets.gml import Gml, GmlOptions
from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.nets.motion import mean_energy
from streamguard.nets.motion_net import Answers, MotionNet, logit
from streamguard.nets.past import Past

from .shaken import moving, shaken

SIZE_PX = 64
LENGTH = 3


def gml(**options: object) -> Gml:
    net = Gml(GmlOptions(**{"width": 0.06, "size_px": SIZE_PX, "length": LENGTH, **options}))  # type: ignore[arg-type]
    return shaken(net, moving(8, faces=4, size_px=SIZE_PX, seed=9))


def gml_s(**options: object) -> GmlS:
    net = GmlS(GmlSOptions(**{"width": 0.2, "size_px": SIZE_PX, "length": LENGTH, **options}))  # type: ignore[arg-type]
    return shaken(net, moving(8, faces=4, size_px=SIZE_PX, seed=9))


KINDS = ("gml", "gml-s", "gml-s frames", "gml-s one head", "gml-s three heads", "gml-s T=1", "gml T=8")


@pytest.fixture(scope="module", params=KINDS)
def net(request: pytest.FixtureRequest) -> MotionNet:
    """One of each kind, with few layers that look back, so that clips are short."""
    if request.param == "gml":
        return gml(form="causal", temporal=(6, 20, 33))
    if request.param == "gml T=8":
        return gml(form="causal", temporal=(6,), length=8)
    if request.param == "gml-s T=1":
        return gml_s(temporal=(6, 9), length=1)
    if request.param == "gml-s frames":
        return gml_s(motion="none")
    if request.param == "gml-s one head":
        return gml_s(temporal=(4, 9), anomaly=False)
    if request.param == "gml-s three heads":
        return gml_s(temporal=(2, 9), texture=(1, 4))
    return gml_s(temporal=(2, 9, 12))


def cleared(net: MotionNet, faces: int) -> list[Tensor]:
    return [torch.zeros(faces, *shape) for shape in net.state_shapes.values()]


def stepped(net: MotionNet, crops: Tensor) -> list[Tensor]:
    """Logits (N, 1) after each crop of (N, L, H, W, 3)."""
    state, logits = cleared(net, len(crops)), []
    for t in range(crops.shape[1]):
        out, state = net.step(crops[:, t], state, torch.full((len(crops),), t))
        logits.append(out)
    return logits


def assert_same(found: Tensor, wanted: Tensor) -> None:
    """To 1e-5 relative, of a logit that is seldom near zero: else of one."""
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_steps_equal_the_clip_at_every_age_and_for_every_batch(net: MotionNet) -> None:
    length = net.memory + net.length + 4
    for faces in (1, 3):
        crops = moving(length, faces=faces, size_px=SIZE_PX)
        for t, logits in enumerate(stepped(net, crops)):
            assert logits.shape == (faces, 1)
            assert_same(logits, net(crops[:, : t + 1]))


@torch.no_grad()
def test_an_old_state_equals_the_clip_of_the_last_crops(net: MotionNet) -> None:
    crops = moving(40, size_px=SIZE_PX)
    assert_same(stepped(net, crops)[-1], net(crops[:, -(net.memory + net.length) :]))


@torch.no_grad()
def test_a_batch_may_hold_faces_of_all_ages_and_any_of_them_may_start_afresh(net: MotionNet) -> None:
    random = torch.Generator().manual_seed(1)
    faces, length = 4, 16
    crops = moving(length, faces=faces, size_px=SIZE_PX)
    state, age, begin = cleared(net, faces), torch.zeros(faces, dtype=torch.int64), [0] * faces
    for t in range(length):
        for face in torch.nonzero(torch.rand(faces, generator=random) < 0.2).flatten().tolist():
            begin[face], age[face] = t, 0
            for each in state:
                each[face] = 0
        logits, state = net.step(crops[:, t], state, age)
        age += 1
        for face in range(faces):
            assert_same(logits[face], net(crops[face : face + 1, begin[face] : t + 1])[0])
    assert max(begin) > 2


@torch.no_grad()
def test_a_cleared_slot_equals_a_new_one(net: MotionNet) -> None:
    """Nothing of the face before is left."""
    crops = moving(6, faces=2, size_px=SIZE_PX)
    _, used = net.step(crops[:, 0], cleared(net, 2), torch.zeros(2, dtype=torch.int64))
    for each in used:
        each.zero_()
    again, new = used, cleared(net, 2)
    for t in range(1, 6):
        age = torch.full((2,), t - 1)
        found, again = net.step(crops[:, t], again, age)
        wanted, new = net.step(crops[:, t], new, age)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_clip_may_be_cut_anywhere(net: MotionNet) -> None:
    """What is kept after one part is what the next part needs: for training on long clips."""
    crops = moving(9, faces=2, size_px=SIZE_PX)
    whole = net.answers(crops, Past.of_clips(crops))
    first = Past.of_clips(crops[:, :4])
    net.answers(crops[:, :4], first)
    later = net.answers(crops[:, 4:], Past(torch.arange(4, 9).expand(2, -1), first.kept))
    torch.testing.assert_close(later.scores, whole.scores[:, 4:], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_there_is_an_answer_after_each_crop_and_the_last_is_the_score(net: MotionNet) -> None:
    crops = moving(7, faces=2, size_px=SIZE_PX)
    answers = net.answers(crops, Past.of_clips(crops))
    assert answers.scores.shape == (2, 7, CLASSES)
    for t in range(7):
        upto = Answers(
            answers.scores[:, : t + 1],
            None if answers.anomaly_scores is None else answers.anomaly_scores[:, : t + 1],
            None,
            None if answers.texture_scores is None else answers.texture_scores[:, : t + 1],
        )
        assert_same(logit(upto), net(crops[:, : t + 1]))


def test_what_is_made_of_a_crop_depends_on_it_and_the_R_before_and_on_nothing_else(net: MotionNet) -> None:
    length, at = net.memory + 6, net.memory + 3
    crops = moving(length, size_px=SIZE_PX).float().requires_grad_()
    seen = net.look(crops.flatten(0, 1), Past.of_clips(crops))
    (seen.scores[at].sum() + (0 if seen.anomaly is None else seen.anomaly.features[at].sum())).backward()
    felt = felt_crops(crops)
    assert felt == list(range(at - net.memory, at + 1))


def test_an_answer_depends_on_the_last_R_and_T_crops_and_on_nothing_else(net: MotionNet) -> None:
    reach = net.memory + net.length
    crops = moving(reach + 6, size_px=SIZE_PX).float().requires_grad_()
    answers = net.answers(crops, Past.of_clips(crops))
    answers.scores[:, reach + 2].sum().backward()
    assert felt_crops(crops) == list(range(3, reach + 3))


def test_an_answer_early_in_a_clip_knows_no_later_crop(net: MotionNet) -> None:
    crops = moving(8, size_px=SIZE_PX).float().requires_grad_()
    net.answers(crops, Past.of_clips(crops)).scores[:, 2].sum().backward()
    assert max(felt_crops(crops)) == 2


def felt_crops(crops: Tensor) -> list[int]:
    """Which crops of the clip (1, L, H, W, 3) any gradient reached."""
    assert crops.grad is not None
    return [t for t in range(crops.shape[1]) if crops.grad[0, t].any()]


@torch.no_grad()
def test_each_head_is_averaged_over_the_crops_that_were_seen_and_no_more_than_T(net: MotionNet) -> None:
    crops = moving(7, size_px=SIZE_PX)
    each = net.look(crops.flatten(0, 1), Past.of_clips(crops)).scores  # (L, 2)
    answers = net.answers(crops, Past.of_clips(crops)).scores[0]
    for t in range(7):
        recent = each[max(0, t - net.length + 1) : t + 1]
        torch.testing.assert_close(answers[t], recent.mean(dim=0), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_centred_averages_the_whole_clip_and_sees_ahead() -> None:
    centred = gml(form="centred", temporal=(6, 20))
    assert (centred.causal, centred.memory, centred.look_ahead) == (False, 0, LENGTH - 1)
    crops = moving(LENGTH, faces=2, size_px=SIZE_PX)
    each = centred.look(crops.flatten(0, 1), Past.of_clips(crops)).scores.unflatten(0, (2, LENGTH))
    answers = centred.answers(crops, Past.of_clips(crops))
    torch.testing.assert_close(answers.scores, each.mean(dim=1, keepdim=True))
    later = crops.clone()
    later[:, 1] = 0
    now = centred.look(later.flatten(0, 1), Past.of_clips(crops)).scores.unflatten(0, (2, LENGTH))
    assert (now[:, 0] - each[:, 0]).abs().min() > 1e-6


@torch.no_grad()
def test_crops_of_one_face_do_not_reach_another(net: MotionNet) -> None:
    crops, others = moving(6, faces=2, size_px=SIZE_PX), moving(6, size_px=SIZE_PX, seed=5)
    mixed = torch.cat([crops[:1], others])
    assert_same(net(mixed)[0], net(crops)[0])
    assert (net(mixed)[1] - net(crops)[1]).abs() > 1e-4


def test_score_is_the_mean_of_both_heads_probabilities() -> None:
    first, second = torch.tensor([[0.3, -1.0], [4.0, 1.0]]), torch.tensor([[2.0, 2.5], [-3.0, 3.0]])
    found = logit(Answers(first[:, None], second[:, None], None))
    mean = (first.softmax(dim=1)[:, 1] + second.softmax(dim=1)[:, 1]) / 2
    torch.testing.assert_close(torch.sigmoid(found)[:, 0], mean)


def test_high_means_fake() -> None:
    real, fake = torch.tensor([[[2.0, -2.0]]]), torch.tensor([[[-2.0, 2.0]]])
    assert logit(Answers(real, None, None)) < 0 < logit(Answers(fake, None, None))
    assert logit(Answers(real, real, None)) < 0 < logit(Answers(fake, fake, None))


@pytest.mark.parametrize("sure", [50.0, 200.0, 1e4])
def test_sure_heads_neither_overflow_nor_drown_each_other(sure: float) -> None:
    fake, real = torch.tensor([[[0.0, sure]]]), torch.tensor([[[sure, 0.0]]])
    torch.testing.assert_close(logit(Answers(fake, fake, None)), torch.tensor([[sure]]))
    torch.testing.assert_close(logit(Answers(real, real, None)), torch.tensor([[-sure]]))
    torch.testing.assert_close(logit(Answers(fake, real, None)), torch.tensor([[0.0]]))
    unsure = torch.zeros(1, 1, 2)
    torch.testing.assert_close(logit(Answers(fake, unsure, None)).sigmoid(), torch.tensor([[0.75]]))
    torch.testing.assert_close(logit(Answers(fake, real, None, unsure)), torch.tensor([[0.0]]))
    torch.testing.assert_close(logit(Answers(unsure, unsure, None, fake)), logit(Answers(fake, None, None)))


@torch.no_grad()
def test_maps_have_one_picture_a_crop(net: MotionNet) -> None:
    crops = moving(5, faces=2, size_px=SIZE_PX)
    maps = net.maps(crops)
    if maps.anomaly is not None and maps.motion is not None:
        assert maps.anomaly.shape == maps.motion.shape
    if maps.anomaly is not None:
        assert maps.anomaly.shape[:2] == (2, 5)
        assert maps.anomaly.min() >= 0
        assert maps.anomaly.std() > 0
    assert (maps.motion is None) == (net.memory == 0)
    if maps.motion is not None:
        assert maps.motion.shape[:2] == (2, 5)
        assert float(maps.motion[:, 0].max()) < 1e-6, "nothing moves before the first crop"
        assert maps.motion[:, 1:].amax(dim=(2, 3)).min() > 0


@torch.no_grad()
def test_motion_shows_where_it_was() -> None:
    still = moving(1, size_px=SIZE_PX).expand(1, 4, SIZE_PX, SIZE_PX, 3).clone()
    still[:, 2:, :24, :24] = 255 - still[:, 2:, :24, :24]
    motion = gml_s(temporal=(2,)).maps(still).motion
    assert motion is not None
    change = motion[0, 2] - motion[0, 1]
    top, left = divmod(int(change.argmax()), change.shape[1])
    assert max(top, left) < change.shape[0] / 2


@pytest.mark.parametrize("sizes", [(5, 10), (10, 10), (40, 20), (55, 14)])
def test_maps_of_several_blocks_are_brought_to_one_size_as_pictures_are(sizes: tuple[int, int]) -> None:
    inside, out = sizes
    x = torch.rand(3, inside, inside + 1, generator=torch.Generator().manual_seed(0))
    wanted = functional.interpolate(x[:, None], (out, out + 2), mode="bilinear", antialias=True)[:, 0]
    torch.testing.assert_close(mean_energy([x], (out, out + 2)), wanted)
    assert mean_energy([x, x[:, 1:], x]).shape == (3, inside - 1, inside + 1)


def test_state_is_what_steps_take_and_give(net: MotionNet) -> None:
    shapes = list(net.state_shapes.values())
    _, state = net.step(moving(1, size_px=SIZE_PX)[:, 0], cleared(net, 1), torch.tensor([0]))
    assert [tuple(each.shape[1:]) for each in state] == shapes
    assert len(net.state_shapes) == 4 * net.memory // 2 + (net.length > 1)
    assert all(all(side > 0 for side in shape) for shape in shapes)


@torch.no_grad()
def test_the_next_state_may_be_written_over_the_one_before(net: MotionNet) -> None:
    """Tensor by tensor, as an engine with one place for each of them does it."""
    crops = moving(6, faces=2, size_px=SIZE_PX)
    arena = cleared(net, 2)
    for t in range(6):
        logits, state = net.step(crops[:, t], arena, torch.full((2,), t))
        for place, each in zip(arena, state, strict=True):
            place.copy_(each)
    assert_same(logits, net(crops))


def test_a_state_of_another_network_is_refused(net: MotionNet) -> None:
    crops, age = moving(1, size_px=SIZE_PX)[:, 0], torch.tensor([0])
    with pytest.raises(ValueError, match="1 tensors more than this network keeps"):
        net.step(crops, [*cleared(net, 1), torch.zeros(1)], age)
    if net.state_shapes:
        with pytest.raises(ValueError, match="fewer tensors than this network keeps"):
            net.step(crops, cleared(net, 1)[:-1], age)


def test_a_centred_network_takes_no_steps() -> None:
    with pytest.raises(TypeError, match="this Gml is centred"):
        gml(form="centred").step(moving(1, size_px=SIZE_PX)[:, 0], [], torch.tensor([0]))


def test_asking_for_the_state_moves_nothing() -> None:
    net = Gml(GmlOptions(width=0.06, size_px=32)).train()  # so small that norms cannot be trained on one crop
    before = {name: each.clone() for name, each in net.state_dict().items()}
    assert net.state_shapes
    assert net.training
    assert all(torch.equal(before[name], each) for name, each in net.state_dict().items())


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("size_px", 16, "size_px is 16; it must be 32 to 1024"),
        ("size_px", 1_000_000, r"size_px is 1e\+06; it must be"),
        ("length", 0, "length is 0; it must be 1 to 256"),
        ("width", 1e6, r"width is 1e\+06; it must be 0.01 to 4"),
        ("width", -1.0, "width is -1; it must be"),
        ("width", float("nan"), "width is nan; it must be"),
    ],
)
def test_options_out_of_bounds_are_refused_before_anything_is_made_of_them(
    option: str, value: float, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        Gml(GmlOptions(**{option: value}))  # type: ignore[arg-type]
