"""All backends: the same scores as PyTorch, and nothing that passes from one slot or row to another."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamguard.bundle import UNTRAINED, Bundle, Graph, GraphSpec, OutputSpec, Precision, StateSpec, open_bundle
from streamguard.engine import backend_onnxruntime, backend_openvino
from streamguard.engine.backend import Backend
from streamguard.engine.backend_onnxruntime import OnnxRuntimeBackend
from streamguard.engine.backend_openvino import OpenVinoBackend, fast_precisions
from streamguard.engine.backend_torch import TorchBackend
from streamguard.engine.parity import graph_scores, sample_clips, step_scores, window_scores
from streamguard.errors import ClosedError, EngineError, MissingPackageError
from streamguard.nets.toy import LENGTH, MEMORY, SIZE_PX, ToyClipNet

BUNDLE = open_bundle(UNTRAINED)
MANIFEST = BUNDLE.manifest
CLIP = MEMORY + LENGTH
FRAME = (SIZE_PX, SIZE_PX, 3)

Open = Callable[[Graph], Backend]


def _openvino(precision: Precision) -> Open:
    return lambda graph: OpenVinoBackend(BUNDLE, graph, precision)


OPENERS: dict[str, Open] = {
    "openvino-fp32": _openvino("fp32"),
    "openvino-bf16": _openvino("bf16"),
    "onnxruntime-fp32": lambda graph: OnnxRuntimeBackend(BUNDLE, graph, "fp32"),
    "torch-fp32": lambda graph: TorchBackend(ToyClipNet(), MANIFEST, graph),
}


@pytest.fixture(scope="module", params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Open:
    if request.param == "openvino-bf16" and "bf16" not in fast_precisions()[1]:
        pytest.skip("this processor has no bf16")
    return OPENERS[request.param]


@pytest.fixture(scope="module")
def window(opener: Open) -> Iterator[Backend]:
    backend = opener("window")
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def stepper(opener: Open) -> Iterator[Backend]:
    backend = opener("step")
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return sample_clips(MANIFEST.clip, 5)


@pytest.fixture(scope="module")
def expected(clips: np.ndarray) -> np.ndarray:
    """PyTorch's raw scores."""
    return window_scores(TorchBackend(ToyClipNet(), MANIFEST, "window"), MANIFEST, clips)


def step_one(backend: Backend, slot: int, crop: np.ndarray, age: int) -> float:
    return step_many(backend, [slot], [crop], [age])[0]


def step_many(backend: Backend, slots: list[int], crops: list[np.ndarray], ages: list[int]) -> list[float]:
    outputs = backend.step(slots, {"crops": np.stack(crops), "age": np.array(ages, np.int64)})
    return [float(row) for row in outputs["logits"][:, 0]]


def steps_alone(backend: Backend, clip: np.ndarray) -> list[float]:
    """Every logit of one clip, in a slot of its own."""
    slot = backend.open_slot()
    logits = [step_one(backend, slot, crop, age) for age, crop in enumerate(clip)]
    backend.close_slot(slot)
    return logits


# The same scores.


@pytest.mark.parametrize("graph", ["window", "step"])
def test_scores_agree_with_pytorch(
    graph: Graph, window: Backend, stepper: Backend, clips: np.ndarray, expected: np.ndarray
) -> None:
    backend = window if graph == "window" else stepper
    difference = float(np.abs(graph_scores(backend, MANIFEST, clips) - expected).max())
    print(f"{backend.name} {graph} {backend.precision}: {difference:.2g}")  # noqa: T201
    assert difference <= MANIFEST.graphs[graph][backend.precision].tolerance
    assert (backend.precision == "fp32") == (difference < 1e-4), "it does not run in the precision that it says"


def test_steps_from_a_cleared_slot_equal_the_window(window: Backend, stepper: Backend, clips: np.ndarray) -> None:
    apart = np.abs(step_scores(stepper, MANIFEST, clips) - window_scores(window, MANIFEST, clips)).max()
    stated = {each.precision: each.step_to_window for each in MANIFEST.parity}[window.precision]
    assert apart <= stated + 1e-5


def test_an_old_slot_equals_the_window_of_the_last_crops(window: Backend, stepper: Backend, clips: np.ndarray) -> None:
    crops = np.concatenate(clips)[:60]  # others before it, with hard cuts in between
    last = steps_alone(stepper, crops)[-1]
    (logit,) = window.run({"crops": crops[None, -CLIP:]})["logits"][:, 0]
    assert last == pytest.approx(float(logit), abs=1e-5 if window.precision == "fp32" else 0.05)


