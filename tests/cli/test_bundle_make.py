"""`streamguard bundle new` and `bundle import`: what they ask for, refuse, and say when they are done."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamguard.bundle import Bundle, open_bundle
from streamguard.cli import bundle_make
from streamguard.cli.main import main
from streamguard.errors import CheckpointError
from streamguard.nets.registry import ENTRIES

registered = pytest.importorskip("streamguard_export.registered", reason="pip install 'streamguard[export]'")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that OUT is not there, whatever is in the folder that tests are run from."""
    monkeypatch.chdir(tmp_path)


@dataclasses.dataclass
class Asked:
    """What was handed to streamguard_export: the function's name, and its arguments less `progress`."""

    name: str = ""
    args: tuple[Any, ...] = ()
    keywords: dict[str, Any] = dataclasses.field(default_factory=dict)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()

    def ask(name: str) -> Callable[..., Bundle]:
        def make(*args: Any, progress: Callable[[str], None], **keywords: Any) -> Bundle:
            asked.name, asked.args, asked.keywords = name, args, keywords
            progress("tracing")
            bundle = open_bundle()
            trained = dataclasses.replace(bundle.manifest, trained=name != "new_bundle")
            return dataclasses.replace(bundle, manifest=trained)

        return make

    for name in ("new_bundle", "bundle_of_weights", "bundle_of_altfreezing"):
        monkeypatch.setattr(registered, name, ask(name))
    return asked


def test_new_makes_an_untrained_one_and_says_so_and_what_to_do_next(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--option", "width=0.25", "--option", "temporal=", "--seed", "7"]
    assert main(["bundle", "new", "gml-s", "my out", *given]) == 0
    assert asked.name == "new_bundle"
    out, entry, options = asked.args
    assert (out, entry.name, options) == (Path("my out"), "gml-s", {"width": "0.25", "temporal": ""})
    assert asked.keywords == {"seed": 7, "making": registered.Making()}
    said = capsys.readouterr()
    assert re.fullmatch(r" +\d+ s  tracing\n", said.err)
    manifest = open_bundle().manifest
    size_mb = sum(spec.size_bytes for spec in manifest.files.values()) / 1e6
    tolerances = [
        f"  {graph:<6} {precision} raw scores within {spec.tolerance:g} of PyTorch's"
        for graph, specs in manifest.graphs.items()
        for precision, spec in specs.items()
    ]
    assert said.out.splitlines()[: 1 + len(tolerances)] == [f"wrote my out: untrained 1, {size_mb:.1f} MB", *tolerances]
    assert "\nUNTRAINED: its weights are random, its scores mean nothing, and nobody is judged by them.\n" in said.out
    assert said.out.endswith(
        "Next:\n  streamguard bundle inspect 'my out'\n  streamguard scan VIDEO --bundle 'my out'\n"
    )


def test_new_with_weights_makes_an_uncalibrated_one(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--weights", "mine.safetensors", "--data", "my videos", "--licence", "mine"]
    assert main(["bundle", "new", "gml", "out", *given]) == 0
    assert asked.name == "bundle_of_weights"
    assert (asked.args[1].name, *asked.args[2:]) == ("gml", {}, Path("mine.safetensors"))
    assert asked.keywords == {"data": "my videos", "licence": "mine", "making": registered.Making()}
    said = capsys.readouterr().out
    assert "UNCALIBRATED: its scores are no probabilities. There is no p_fake" in said
    assert "UNTRAINED" not in said


def test_what_nobody_says_of_weights_is_not_made_up(asked: Asked) -> None:
    assert main(["bundle", "new", "gml", "out", "--weights", "mine.safetensors"]) == 0
    assert asked.keywords == {"data": "not said", "licence": "not said", "making": registered.Making()}


def trained_run(folder: Path) -> Path:
    from streamguard.training.recipe import read_recipe, recipe_as_text

    folder.mkdir()
    recipe = read_recipe("gml-s", ["net.span=1.5", "net.options.size_px=96"])
    (folder / "recipe.toml").write_text(recipe_as_text(recipe))
    (folder / "groups.json").write_text('{"trained": ["ann"], "monitored": [], "held_out": ["cid", "bob"]}')
    for name in ("stage-1.safetensors", "weights.safetensors"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(("given", "file"), [([], "weights.safetensors"), (["--stage", "1"], "stage-1.safetensors")])
def test_trained_hands_on_what_the_run_says_of_itself(
    asked: Asked, tmp_path: Path, given: list[str], file: str
) -> None:
    run = trained_run(tmp_path / "run")
    assert main(["bundle", "trained", str(run), "out", "--store", "fp16", "--commit", "0123abc", *given]) == 0
    assert asked.name == "bundle_of_weights"
    assert asked.keywords["commit"] == "0123abc"
    assert asked.args[:2] == (Path("out"), ENTRIES["gml-s"])
    assert asked.args[3] == run / file
    assert asked.args[2]["size_px"] == "96"
    assert sorted(asked.keywords["held_out"]) == ["bob", "cid"]
    assert (asked.keywords["making"].span, asked.keywords["making"].store) == (1.5, "fp16")


def test_trained_names_what_a_run_lacks(asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained_run(tmp_path / "run")
    assert main(["bundle", "trained", str(run), "out", "--stage", "7"]) == 2
    assert "stage-7.safetensors does not exist; there is stage-1.safetensors, weights.safetensors" in (
        capsys.readouterr().err
    )
    (run / "groups.json").unlink()
    assert main(["bundle", "trained", str(run), "out"]) == 2
    assert "groups.json does not say who was trained on and who was held out (cannot be read" in capsys.readouterr().err
    assert main(["bundle", "trained", "nowhere", "out"]) == 2
    assert "nowhere is no folder of a training: it has no recipe.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        ("{}", "trained: missing"),
        ("anna", "not JSON"),
        ('{"trained": [], "monitored": [], "held_out": null}', "held_out: must be a list, not null"),
        ('{"trained": [], "monitored": [], "held_out": "anna"}', 'held_out: must be a list, not "anna"'),
        ('{"trained": [], "monitored": [], "held_out": [1]}', "held_out.0: must be text, not 1"),
    ],
)
def test_trained_refuses_groups_that_are_none(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str], groups: str, why: str
) -> None:
    run = trained_run(tmp_path / "run")
    (run / "groups.json").write_text(groups)
    assert main(["bundle", "trained", str(run), "out"]) == 2
    told = capsys.readouterr().err
    assert f"RUN: {run / 'groups.json'} does not say who was trained on and who was held out ({why}" in told
    assert not asked.name


@pytest.mark.parametrize("weights", [[], ["--weights", "mine.safetensors"]])
def test_what_its_maker_chooses_is_handed_on(asked: Asked, weights: list[str]) -> None:
    assert main(["bundle", "new", "gml-s", "out", "--span", "1.4", "--store", "fp16", *weights]) == 0
    assert asked.keywords["making"] == registered.Making(span=1.4, store="fp16")


def test_import_makes_an_uncalibrated_one_of_what_was_published(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "import", "altfreezing", "model.pth", "out"]) == 0
    assert (asked.name, asked.args) == ("bundle_of_altfreezing", (Path("out"), Path("model.pth")))
    assert "UNCALIBRATED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("new gml-xl out", f"NETWORK: there is no network gml-xl; there are: {', '.join(ENTRIES)}"),
        ("new gml out --option width", "--option: must be NAME=VALUE, not width"),
        ("new gml out --option =1", "--option: must be NAME=VALUE, not =1"),
        ("new gml out --seed -1", "--seed: must be 0 to 9223372036854775807, not -1"),
        ("new gml out --seed 9223372036854775808", "--seed: must be 0 to 9223372036854775807"),
        ("new gml out --span 2.5", "--span: must be 1 to 2 face scales"),
        ("new gml out --span nan", "--span: must be 1 to 2 face scales"),
        ("new altfreezing out --span 1.4", "--span: must be 2 with the similarity recipe"),
        ("new gml out --data x", "--data: is said of --weights, and there are none"),
        ("new gml out --licence x", "--licence: is said of --weights, and there are none"),
        ("new gml out.zip", "OUT: out.zip would be a folder; `streamguard bundle pack` makes a zip"),
        ("import gml model.pth out", "NETWORK: no published weights of gml are known; there are: altfreezing"),
        ("import altfreezing model.pth out.ZIP", "OUT: out.ZIP would be a folder"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    asked: Asked, capsys: pytest.CaptureFixture[str], arguments: str, told: str
) -> None:
    assert main(["bundle", *arguments.split()]) == 2
    assert f"streamguard: error: {told}" in capsys.readouterr().err
    assert asked.name == ""


