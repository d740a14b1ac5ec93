"""From a network to a bundle: what is written runs everywhere as the network does, and says so; or nothing is there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from streamguard_export import make_bundle as maker
from streamguard_export.make_bundle import About, make_bundle, rounded_up, tolerance_for
from torch import Tensor, nn

from streamguard.bundle import Bundle, ClipSpec, Graph, NetSpec, OutputSpec, Precision, Provenance, open_bundle
from streamguard.cores import load_openvino
from streamguard.engine.backend_onnxruntime import OnnxRuntimeBackend
from streamguard.engine.backend_openvino import OpenVinoBackend
from streamguard.engine.backend_torch import TorchBackend
from streamguard.engine.parity import graph_scores, measure, sample_clips
from streamguard.errors import BundleError, ConfigError
from tests.export.tiny import TinyCausal, TinyOptions, TinyWindow

ABOUT = About(
    network="tiny",
    version="1",
    trained=False,
    grid_s=0.04,
    hop_s=0.2,
    recipe="square",
    provenance=Provenance(data="none", commit="none", licence="Apache-2.0"),
    net=NetSpec(name="tiny", options={"width": "1.0"}, decisions={"pool": "mean"}),
)
NETS: dict[str, Callable[[], nn.Module]] = {"causal": TinyCausal, "window": TinyWindow}
GRAPHS: list[tuple[str, Graph]] = [("causal", "window"), ("causal", "step"), ("window", "window")]


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return make().eval()


@pytest.fixture(scope="module")
def told() -> dict[str, list[str]]:
    """What was told while each was made."""
    return {name: [] for name in NETS}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, told: dict[str, list[str]]) -> dict[str, tuple[nn.Module, Bundle]]:
    folder, found = tmp_path_factory.mktemp("made"), {}
    for name, make in NETS.items():
        net = seeded(make)
        found[name] = net, make_bundle(folder / name, net, ABOUT, clips=4, progress=told[name].append)
    return found


@pytest.mark.parametrize(("name", "graph"), GRAPHS)
@pytest.mark.parametrize("backend_class", [OpenVinoBackend, OnnxRuntimeBackend])
def test_every_backend_scores_as_pytorch_does(
    made: dict[str, tuple[nn.Module, Bundle]], name: str, graph: Graph, backend_class: Any
) -> None:
    net, bundle = made[name]
    clips = sample_clips(bundle.manifest.clip, 6, seed=5)
    reference = graph_scores(TorchBackend(net, bundle.manifest, graph), bundle.manifest, clips)
    backend = backend_class(bundle, graph, "fp32")
    found = graph_scores(backend, bundle.manifest, clips)
    backend.close()
    assert np.abs(found - reference).max() <= bundle.manifest.graphs[graph]["fp32"].tolerance
    assert np.ptp(found) > 1e-3, "scores that are all the same prove nothing"


def test_verify_is_content(made: dict[str, tuple[nn.Module, Bundle]]) -> None:
    for _, bundle in made.values():
        rows = measure(bundle)
        assert rows
        assert [row for row in rows if not row.ok] == []


def test_a_network_that_looks_back_has_both_graphs_and_one_that_does_not_has_one(
    made: dict[str, tuple[nn.Module, Bundle]],
) -> None:
    causal, window = made["causal"][1].manifest, made["window"][1].manifest
    assert set(causal.graphs) == {"window", "step"}
    assert [(state.input, state.output, state.shape) for state in causal.states] == [
        ("last", "next_last", (1, 16, 16, 16)),
        ("recent", "next_recent", (2, 16)),
    ]
    assert {each.precision for each in causal.parity} == set(causal.graphs["step"])
    assert set(window.graphs) == {"window"}
    assert (window.states, window.parity) == ((), ())
    assert not (made["window"][1].folder / "step.onnx").exists()


def test_the_manifest_says_what_the_network_and_its_maker_say(made: dict[str, tuple[nn.Module, Bundle]]) -> None:
    manifest = made["causal"][1].manifest
    assert manifest.clip == ClipSpec(size_px=32, grid_s=0.04, length=3, memory=1, hop_s=0.2, recipe="square")
    assert manifest.output == OutputSpec(tensor="logits", kind="logit", high_means_fake=True)
    assert (manifest.network, manifest.version, manifest.trained) == ("tiny", "1", False)
    assert manifest.provenance == ABOUT.provenance
    assert manifest.net == NetSpec(
        name="tiny", options={"width": "1.0"}, decisions={"pool": "mean"}, weights="network.safetensors"
    )


def test_its_parameters_are_beside_its_graphs(made: dict[str, tuple[nn.Module, Bundle]]) -> None:
    for net, bundle in made.values():
        found = load_file(bundle.folder / "network.safetensors")
        assert found.keys() == net.state_dict().keys()
        assert all(torch.equal(found[name], each) for name, each in net.state_dict().items())


def test_without_a_registered_name_no_parameters_are_written(tmp_path: Path) -> None:
    about = About(**{**{name: getattr(ABOUT, name) for name in ABOUT.__dataclass_fields__}, "net": None})
    bundle = make_bundle(tmp_path / "bundle", seeded(TinyWindow), about, clips=1)
    assert bundle.manifest.net is None
    assert {path.name for path in bundle.folder.iterdir()} == {"bundle.json", "window.onnx", "weights.bin"}


def test_no_weight_is_stored_twice(made: dict[str, tuple[nn.Module, Bundle]]) -> None:
    """Graphs refer to places in the file of the parameters, under their own names, with norms as they are."""
    for name, (net, bundle) in made.items():
        assert not (bundle.folder / "weights.bin").exists()
        for file in sorted(bundle.folder.glob("*.onnx")):
            assert file.stat().st_size < 20_000
            model = onnx.load(file, load_external_data=False)
            outside = {tensor.name.removeprefix("net.") for tensor in model.graph.initializer if tensor.external_data}
            assert outside <= net.state_dict().keys()
            assert {"conv.weight", "head.weight"} & outside
            norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
            assert len(norms) == (name == "window")


# In 16 bits.


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[nn.Module, Bundle, list[str]]]:
    """As `made`, of the same networks; the network is the one before it was rounded."""
    folder, found = tmp_path_factory.mktemp("halved"), {}
    for name, make in NETS.items():
        net, told = seeded(make), list[str]()
        bundle = make_bundle(folder / name, net, ABOUT, clips=4, store="fp16", progress=told.append)
        found[name] = net, bundle, told
    return found


def rounded(net: nn.Module) -> nn.Module:
    """By another way than the maker's."""
    near = copy.deepcopy(net)
    near.load_state_dict({k: v.half().float() if v.ndim > 1 else v for k, v in net.state_dict().items()})
    return near