# Nothing passes between rows and slots.


def test_a_window_does_not_depend_on_its_batch(window: Backend, clips: np.ndarray) -> None:
    together = window.run({"crops": clips})["logits"]
    alone = [window.run({"crops": clip[None]})["logits"][0] for clip in clips]
    assert together.tobytes() == np.stack(alone).tobytes()


def test_slots_do_not_see_each_other_in_any_grouping(stepper: Backend, clips: np.ndarray) -> None:
    a_alone, b_alone = steps_alone(stepper, clips[0]), steps_alone(stepper, clips[1])
    for grouping in ("a b", "ab", "ba", "mixed"):
        a, b = stepper.open_slot(), stepper.open_slot()
        found: dict[int, list[float]] = {a: [], b: []}
        crops = {a: clips[0], b: clips[1]}
        for age in range(CLIP):
            groups = {"a b": [[a], [b]], "ab": [[a, b]], "ba": [[b, a]]}
            for group in groups.get(grouping, [[a, b]] if age % 3 else [[b], [a]]):
                for slot, logit in zip(
                    group,
                    step_many(stepper, group, [crops[slot][age] for slot in group], [age] * len(group)),
                    strict=True,
                ):
                    found[slot].append(logit)
        assert (found[a], found[b]) == (a_alone, b_alone), grouping
        stepper.close_slot(a)
        stepper.close_slot(b)


def test_slots_of_different_ages_share_a_batch(stepper: Backend, clips: np.ndarray) -> None:
    old_alone, young_alone = steps_alone(stepper, clips[0]), steps_alone(stepper, clips[1])
    old, young = stepper.open_slot(), stepper.open_slot()
    for age in range(5):
        step_one(stepper, old, clips[0, age], age)
    both = step_many(stepper, [old, young], [clips[0, 5], clips[1, 0]], [5, 0])
    assert both == [old_alone[5], young_alone[0]]
    stepper.close_slot(old)
    stepper.close_slot(young)


@pytest.mark.parametrize("poison", [np.nan, 7.0])
def test_poison_in_a_closed_slot_reaches_nobody(poison: float, opener: Open, clips: np.ndarray) -> None:
    fresh, poisoned = opener("step"), opener("step")
    slots = [poisoned.open_slot() for _ in range(3)]
    for slot in slots:
        step_one(poisoned, slot, clips[1, 0], 0)
        poisoned.fill(slot, poison)
        poisoned.close_slot(slot)
    assert {poisoned.open_slot() for _ in range(3)} == set(slots), "other slots were given out: nothing was tried"
    for slot in slots:
        found = [step_one(poisoned, slot, crop, age) for age, crop in enumerate(clips[0])]
        assert found == steps_alone(fresh, clips[0])
    fresh.close()
    poisoned.close()


@pytest.mark.parametrize("poison", [np.nan, 7.0])
def test_poison_is_poison_until_it_is_cleared(poison: float, stepper: Backend, clips: np.ndarray) -> None:
    clean = steps_alone(stepper, clips[0])
    slot = stepper.open_slot()
    for age in (0, 1, 9):
        stepper.fill(slot, poison)
        logit = step_one(stepper, slot, clips[0, 0], age)
        assert np.isnan(logit) if np.isnan(poison) else abs(logit - clean[0]) > 0.1
    # Both sets of memory that a state may have were written to by now.
    stepper.clear(slot)
    assert [step_one(stepper, slot, crop, age) for age, crop in enumerate(clips[0])] == clean
    stepper.close_slot(slot)


def test_nan_comes_out_as_it_is_and_stays_in_its_row(stepper: Backend, clips: np.ndarray) -> None:
    ill, well = stepper.open_slot(), stepper.open_slot()
    stepper.fill(ill, np.nan)
    found = step_many(stepper, [ill, well], [clips[0, 0], clips[0, 0]], [0, 0])
    assert np.isnan(found).tolist() == [True, False]
    stepper.close_slot(ill)
    stepper.close_slot(well)


def test_threads_step_different_slots_as_if_they_were_alone(stepper: Backend, clips: np.ndarray) -> None:
    serial = [steps_long(stepper, clips[0]), steps_long(stepper, clips[1])]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda i: steps_long(stepper, clips[i]), range(2))) == serial


