"""Registered networks become bundles that are scanned with, and networks again; strangers' weights and options are held
against what they say."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from streamguard_export import registered
from streamguard_export.registered import (
    Making,
    build,
    bundle_of_altfreezing,
    bundle_of_weights,
    network_of,
    new_bundle,
)
from torch import nn

from streamguard.bundle import UNTRAINED, Bundle, open_bundle
from streamguard.cli.main import main
from streamguard.engine.parity import measure, sample_clips
from streamguard.errors import BundleError, CheckpointError, ConfigError
from streamguard.events import Score
from streamguard.nets.registry import ENTRIES, options_as_text
from streamguard.weights.altfreezing import official_names
from streamguard.weights.load import save_weights
from streamguard.wire import event_from_json
from tests.clips import one_person, pictures_of, write_video
from tests.export.small import NAMES, SEED, SMALL, small_net


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "one.mp4", pictures_of(one_person(), 2.0))


@pytest.mark.parametrize("name", NAMES)
def test_its_bundle_gives_the_same_scores_everywhere(bundles: dict[str, Bundle], name: str) -> None:
    rows = measure(bundles[name])
    assert {row.backend for row in rows} >= {"onnxruntime"}
    assert [row for row in rows if not row.ok] == []


@pytest.mark.parametrize("name", NAMES)
def test_scan_runs_it_in_every_way_that_it_has(
    bundles: dict[str, Bundle], name: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, scores = bundles[name], {}
    for graph in bundle.manifest.graphs:
        out = tmp_path / graph
        given = ["--bundle", str(bundle.folder), "--graph", graph, "--precision", "fp32", "--no-video"]
        assert main(["scan", str(clip), "--out", str(out), *given]) == 0
        assert f"UNTRAINED: this network ({name} seed-{SEED}) never learned anything" in capsys.readouterr().out
        events = [event_from_json(line) for line in (out / "one" / "events.jsonl").read_text().splitlines()]
        scores[graph] = {each.kind.pts_end_s: each.kind.raw_score for each in events if isinstance(each.kind, Score)}
        assert len(scores[graph]) >= 2
        assert all(0 < score < 1 for score in scores[graph].values())
    if "step" in scores:  # a score for each crop, and not only for each hop
        assert {at_s: scores["step"][at_s] for at_s in scores["window"]} == pytest.approx(scores["window"], abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_its_bundle_becomes_the_same_network_again(bundles: dict[str, Bundle], name: str) -> None:
    bundle = bundles[name]
    net, before = network_of(bundle), small_net(name)
    assert not net.training
    assert options_as_text(net.options) == options_as_text(before.options)
    clips = sample_clips(bundle.manifest.clip, 2, seed=4)
    with torch.no_grad():
        assert torch.equal(net(torch.from_numpy(clips)), before(torch.from_numpy(clips)))


def test_its_bundle_says_what_it_is(bundles: dict[str, Bundle]) -> None:
    manifest = bundles["gml-s"].manifest
    assert (manifest.network, manifest.version, manifest.trained) == ("gml-s", f"seed-{SEED}", False)
    assert (manifest.clip.grid_s, manifest.clip.hop_s, manifest.clip.recipe) == (0.08, 0.32, "square")
    assert manifest.provenance.data == "none"
    net = manifest.net
    assert net is not None
    assert (net.name, net.weights) == ("gml-s", "network.safetensors")
    assert net.options.items() >= SMALL["gml-s"].items()
    assert net.options.keys() > SMALL["gml-s"].keys(), "all of them, also those of which nothing was said"
    assert "motion.first" in net.decisions
    assert bundles["altfreezing"].manifest.clip.recipe == "similarity"


# What is written without tracing anything.


@dataclasses.dataclass
class Asked:
    """What a bundle would be made of."""

    net: Any = None
    about: Any = None
    store: str = ""
    clips: int = 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()

    def make_bundle(out: Path, net: nn.Module, about: object, *, store: str, clips: int, progress: object) -> Bundle:
        asked.net, asked.about, asked.store, asked.clips = net, about, store, clips
        return open_bundle()

    monkeypatch.setattr(registered, "make_bundle", make_bundle)
    return asked


@pytest.fixture
def small_altfreezing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it had been published so small."""
    entry = dataclasses.replace(ENTRIES["altfreezing"], preset=SMALL["altfreezing"])
    monkeypatch.setitem(ENTRIES, "altfreezing", entry)