def test_what_is_said_of_weights_must_fit_on_a_line(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "new", "gml", "out", "--weights", "mine.safetensors", "--data", "two\nlines"]) == 2
    assert "--data: must be one line of printable text" in capsys.readouterr().err
    assert asked.name == ""


@pytest.mark.parametrize("arguments", ["new gml-s out --option wide=1", "new gml-s out --option size_px=33"])
def test_an_option_that_there_is_not_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bundle", *arguments.split()]) == 2
    assert "streamguard: error: --option: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", ["new gml out", "import altfreezing model.pth out"])
@pytest.mark.parametrize("package", bundle_make.PACKAGES)
def test_a_package_that_is_missing_is_named_with_what_to_install(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str, arguments: str
) -> None:
    monkeypatch.setattr(bundle_make, "find_spec", lambda name: None if name == package else name)
    assert main(["bundle", *arguments.split()]) == 4
    assert f"needs {package}: pip install 'streamguard[export]'" in capsys.readouterr().err
    assert asked.name == ""


def test_a_checkpoint_that_is_refused_ends_with_4(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: object, **keywords: object) -> Bundle:
        raise CheckpointError("model.pth", "head.weight", "is missing")

    monkeypatch.setattr(registered, "bundle_of_altfreezing", refuse)
    assert main(["bundle", "import", "altfreezing", "model.pth", "out"]) == 4
    assert "checkpoint model.pth, head.weight: is missing" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["new", "import"])
def test_help_teaches_by_examples(capsys: pytest.CaptureFixture[str], action: str) -> None:
    assert main(["bundle", action, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"  streamguard bundle {action} " in said
    assert {"new": "UNTRAINED", "import": "UNCALIBRATED"}[action] in said