@pytest.mark.parametrize(("name", "graph"), GRAPHS)
@pytest.mark.parametrize("backend_class", [OpenVinoBackend, OnnxRuntimeBackend])
def test_in_16_bits_every_backend_scores_as_pytorch_with_rounded_weights(
    halved: dict[str, tuple[nn.Module, Bundle, list[str]]], name: str, graph: Graph, backend_class: Any
) -> None:
    net, bundle, _ = halved[name]
    clips = sample_clips(bundle.manifest.clip, 6, seed=5)
    reference = graph_scores(TorchBackend(rounded(net), bundle.manifest, graph), bundle.manifest, clips)
    with closing(backend_class(bundle, graph, "fp32")) as backend:
        found = graph_scores(backend, bundle.manifest, clips)
    assert bundle.manifest.graphs[graph]["fp32"].tolerance <= 1e-5, "what is measured is the rounding of weights"
    before = graph_scores(TorchBackend(net, bundle.manifest, graph), bundle.manifest, clips)
    assert np.abs(found - reference).max() < np.abs(found - before).max() / 4


def test_in_16_bits_weights_take_half_and_norms_and_biases_stay(
    made: dict[str, tuple[nn.Module, Bundle]], halved: dict[str, tuple[nn.Module, Bundle, list[str]]]
) -> None:
    for name, (net, bundle, _) in halved.items():
        assert not (bundle.folder / "weights.bin").exists()
        found = load_file(bundle.folder / "network.safetensors")
        for key, before in net.state_dict().items():
            assert found[key].dtype == (torch.float16 if before.ndim > 1 else before.dtype), key
            assert torch.equal(found[key], before.to(found[key].dtype)), key
        weights = sum(each.numel() for each in net.state_dict().values() if each.ndim > 1)
        sizes = [each.manifest.files["network.safetensors"].size_bytes for each in (made[name][1], bundle)]
        assert sizes[0] - sizes[1] == pytest.approx(2 * weights, abs=64)  # of names