def test_the_same_seed_gives_the_same_weights_and_nobody_elses_dice_are_thrown() -> None:
    before = torch.random.get_rng_state()
    first, second, other = (build(ENTRIES["gml-s"], SMALL["gml-s"], seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first.state_dict()[name], each) for name, each in second.state_dict().items())
    assert not all(torch.equal(first.state_dict()[name], each) for name, each in other.state_dict().items())


def test_an_option_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"--option: there is no option 'wide'; there are: .*width"):
        build(ENTRIES["gml-s"], {"wide": "1"})
    with pytest.raises(ConfigError, match=r"--option: .*size_px"):
        build(ENTRIES["gml-s"], {"size_px": "33"})


@pytest.mark.parametrize(("name", "clips"), [("gml-s", 16), ("altfreezing", 2)])
def test_dear_networks_are_measured_on_fewer_clips(asked: Asked, tmp_path: Path, name: str, clips: int) -> None:
    new_bundle(tmp_path, ENTRIES[name], {})
    assert asked.clips == clips


def test_what_its_maker_chooses_reaches_the_bundle(asked: Asked, tmp_path: Path) -> None:
    new_bundle(tmp_path, ENTRIES["gml-s"], SMALL["gml-s"])
    assert (asked.about.span, asked.store) == (2.0, "fp32")
    new_bundle(tmp_path, ENTRIES["gml-s"], SMALL["gml-s"], making=Making(span=1.4, store="fp16"))
    assert (asked.about.span, asked.store) == (1.4, "fp16")


def test_weights_of_ones_own_are_told_with_their_hash_and_what_is_said_of_them(asked: Asked, tmp_path: Path) -> None:
    trained = build(ENTRIES["altfreezing"], SMALL["altfreezing"], seed=9)
    file = tmp_path / "mine.safetensors"
    save_weights(trained, file)
    bundle_of_weights(
        tmp_path / "out", ENTRIES["altfreezing"], SMALL["altfreezing"], file, data="my videos", licence="mine"
    )
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert (asked.about.version, asked.about.trained) == (f"weights-{sha256[:12]}", True)
    assert asked.about.provenance.data == f"my videos; weights from mine.safetensors, sha256 {sha256}"
    assert asked.about.provenance.licence == "mine"
    assert all(torch.equal(trained.state_dict()[name], each) for name, each in asked.net.state_dict().items())