def steps_long(backend: Backend, clip: np.ndarray, steps: int = 200) -> list[float]:
    slot = backend.open_slot()
    logits = [step_one(backend, slot, clip[age % CLIP], age) for age in range(steps)]
    backend.close_slot(slot)
    return logits


def test_threads_run_windows_as_if_they_were_alone(window: Backend, clips: np.ndarray) -> None:
    serial = window.run({"crops": clips})["logits"]
    with ThreadPoolExecutor(3) as threads:
        for found in threads.map(lambda _: window.run({"crops": clips})["logits"], range(6)):
            assert found.tobytes() == serial.tobytes()


# Slots are used again, and answers are the caller's own.


def test_closed_slots_are_used_again(opener: Open) -> None:
    backend = opener("step")
    kept = backend.open_slot()
    for _ in range(200):
        backend.close_slot(backend.open_slot())
    assert backend.open_slot() <= 1
    if not isinstance(backend, TorchBackend):
        assert backend.slots_made == 2  # type: ignore[attr-defined]  # of ours, not of the protocol
    backend.close_slot(kept)
    backend.close()


def test_answers_are_copies(window: Backend, stepper: Backend, clips: np.ndarray) -> None:
    first = window.run({"crops": clips[:1]})["logits"]
    kept = first.copy()
    window.run({"crops": clips[1:2]})
    assert first.tobytes() == kept.tobytes()
    slot = stepper.open_slot()
    first = stepper.step([slot], {"crops": clips[:1, 0], "age": np.zeros(1, np.int64)})["logits"]
    kept = first.copy()
    step_one(stepper, slot, clips[1, 1], 1)
    assert first.tobytes() == kept.tobytes()
    stepper.close_slot(slot)


def test_nothing_to_do_is_done(window: Backend, stepper: Backend) -> None:
    assert window.run({"crops": np.empty((0, CLIP, *FRAME), np.uint8)})["logits"].shape == (0, 1)
    nothing: dict[str, np.ndarray] = {"crops": np.empty((0, *FRAME), np.uint8), "age": np.empty(0, np.int64)}
    assert stepper.step([], nothing)["logits"].shape == (0, 1)


def test_crops_need_not_be_contiguous(window: Backend, clips: np.ndarray) -> None:
    mirrored = clips[:1, :, :, ::-1]
    assert window.run({"crops": mirrored})["logits"] == window.run({"crops": mirrored.copy()})["logits"]


def test_it_says_what_it_is(window: Backend, stepper: Backend) -> None:
    assert (window.graph, stepper.graph) == ("window", "step")
    assert window.at_once >= 1
    assert window.device
    numbers = sum(int(np.prod(state.shape)) for state in MANIFEST.states)
    assert stepper.bytes_per_slot >= 4 * numbers


# What is wrong is refused, by name.


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({}, "'crops' is missing"),
        (
            {"crops": np.zeros((1, CLIP - 1, *FRAME), np.uint8)},
            r"'crops' is \(1, 15,.* must be \(N, 16, 112, 112, 3\) uint8",
        ),
        ({"crops": np.zeros((1, CLIP, *FRAME), np.float32)}, "'crops' is .* float32"),
        ({"crops": np.zeros((CLIP, *FRAME), np.uint8)}, "'crops' is"),
        ({"crops": np.uint8(0)}, "'crops' is"),
        ({"crops": np.zeros((1, CLIP, *FRAME), np.uint8), "age": np.zeros(1, np.int64)}, "'age' is no input"),
    ],
)
def test_wrong_windows_are_refused(arrays: dict[str, np.ndarray], named: str, window: Backend) -> None:
    with pytest.raises(EngineError, match=named):
        window.run(arrays)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"age": None}, "'age' is missing"),
        ({"crops": np.zeros((2, *FRAME), np.uint8)}, "'crops' is .* with N = 1"),
        ({"age": np.zeros(1, np.int32)}, "'age' is .* int32"),
        ({"age": np.zeros((1, 1), np.int64)}, r"'age' is \(1, 1\)"),
        ({"age": np.array([-1])}, "'age' is less than 0"),
        ({"frames": np.zeros((1, 2, 32, 14, 14), np.float32)}, "'frames' is no input"),
    ],
)
def test_wrong_steps_are_refused_and_change_nothing(
    change: dict[str, np.ndarray | None], named: str, stepper: Backend, clips: np.ndarray
) -> None:
    slot = stepper.open_slot()
    right: dict[str, np.ndarray | None] = {"crops": clips[:1, 0], "age": np.zeros(1, np.int64)}
    arrays = {**right, **change}
    with pytest.raises(EngineError, match=named):
        stepper.step([slot], {name: array for name, array in arrays.items() if array is not None})
    assert step_one(stepper, slot, clips[0, 0], 0) == steps_alone(stepper, clips[0, :1])[0]
    stepper.close_slot(slot)


