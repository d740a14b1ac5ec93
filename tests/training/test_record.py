"""What a training leaves to be read: lines that survive a crash, and a picture in which the curves are."""

from __future__ import annotations

import builtins
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from streamguard.training.monitor import area_under_curve
from streamguard.training.record import AUC, SMOOTH, Record, _ticks, picture_of


@pytest.fixture
def without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def imported(name: str, *more: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", imported)


def lines(count: int = 40) -> list[dict[str, Any]]:
    return [
        {"step": 10 * i, "stage": int(i > 20), "loss": 2 / (i + 1), **({"auc": 0.5 + i / 100} if i % 5 == 0 else {})}
        for i in range(count)
    ]


def colours(image: Image.Image, box: tuple[int, int, int, int]) -> set[Any]:
    return {colour for _, colour in image.crop(box).getcolors(1 << 20) or []}


def test_picture_shows_loss_above_and_auc_below() -> None:
    image = picture_of(lines())
    upper, lower = (80, 45, 930, 270), (80, 370, 930, 590)
    assert ImageColor.getrgb(SMOOTH) in colours(image, upper)
    assert ImageColor.getrgb(AUC) in colours(image, lower)
    assert ImageColor.getrgb(AUC) not in colours(image, upper)


@pytest.mark.parametrize("few", [[], lines(1), [{"step": 1, "stage": 0, "loss": float("inf")}]])
def test_picture_of_nearly_nothing_can_be_drawn(few: list[dict[str, Any]]) -> None:
    assert picture_of(few).size[0] > 500


def test_missing_tensorboard_is_said_once_and_log_goes_on(
    tmp_path: Path, without_tensorboard: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "streamguard"):
        record = Record(tmp_path)
        for line in lines(3):
            record.put(line)
        record.close()
    assert [each.message for each in caplog.records] == [
        "tensorboard is not installed, so there are no files for it: pip install 'streamguard[train]'"
    ]
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3
    assert not (tmp_path / "tensorboard").exists()


def test_tensorboard_gets_events_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'streamguard[train]'")
    record = Record(tmp_path)
    record.put(lines(1)[0])
    record.close()
    assert list((tmp_path / "tensorboard").glob("events.*"))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 12), (0.4, 1), (0, 20000), (0, 0.003)])
def test_ticks_are_a_few_round_numbers_inside(low: float, high: float) -> None:
    ticks = _ticks(low, high)
    assert 3 <= len(ticks) <= 9
    assert all(low <= tick <= high * 1.0001 for tick in ticks)


def test_area_under_curve_counts_pairs_of_a_real_and_a_fake() -> None:
    assert area_under_curve(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert area_under_curve(np.array([2.0]), np.array([1.0])) == 0.0
    assert area_under_curve(np.array([1.0, 3.0]), np.array([1.0, 2.0])) == (0.5 + 0 + 1 + 0) / 4