def test_the_network_that_was_given_is_not_rounded(
    halved: dict[str, tuple[nn.Module, Bundle, list[str]]],
) -> None:
    for name, (net, _, _) in halved.items():
        before = seeded(NETS[name]).state_dict()
        assert all(torch.equal(each, before[key]) for key, each in net.state_dict().items())
        assert not net.training


def test_how_far_rounding_moves_scores_is_told(halved: dict[str, tuple[nn.Module, Bundle, list[str]]]) -> None:
    for net, bundle, told in halved.values():
        clips = sample_clips(bundle.manifest.clip, 4)
        some, others = (
            graph_scores(TorchBackend(each, bundle.manifest, "window"), bundle.manifest, clips)
            for each in (net, rounded(net))
        )
        moved = np.abs(some - others).max()
        assert told[-1] == f"in 16 bits the weights give raw scores that are up to {moved:.1g} off"


@pytest.mark.parametrize(("name", "graph"), GRAPHS)
def test_engines_compile_the_same_of_16_bits_as_of_32(
    made: dict[str, tuple[nn.Module, Bundle]],
    halved: dict[str, tuple[nn.Module, Bundle, list[str]]],
    name: str,
    graph: Graph,
    tmp_path: Path,
) -> None:
    """No Cast is left that each run would pay for."""
    found = []
    for bundle in (made[name][1], halved[name][1]):
        path = bundle.path_of(graph, "fp32")
        compiled = load_openvino().Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        layers = [op.get_rt_info()["layerType"] for op in compiled.get_runtime_model().get_ops()]
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / f"{graph}.onnx")
        options.log_severity_level = 3  # that such a file is for this machine only
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        nodes = [node.op_type for node in onnx.load(tmp_path / f"{graph}.onnx", load_external_data=False).graph.node]
        found.append((sorted(map(str, layers)), sorted(nodes)))
    assert found[0] == found[1]
    assert "BatchNormalization" not in found[0][1]


def test_a_weight_too_large_for_16_bits_stays_as_it_is(tmp_path: Path) -> None:
    net = seeded(TinyWindow)
    with torch.no_grad():
        net.get_parameter("conv.weight")[0, 0, 0, 0, 0] = 1e5
    bundle = make_bundle(tmp_path / "bundle", net, ABOUT, clips=1, store="fp16")
    found = load_file(bundle.folder / "network.safetensors")
    assert torch.equal(found["conv.weight"], net.state_dict()["conv.weight"])
    assert found["head.weight"].dtype == torch.float16


def test_the_same_network_gives_the_same_bundle(made: dict[str, tuple[nn.Module, Bundle]], tmp_path: Path) -> None:
    again = make_bundle(tmp_path / "again", seeded(TinyWindow), ABOUT, clips=4)
    assert again.manifest.files == made["window"][1].manifest.files


def test_bf16_is_promised_only_where_it_is_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "fast_precisions", lambda: ("an old one", frozenset({"fp32", "int8"})))
    bundle = make_bundle(tmp_path / "bundle", seeded(TinyWindow), ABOUT, clips=1)
    assert set(bundle.manifest.graphs["window"]) == {"fp32"}


def test_only_the_precisions_that_are_asked_for_are_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "fast_precisions", lambda: ("a new one", frozenset({"fp32", "bf16", "int8"})))
    assert maker.usable_precisions() == ("fp32", "bf16")
    told: list[str] = []
    net = seeded(TinyWindow)
    bundle = make_bundle(tmp_path / "bundle", net, ABOUT, clips=1, precisions=("fp32",), progress=told.append)
    assert set(bundle.manifest.graphs["window"]) == {"fp32"}
    assert told[-1] == "measuring on 1 clip: OpenVINO window fp32"


@pytest.mark.parametrize(
    ("clips", "precision", "difference", "tolerance"),
    [(16, "fp32", 0.00021, 0.0005), (15, "fp32", 0.00021, 0.0009), (16, "fp32", 0, 1e-5), (16, "bf16", 0.001, 0.01)],
)
def test_a_tolerance_is_twice_what_was_measured_and_more_if_that_was_little(
    clips: int, precision: Precision, difference: float, tolerance: float
) -> None:
    assert tolerance_for(difference, precision, clips) == tolerance


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, 0.0), (0.00031, 0.0004), (0.3, 0.3), (0.95, 1.0), (2.5e-7, 3e-7), (1.0, 1.0)]
)
def test_measured_values_are_rounded_up_to_one_digit(value: float, expected: float) -> None:
    assert rounded_up(value) == pytest.approx(expected)