def test_slots_that_are_not_open_are_refused(stepper: Backend, clips: np.ndarray) -> None:
    slot = stepper.open_slot()
    with pytest.raises(EngineError, match="not all different"):
        step_many(stepper, [slot, slot], [clips[0, 0]] * 2, [0, 0])
    stepper.close_slot(slot)
    for use in (
        lambda: step_one(stepper, slot, clips[0, 0], 0),
        lambda: stepper.clear(slot),
        lambda: stepper.fill(slot, 1.0),
        lambda: stepper.close_slot(slot),
    ):
        with pytest.raises(EngineError, match=f"slot {slot} is not open"):
            use()


def test_each_graph_has_its_own_calls(window: Backend, stepper: Backend, clips: np.ndarray) -> None:
    with pytest.raises(EngineError, match="no run"):
        stepper.run({"crops": clips})
    with pytest.raises(EngineError, match="no slots"):
        window.open_slot()
    with pytest.raises(EngineError, match="no slots"):
        window.close_slot(0)


def test_closed_twice_and_then_refusing(opener: Open, clips: np.ndarray) -> None:
    window, stepper = opener("window"), opener("step")
    slot = stepper.open_slot()
    for backend in (window, stepper):
        backend.close()
        backend.close()
    stepper.close_slot(slot)  # whose face goes after the engine did
    with pytest.raises(ClosedError):
        window.run({"crops": clips})
    with pytest.raises(ClosedError):
        stepper.open_slot()
    with pytest.raises(ClosedError):
        step_one(stepper, slot, clips[0, 0], 0)


# Files that are not what the manifest says, and failures inside.

Maker = Callable[[Bundle, Graph, Precision], Backend]
FILE_BACKENDS: list[Maker] = [OpenVinoBackend, OnnxRuntimeBackend]


def with_manifest(**changes: Any) -> Bundle:
    return dataclasses.replace(BUNDLE, manifest=dataclasses.replace(MANIFEST, **changes))


