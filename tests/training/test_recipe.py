"""Recipes: read strictly, changed key by key, written so that they can be read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamguard.errors import ConfigError
from streamguard.nets.motion_net import MotionNet
from streamguard.training.fakes import KINDS
from streamguard.training.objective import build_net
from streamguard.training.recipe import own_recipes, read_recipe, recipe_as_text, recipe_from_text, with_steps

SMALL = """
[net]
name = "gml-s"
[net.options]
size_px = 64
temporal = [2, 4]
anomaly = false
[[stages]]
steps = 30
lr = 1e-3
kinds = { self_blend = 1 }
[[stages]]
steps = 10
lr = 1e-4
kinds = { self_blend = 1, swap = 2.5 }
"""


def test_options_of_the_network_become_text() -> None:
    recipe = recipe_from_text(SMALL)
    assert recipe.net.options == {"size_px": "64", "temporal": "2,4", "anomaly": "no"}
    assert recipe.options["length"] == "8"


def test_what_is_left_out_has_its_default() -> None:
    recipe = recipe_from_text(SMALL)
    assert (recipe.loss.anomaly, recipe.optimizer.kind, recipe.stages[0].length) == (1.0, "adamw", 8)


def test_written_recipe_is_read_as_the_same() -> None:
    recipe = recipe_from_text(
        SMALL, ["init.held=[\"stem\", 'blocks.0.']", 'init.file="a \\\\ \\"b\\""', "init.kind=weights"]
    )
    assert recipe_from_text(recipe_as_text(recipe)) == recipe


@pytest.mark.parametrize(
    ("changes", "where", "problem"),
    [
        (["optimiser.ema=0"], "optimiser", "did you mean optimizer?"),
        (["optimizer.emma=0"], "optimizer.emma", "did you mean ema?"),
        (["stages.1.colour=1"], "stages.1.colour", "there is no such key; there are: steps"),
        (["net.colour=1"], "net.colour", "there are: name, options, span"),
        (["optimizer.ema=2"], "optimizer.ema", "must be 0 to 0.99999, not 2"),
        (["stages.0.steps=0"], "stages.0.steps", "must be 1 to"),
        (["stages.*.lr=fast"], "stages.0.lr", "must be a number"),
        (["stages.0.twins=0.5"], "stages.0", "must give 1, not 1.5"),
        (["stages.1.made_length=4"], "stages.1.made_length", "at least length, which is 8"),
        (["stages.0.kinds.self_blend=0"], "stages.0.kinds", "say of which kinds"),
        (["stages.0.kinds.self_blend=-1"], "stages.0.kinds.self_blend", "must be 0 to 1e+06, not -1"),
        (["stages.*.kinds={self_blend=1e308, swap=1e308}"], "stages.0.kinds.self_blend", "must be 0 to 1e+06"),
        (["seed=-1"], "seed", "must be 0 to 9.22337e+18, not -1"),
        (["seed=99999999999999999999999"], "seed", "must be 0 to 9.22337e+18, not 1e+23"),
        ([f"seed={10**400}"], "seed", "not a number of hundreds of digits"),
        ([f"seed={'9' * 5000}"], "seed", "must be a whole number"),
        (["seed=2020-01-01"], "seed", "must be a whole number, not a date"),
        (["net.options.motion=2020-01-01"], "net.options.motion", "must be text, not a date"),
        (["net.name=gmls"], "net.name", "is no network"),
        (["init.kind=weights"], "init.file", "is needed"),
        (["init.file=x"], "init.kind", "is none, but a file is given"),
        (["run.precision=fp16"], "run.precision", "must be auto or fp32 or bf16"),
    ],
)
def test_wrong_values_are_refused_by_name(changes: list[str], where: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe_from_text(SMALL, changes)
    assert caught.value.key == f"recipe: {where}"
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("optimizer.ema", "must be KEY=VALUE"),
        ("=3", "must be KEY=VALUE"),
        ("stages.2.lr=1", "name one of stages 0 to 1"),
        ("stages.lr=1", "name one of stages 0 to 1"),
        ("net.name.x=1", "there is nothing below"),
    ],
)
def test_changes_that_are_none_are_refused(change: str, problem: str) -> None:
    with pytest.raises(ConfigError, match="--set") as caught:
        recipe_from_text(SMALL, [change])
    assert problem in caught.value.problem


def test_changes_reach_one_stage_or_all() -> None:
    recipe = recipe_from_text(SMALL, ["stages.*.length=1", "stages.1.lr=0.5", "net.options.motion=none"])
    assert [stage.length for stage in recipe.stages] == [1, 1]
    assert [stage.lr for stage in recipe.stages] == [1e-3, 0.5]
    assert recipe.net.options["motion"] == "none"


def test_stages_keep_their_shares_of_other_steps() -> None:
    recipe = with_steps(recipe_from_text(SMALL), 100)
    assert [stage.steps for stage in recipe.stages] == [75, 25]
    assert [stage.steps for stage in with_steps(recipe, 2).stages] == [2, 1]


@pytest.mark.parametrize(
    "text", ["[net", f"seed = {'9' * 5000}", "net = 3", "[net]\nname = 'gml-s'", "stages = []\n[net]\nname = 'gml-s'"]
)
def test_what_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="recipe"):
        recipe_from_text(text)


def test_recipe_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"altfreezing, gml, gml-causal, gml-s"):
        read_recipe(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("name", own_recipes())
def test_own_recipes_fit_their_networks_and_kinds(name: str) -> None:
    """Xception's weights are not to be had here, and Lite0's need not be read for this."""
    recipe = read_recipe(name, ["init.kind=none", "net.options.width=0.1"])
    assert {kind for stage in recipe.stages for kind in stage.kinds} <= KINDS.keys()
    net = build_net(recipe)
    if isinstance(net, MotionNet) and net.causal:
        longest = max(stage.length for stage in recipe.stages)
        assert longest > net.length, "answers of faces that are no longer young are learned, too"


def test_options_that_the_network_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"net.options: there is no option 'colour'"):
        build_net(recipe_from_text(SMALL, ["net.options.colour=blue"]))


def test_altfreezing_sees_clips_of_its_own_length_only() -> None:
    with pytest.raises(ConfigError, match=r"stages.0.length: altfreezing sees clips of 32 crops, not of 8"):
        build_net(read_recipe("altfreezing", ["stages.0.length=8", "net.options.width=0.1"]))


def test_held_names_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"init.held: no parameter's name begins with 'stemm'"):
        build_net(recipe_from_text(SMALL, ['init.held=["stemm"]', "net.options.width=0.1"]))