def test_progress_tells_before_each_graph_is_traced_or_measured(
    made: dict[str, tuple[nn.Module, Bundle]], told: dict[str, list[str]]
) -> None:
    graphs = made["causal"][1].manifest.graphs
    assert told["causal"] == [
        "tracing the network: window.onnx",
        "tracing the network: step.onnx",
        "measuring on 4 clips: PyTorch step",
        "measuring on 4 clips: PyTorch window",
        *(f"measuring on 4 clips: OpenVINO {graph} {each}" for graph in ("step", "window") for each in graphs[graph]),
    ]


# What is refused, and what then is there.


class Shouting(TinyWindow):
    """Its logits are infinite, or none: sigmoid would make 1 of the first."""

    value = float("inf")

    def forward(self, crops: Tensor) -> Tensor:
        return super().forward(crops) * self.value


class Silent(Shouting):
    value = float("nan")


class Broken(TinyWindow):
    """Of what it learned, something that it does not even use is no number."""

    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Parameter(torch.tensor([float("nan")]))


class Forgetful(TinyCausal):
    """It says that it remembers nothing."""

    memory = 0


class Drifting(TinyCausal):
    """Its steps are not what its clips are."""

    def step(self, crops: Tensor, state: list[Tensor], age: Tensor) -> tuple[Tensor, list[Tensor]]:
        logits, state = super().step(crops, state, age)
        return logits + 0.1, state


@pytest.mark.parametrize(
    ("net", "where", "problem"),
    [
        (Shouting, "graphs.window.fp32", "torch gives scores that are no numbers"),
        (Silent, "graphs.window.fp32", "torch gives scores that are no numbers"),
        (Broken, "network.safetensors", "spare: "),
        (Forgetful, "clip.memory", "the network does not remember what it says"),
        (Drifting, "clip.memory", "the network does not remember what it says"),
    ],
)
def test_a_network_that_cannot_be_right_is_refused_and_nothing_is_left(
    tmp_path: Path, net: Callable[[], nn.Module], where: str, problem: str
) -> None:
    out = tmp_path / "bundle"
    with pytest.raises(BundleError, match=problem) as refused:
        make_bundle(out, seeded(net), ABOUT, clips=1)
    assert (refused.value.bundle, refused.value.where) == (str(out), where)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_sealed_is_refused_by_its_field_and_the_older_bundle_stays(
    made: dict[str, tuple[nn.Module, Bundle]], tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    before = make_bundle(out, seeded(TinyWindow), ABOUT, clips=1)
    nameless = About(**{**{name: getattr(ABOUT, name) for name in ABOUT.__dataclass_fields__}, "network": ""})
    with pytest.raises(BundleError, match=r"network: must not be empty") as refused:
        make_bundle(out, seeded(TinyWindow), nameless, clips=1)
    assert refused.value.bundle == str(out)
    assert open_bundle(out) == before
    assert list(tmp_path.iterdir()) == [out]


def test_an_older_bundle_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    make_bundle(out, seeded(TinyWindow), ABOUT, clips=1)
    other = make_bundle(out, seeded(lambda: TinyWindow(TinyOptions(length=5))), ABOUT, clips=1)
    assert open_bundle(out) == other
    assert other.manifest.clip.length == 5


def test_what_is_no_bundle_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("a year's work")
    with pytest.raises(ConfigError, match="is no bundle: it is not overwritten"):
        make_bundle(tmp_path, seeded(TinyWindow), ABOUT, progress=lambda line: pytest.fail(line))


def test_training_mode_is_left(tmp_path: Path) -> None:
    net = seeded(TinyWindow).train()
    bundle = make_bundle(tmp_path / "bundle", net, ABOUT, clips=1)
    assert not net.training
    model = onnx.load(bundle.folder / "window.onnx", load_external_data=False)
    assert all(len(node.output) == 1 for node in model.graph.node if node.op_type == "BatchNormalization")