@pytest.mark.parametrize("make", FILE_BACKENDS)
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"states": MANIFEST.states[1:]}, "(in|out)put '(next_)?frames' is not in the bundle's manifest"),
        (
            {"states": (*MANIFEST.states, StateSpec(input="more", output="next_more", shape=(3,)))},
            "input 'more' is missing",
        ),
        (
            {"states": (dataclasses.replace(MANIFEST.states[0], shape=(2, 31, 14, 14)), *MANIFEST.states[1:])},
            r"input 'frames' is \(N, 2, 32, 14, 14\) float32, and must be \(N, 2, 31, 14, 14\) float32",
        ),
        ({"clip": dataclasses.replace(MANIFEST.clip, size_px=96)}, "input 'crops' is"),
        ({"output": OutputSpec(tensor="score", kind="logit")}, "output 'score' is missing; there is logits"),
        ({"output": OutputSpec(tensor="logits", kind="logit", width=2)}, "output 'logits' is"),
    ],
)
def test_a_graph_that_is_not_as_its_manifest_says_is_refused(make: Maker, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(EngineError, match=rf"step\.onnx: {named}"):
        make(with_manifest(**changes), "step", "fp32")


@pytest.mark.parametrize("make", FILE_BACKENDS)
def test_a_file_that_is_no_network_is_refused(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "window.onnx").write_bytes(b"not a network")
    with pytest.raises(EngineError, match=r"window\.onnx cannot be run"):
        make(dataclasses.replace(BUNDLE, folder=tmp_path), "window", "fp32")


@pytest.mark.parametrize("make", FILE_BACKENDS)
def test_weights_that_are_missing_are_an_engine_error(make: Maker, tmp_path: Path) -> None:
    shutil.copy(BUNDLE.folder / "window.onnx", tmp_path)
    with pytest.raises(EngineError, match=r"window\.onnx cannot be run \(.*weights\.bin"):
        make(dataclasses.replace(BUNDLE, folder=tmp_path), "window", "fp32")


class Request:
    """An infer request that may fail when it is started or waited for."""

    def __init__(self, fails: str | None = None) -> None:
        self.fails = fails
        self.calls: list[str] = []

    def start_async(self, feed: object) -> None:
        self.calls.append("start")
        if self.fails == "start":
            raise RuntimeError("\n  cannot start\nbecause")

    def wait(self) -> None:
        self.calls.append("wait")
        if self.fails == "wait":
            raise RuntimeError("broke\nbecause")

    def get_tensor(self, name: str) -> Any:
        return type("Tensor", (), {"data": np.zeros((1, 1), np.float32)})


@pytest.mark.parametrize(("fails", "text"), [("start", "cannot start"), ("wait", "broke")])
def test_a_failure_in_openvino_is_an_engine_error_and_nothing_is_left_running(
    fails: str, text: str, monkeypatch: pytest.MonkeyPatch, clips: np.ndarray
) -> None:
    monkeypatch.setattr(backend_openvino, "calls_at_once", lambda: 3)
    backend = OpenVinoBackend(BUNDLE, "window", "fp32")
    requests = [Request(), Request(fails), Request()]
    backend._idle.extend(reversed(requests))
    with pytest.raises(EngineError, match=rf"openvino: the window graph failed \({text}; because\)") as caught:
        backend.run({"crops": clips[:3]})
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert requests[0].calls == ["start", "wait"]
    assert requests[2].calls in ([], ["start", "wait"])
    assert len(backend._idle) == 3
    backend.close()


def test_a_failure_in_onnxruntime_is_an_engine_error(monkeypatch: pytest.MonkeyPatch, clips: np.ndarray) -> None:
    backend = OnnxRuntimeBackend(BUNDLE, "window", "fp32")

    class Broken:
        def run(self, *_: object) -> None:
            raise ValueError("broke\nbecause")

    backend._session = Broken()
    with pytest.raises(EngineError, match=r"onnxruntime: the window graph failed \(broke\)"):
        backend.run({"crops": clips[:2]})
    backend.close()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_onnxruntime_refuses_what_it_cannot_run(precision: Precision) -> None:
    with pytest.raises(EngineError, match=f"cannot run {precision} on a CPU; there is fp32, int8"):
        OnnxRuntimeBackend(BUNDLE, "window", precision)


def test_onnxruntime_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'streamguard\[onnxruntime\]'"):
        OnnxRuntimeBackend(BUNDLE, "window", "fp32")


def test_openvino_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match="pip install openvino"):
        OpenVinoBackend(BUNDLE, "window", "fp32")


def test_int8_runs_where_the_bundle_has_it() -> None:
    """The file is the fp32 one under another name: that it is taken is all that is tried."""
    specs: dict[Graph, dict[Precision, GraphSpec]] = {"window": {"int8": GraphSpec(file="window.onnx", tolerance=0.1)}}
    bundle = with_manifest(graphs=specs)
    clips = sample_clips(MANIFEST.clip, 1)
    for make in FILE_BACKENDS:
        backend = make(bundle, "window", "int8")
        assert backend.precision == "int8"
        assert np.isfinite(window_scores(backend, MANIFEST, clips)).all()
        backend.close()


@pytest.mark.parametrize(
    ("capabilities", "fast_int8", "expected"),
    [
        ({"FP32", "INT8"}, False, {"fp32"}),
        ({"FP32", "INT8"}, True, {"fp32", "int8"}),
        ({"FP32", "INT8", "BF16"}, True, {"fp32", "int8", "bf16"}),
        ({"FP32", "FP16", "BF16"}, True, {"fp32", "fp16", "bf16"}),
    ],
)
def test_precisions_are_those_that_openvino_tells(
    capabilities: set[str], fast_int8: bool, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_openvino, "has_fast_int8", lambda: fast_int8)
    assert backend_openvino.precisions_of(capabilities) == expected


def test_onnxruntime_threads_are_ours_and_do_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime as ort

    seen: list[Any] = []
    real = ort.InferenceSession

    def remember(path: str, options: Any, **more: Any) -> Any:
        seen.append(options)
        return real(path, options, **more)

    monkeypatch.setattr(ort, "InferenceSession", remember)
    backend_onnxruntime.OnnxRuntimeBackend(BUNDLE, "window", "fp32").close()
    (options,) = seen
    assert options.intra_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
