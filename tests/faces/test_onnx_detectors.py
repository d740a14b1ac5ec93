"""YuNet and SCRFD files: recognised by their outputs, read as published, anything else refused by name.

The files are built here, with the published names and shapes, and answers planted in them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamguard.errors import AssetError
from streamguard.faces.detector import open_detector
from streamguard.faces.onnx_detectors import Scrfd, YuNet
from streamguard.values import Box, Detection
from tests.faces.people import picture_of

onnx = pytest.importorskip("onnx", reason="pip install 'streamguard[test]'")

Outputs = dict[str, np.ndarray]
RED, BLUE = (255, 0, 0), (0, 0, 255)


def write_model(path: Path, outputs: Outputs, *, channel: int, mean: float, scale: float) -> Path:
    """A network that gives these arrays, times how bright one channel of its input is: red or blue tells the order."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Gather", ["input", "channel"], ["plane"], axis=1),
        helper.make_node("ReduceMean", ["plane"], ["grey"], keepdims=0),
        helper.make_node("Mul", ["grey", "scale"], ["unscaled"]),
        helper.make_node("Add", ["unscaled", "mean"], ["byte"]),
        helper.make_node("Div", ["byte", "most"], ["light"]),
    ]
    constants = {"scale": scale, "mean": mean, "most": 255.0}
    initial = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()]
    initial.append(numpy_helper.from_array(np.array([channel], np.int64), "channel"))
    infos = []
    for name, array in outputs.items():
        initial.append(numpy_helper.from_array(array.astype(np.float32), f"planted_{name}"))
        nodes.append(helper.make_node("Mul", [f"planted_{name}", "light"], [name]))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape))
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])
    graph = helper.make_graph(nodes, "planted", [given], infos, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def yunet_outputs() -> Outputs:
    """One face at stride 16: cell (10, 5), centre at (168, 88), 64 wide and 96 high."""
    outputs: Outputs = {}
    for stride in (8, 16, 32):
        cells = (640 // stride) ** 2
        for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{name}_{stride}"] = np.zeros((1, cells, width))
    cell = 5 * 40 + 10
    outputs["cls_16"][0, cell] = 0.9
    outputs["obj_16"][0, cell] = 0.9
    outputs["bbox_16"][0, cell] = (0.5, 0.5, np.log(4.0), np.log(6.0))
    outputs["kps_16"][0, cell] = (-0.5, 0.0, 1.5, 0.25, 0.5, 1.0, -0.5, 2.0, 1.5, 2.0)
    return outputs


def scrfd_outputs(*, batched: bool) -> Outputs:
    """The same face, by distances from the corner of cell (10, 5) at stride 16, in the second anchor."""
    outputs: Outputs = {}
    for number, stride in enumerate((8, 16, 32)):
        rows = 2 * (640 // stride) ** 2
        for offset, width in ((0, 1), (3, 4), (6, 10)):
            outputs[str(440 + number + offset)] = np.zeros((rows, width))
    row = 2 * (5 * 40 + 10) + 1
    outputs["441"][row] = 0.9
    outputs["444"][row] = (1.5, 2.5, 2.5, 3.5)
    outputs["447"][row] = (-0.5, 0.0, 1.5, 0.25, 0.5, 1.0, -0.5, 2.0, 1.5, 2.0)
    return {name: array[None] if batched else array for name, array in outputs.items()}


def yunet(folder: Path) -> Path:
    return write_model(folder / "yunet.onnx", yunet_outputs(), channel=2, mean=0.0, scale=1.0)


def scrfd(folder: Path) -> Path:
    return write_model(folder / "scrfd.onnx", scrfd_outputs(batched=False), channel=0, mean=127.5, scale=128.0)


def batched_scrfd(folder: Path) -> Path:
    return write_model(folder / "batched.onnx", scrfd_outputs(batched=True), channel=0, mean=127.5, scale=128.0)


BOTH = pytest.mark.parametrize("build", [yunet, scrfd, batched_scrfd])


def is_the_planted_face(found: list[Detection], scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> bool:
    """Box (136, 40) to (200, 136), eyes at (152, 80) and (184, 84), in network pixels."""
    (face,) = found
    at = np.array([face.box_px[:2], face.box_px[2:], *face.eyes_px])
    planted = np.array([(136, 40), (200, 136), (152, 80), (184, 84)]) * scale + shift
    return bool(np.allclose(at, planted, atol=0.5))


@pytest.mark.parametrize(("build", "kind"), [(yunet, YuNet), (scrfd, Scrfd), (batched_scrfd, Scrfd)])
def test_a_file_is_recognised_by_its_outputs(build: Callable[[Path], Path], kind: type, tmp_path: Path) -> None:
    assert type(open_detector(build(tmp_path))) is kind


@BOTH
def test_a_planted_face_is_read_where_it_is(build: Callable[[Path], Path], tmp_path: Path) -> None:
    found = open_detector(str(build(tmp_path))).detect(picture_of(Image.new("RGB", (640, 640), RED)), None)
    assert is_the_planted_face(found)
    assert found[0].score == pytest.approx(0.9, abs=0.02)


@BOTH
def test_networks_get_their_colours_in_their_order(build: Callable[[Path], Path], tmp_path: Path) -> None:
    blue = picture_of(Image.new("RGB", (640, 640), BLUE))
    assert open_detector(build(tmp_path)).detect(blue, None) == []


@BOTH
def test_a_region_is_read_in_pixels_of_the_picture(build: Callable[[Path], Path], tmp_path: Path) -> None:
    picture = picture_of(Image.new("RGB", (1280, 720), RED))
    found = open_detector(build(tmp_path)).detect(picture, Box(300, 100, 620, 420))
    assert is_the_planted_face(found, scale=0.5, shift=(300, 100))


@BOTH
def test_a_region_without_pixels_has_no_faces_either(build: Callable[[Path], Path], tmp_path: Path) -> None:
    picture = picture_of(Image.new("RGB", (64, 64), RED))
    assert open_detector(build(tmp_path)).detect(picture, Box(100, 100, 200, 200)) == []


def test_another_network_is_refused_with_what_is_accepted(tmp_path: Path) -> None:
    path = write_model(tmp_path / "other.onnx", {"boxes": np.zeros((1, 7, 5))}, channel=0, mean=0.0, scale=1.0)
    with pytest.raises(AssetError, match=r"boxes\[1, 7, 5\].*YuNet.*SCRFD.*BlazeFace"):
        open_detector(path)


def test_scrfd_without_key_points_is_refused(tmp_path: Path) -> None:
    outputs = {name: array for name, array in scrfd_outputs(batched=False).items() if array.shape[-1] != 10}
    with pytest.raises(AssetError, match="key points"):
        open_detector(write_model(tmp_path / "bare.onnx", outputs, channel=0, mean=0.0, scale=1.0))


def test_a_file_that_is_no_network_is_an_asset_error(tmp_path: Path) -> None:
    path = tmp_path / "junk.onnx"
    path.write_bytes(b"this is not a network" * 100)
    with pytest.raises(AssetError, match=r"junk\.onnx"):
        open_detector(path)


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="no such file"):
        open_detector(tmp_path / "nowhere.onnx")