def test_weights_of_another_network_are_refused(asked: Asked, tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    save_weights(build(ENTRIES["gml-s"], SMALL["gml-s"]), file)
    with pytest.raises(CheckpointError, match=r"mine\.safetensors"):
        bundle_of_weights(
            tmp_path / "out", ENTRIES["altfreezing"], SMALL["altfreezing"], file, data="none", licence="none"
        )
    assert asked.net is None


@pytest.mark.usefixtures("small_altfreezing")
def test_the_published_altfreezing_is_read_by_its_own_names(asked: Asked, tmp_path: Path) -> None:
    published: Any = build(ENTRIES["altfreezing"], {}, seed=9)
    names = official_names(published)
    file = tmp_path / "model.pth"
    torch.save({f"module.{names[name]}": each for name, each in published.state_dict().items()}, file)
    bundle_of_altfreezing(tmp_path / "out", file)
    about = asked.about
    assert (about.network, about.trained, about.recipe) == ("altfreezing", True, "similarity")
    assert about.provenance.data.startswith("FaceForensics++ c23: ")
    assert hashlib.sha256(file.read_bytes()).hexdigest() in about.provenance.data
    assert about.provenance.licence.startswith("unclear: ")
    assert "head" in about.net.decisions
    assert all(torch.equal(published.state_dict()[name], each) for name, each in asked.net.state_dict().items())


# Bundles of strangers.


def changed(bundle: Bundle, **changes: Any) -> Bundle:
    net = bundle.manifest.net
    assert net is not None
    manifest = dataclasses.replace(bundle.manifest, net=dataclasses.replace(net, **changes))
    return dataclasses.replace(bundle, manifest=manifest)


def options_of(bundle: Bundle, **changes: str) -> dict[str, str]:
    assert bundle.manifest.net is not None
    return bundle.manifest.net.options | changes


def test_a_bundle_that_names_no_network_is_refused() -> None:
    with pytest.raises(BundleError, match="net: is null: the network was made elsewhere"):
        network_of(open_bundle(UNTRAINED))


def test_a_bundle_whose_network_cannot_be_made_is_refused_by_its_field(bundles: dict[str, Bundle]) -> None:
    bundle = bundles["altfreezing"]
    for changes, where, problem in (
        ({"name": "gml-xl"}, "net.name", "gml-xl is not known here; there are: gml, "),
        ({"weights": None}, "net.weights", "is null"),
        ({"options": {"width": "0.05", "size_px": "64"}}, "net.options.length", "is missing"),
        ({"options": options_of(bundle, wide="1")}, "net.options", "there is no option 'wide'"),
        ({"options": options_of(bundle, length="9")}, "net.options", "length is 9, and the bundle's is 8"),
    ):
        with pytest.raises(BundleError) as refused:
            network_of(changed(bundle, **changes))
        assert (refused.value.where, problem in refused.value.problem) == (where, True), refused.value


def test_options_that_would_take_more_memory_than_the_weights_are_refused_before_they_do(
    bundles: dict[str, Bundle],
) -> None:
    bundle = bundles["gml-s"]
    with pytest.raises(CheckpointError, match="has shape"):
        network_of(changed(bundle, options=options_of(bundle, width="4", size_px="1024")))


def test_weights_that_are_not_the_networks_are_refused(bundles: dict[str, Bundle]) -> None:
    bundle = bundles["altfreezing"]
    with pytest.raises(CheckpointError):
        network_of(dataclasses.replace(bundle, folder=bundles["gml-s"].folder))


# At full size.


@pytest.mark.full
@pytest.mark.parametrize("name", list(ENTRIES))
def test_every_network_at_full_size_becomes_a_bundle_that_verify_accepts_and_scan_runs(
    name: str, tmp_path: Path
) -> None:
    assert main(["bundle", "new", name, str(tmp_path / "bundle")]) == 0
    check_at_full_size(tmp_path)


@pytest.mark.full
def test_the_small_network_takes_less_than_ten_megabytes_in_16_bits(tmp_path: Path) -> None:
    assert main(["bundle", "new", "gml-s", str(tmp_path / "bundle"), "--span", "1.4", "--store", "fp16"]) == 0
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.clip.span == 1.4
    assert sum(spec.size_bytes for spec in bundle.manifest.files.values()) < 10e6
    before, kept = build(ENTRIES["gml-s"], {}).state_dict(), network_of(bundle).state_dict()
    assert all(torch.equal(kept[k], v.half().float() if v.ndim > 1 else v) for k, v in before.items())
    check_at_full_size(tmp_path)


@pytest.mark.full
def test_a_published_checkpoint_at_full_size_becomes_one_too(tmp_path: Path) -> None:
    published: Any = build(ENTRIES["altfreezing"], {}, seed=9)
    names = official_names(published)
    torch.save({"state_dict": {names[name]: each for name, each in published.state_dict().items()}}, tmp_path / "m.pth")
    assert main(["bundle", "import", "altfreezing", str(tmp_path / "m.pth"), str(tmp_path / "bundle")]) == 0
    assert open_bundle(tmp_path / "bundle").manifest.trained
    check_at_full_size(tmp_path)


def check_at_full_size(folder: Path) -> None:
    assert main(["bundle", "verify", str(folder / "bundle")]) == 0
    clip = write_video(folder / "one.mp4", pictures_of(one_person(640, 360, 200), 4.0))
    given = ["--out", str(folder / "out"), "--bundle", str(folder / "bundle"), "--no-video"]
    assert main(["scan", str(clip), *given]) == 0
    events = [event_from_json(line) for line in (folder / "out" / "one" / "events.jsonl").read_text().splitlines()]
    assert any(isinstance(each.kind, Score) for each in events)
