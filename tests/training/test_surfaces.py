"""The classifier of surfaces: fitted to finished networks, on the people who may be trained on and on nobody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from streamguard.data.index import Index
from streamguard.errors import DataError
from streamguard.nets.gml_s import GmlS
from streamguard.training.recipe import Recipe, SurfacesPart, recipe_from_text
from streamguard.training.surfaces import ORDINARY, Rows, fit_surfaces, fitted, rows_of
from streamguard.training.train import Training, groups_for

from .prepared import Person, leave_untouched, people, prepared
from .test_train import ALONE, after

SMALL = """
[net]
name = "gml-s"
span = 1.6
[net.options]
size_px = 32
length = 3
width = 0.25
temporal = [4]
texture = "1,4"
[data]
workers = 0
bank = 4
tile_px = 64
monitor_groups = 0.0
[optimizer]
ema = 0.8
[surfaces]
crops = 6
[[stages]]
steps = 1
lr = 1e-3
pairs = 2
length = 1
kinds = { self_blend = 1 }
[[stages]]
steps = 1
lr = 1e-3
pairs = 2
length = 4
pseudo = 0
twins = 1
"""


def recipe(*changes: str) -> Recipe:
    return recipe_from_text(SMALL, changes)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    everybody = [*people(4), Person("swapped", videos=0, twins=1), Person("head", videos=0, alone=1)]
    return prepared(tmp_path_factory.mktemp("data"), [*everybody, Person("portrait", videos=0, stills=1)], frames=12)


def network() -> GmlS:
    torch.manual_seed(1)
    net = recipe().entry.build(recipe().net.options)
    assert isinstance(net, GmlS)
    return net


def rows(index: Index, *groups: str) -> Rows:
    net = network()
    assert net.texture is not None
    return rows_of(net, net.texture, index, groups or index.groups, recipe())


def test_there_is_a_row_for_each_track_that_was_filmed(index: Index) -> None:
    found = rows(index)
    filmed = [footage for footage in index.footage if not footage.still]
    assert sorted(found.fake) == sorted(footage.label == "fake" for footage in filmed)
    assert found.weights[found.fake].sum() == pytest.approx(1)
    assert found.weights[~found.fake].sum() == pytest.approx(1)
    ordinary = found.weights[~found.fake] / found.weights[~found.fake].max()
    assert sorted(set(ordinary.round(6))) == [ORDINARY, 1], "the real half of a swap counts as much as its fake"


def test_each_track_is_there_as_it_is_and_sharpened(index: Index) -> None:
    plain, sharpened = rows(index).numbers.unbind(dim=1)
    assert ((plain - sharpened).abs().amax(dim=1) > 0.01).all()


def test_untouched_faces_of_fakes_have_no_row(tmp_path: Path) -> None:
    index = prepared(tmp_path, [*people(2), Person("head", videos=0, alone=2)], frames=12)
    leave_untouched(index, "head-alone0")
    assert rows(index).fake.sum() == 1


def test_only_the_groups_that_are_told_have_rows(index: Index) -> None:
    assert len(rows(index, "p00", "swapped").fake) < len(rows(index).fake)


@pytest.mark.parametrize(("groups", "lacking"), [(["p00", "p01"], "genuine fakes"), (["head"], "real video")])
def test_both_classes_are_needed(index: Index, groups: list[str], lacking: str) -> None:
    with pytest.raises(DataError, match=f"these groups have no {lacking}"):
        rows(index, *groups)


def made_up(shift: float) -> Rows:
    """Twenty numbers of forty tracks, half of them fake; one number says which."""
    numbers = torch.randn(40, 2, 20, generator=torch.Generator().manual_seed(3)) * 3 + 5
    fake = np.arange(40) % 2 == 1
    numbers[fake, :, 7] += shift
    return Rows(numbers=numbers, fake=fake, weights=np.full(40, 1 / 20))


def logits(found: Rows, settings: SurfacesPart) -> tuple[np.ndarray, np.ndarray]:
    mean, spread, weight, bias = fitted(found, settings)
    return (((found.numbers[:, 0] - mean) / spread) @ weight + bias).numpy(), weight.numpy()


def test_the_number_that_tells_weighs_most_and_fakes_score_higher() -> None:
    found = made_up(20.0)
    scores, weight = logits(found, SurfacesPart())
    assert np.abs(weight).argmax() == 7
    assert weight[7] > 0
    assert scores[found.fake].min() > scores[~found.fake].max()


def test_regularisation_pulls_towards_nothing() -> None:
    weak, strong = (np.abs(logits(made_up(20.0), SurfacesPart(l2=l2))[1]).sum() for l2 in (0.01, 10.0))
    assert strong < 0.2 * weak


def test_its_share_scales_its_logit() -> None:
    one, three = (logits(made_up(20.0), SurfacesPart(share=share))[0] for share in (1.0, 3.0))
    np.testing.assert_allclose(three, 3 * one, rtol=1e-5)


def test_what_sharpening_moves_weighs_little() -> None:
    """One number tells fakes as long as nothing is sharpened, and is moved by sharpening as far as by forging."""
    kept, moved = made_up(6.0), made_up(6.0)
    moved.numbers[:, 1, 7] = torch.randn(40, generator=torch.Generator().manual_seed(5)) * 30
    assert np.abs(logits(moved, SurfacesPart())[1][7]) < 0.5 * np.abs(logits(kept, SurfacesPart())[1][7])


def test_a_fitted_network_scores_as_its_fit_says(index: Index) -> None:
    net = network()
    assert net.texture is not None
    crops = torch.randint(0, 256, (3, 1, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before = net(crops)
        count = fit_surfaces(net, index, index.groups, recipe())
        features: list[list[torch.Tensor]] = []
        net.texture.register_forward_hook(lambda module, given, made: features.append(given[0]))
        after_fit = net(crops)
        scores = net.texture(features[0])
    assert count == len(rows(index).fake)
    torch.testing.assert_close(after_fit - before, (scores[:, 1] - scores[:, 0])[:, None])
    assert (after_fit - before).abs().min() > 1e-4


def texture(path: Path) -> torch.Tensor:
    return load_file(path)["texture.classifier.weight"]


def test_training_fits_when_all_stages_are_over(index: Index, tmp_path: Path) -> None:
    groups = groups_for(index, recipe(), ["p00"])
    Training(recipe(), index, tmp_path, groups, ALONE).run()
    assert not texture(tmp_path / "stage-1.safetensors").any()
    assert texture(tmp_path / "weights.safetensors").any()
    assert torch.equal(texture(tmp_path / "stage-2.safetensors"), texture(tmp_path / "weights.safetensors"))


def test_a_finished_training_that_is_resumed_saves_the_same(index: Index, tmp_path: Path) -> None:
    groups = groups_for(index, recipe(), ["p00"])
    stopped = Training(recipe(), index, tmp_path, groups, ALONE).run(after(1))
    assert not stopped.finished
    Training(recipe(), index, tmp_path, groups, ALONE, resume=True).run()
    first = (tmp_path / "weights.safetensors").read_bytes()
    Training(recipe(), index, tmp_path, groups, ALONE, resume=True).run()
    assert (tmp_path / "weights.safetensors").read_bytes() == first
