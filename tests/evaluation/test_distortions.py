"""Each distortion does what its table says, in the same way each time, and leaves alone what it should."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.errors import ConfigError
from streamguard.evaluation import distortions
from streamguard.evaluation.conditions import ROBUSTNESS
from streamguard.evaluation.distortions import Change, Changed, Noise, distorted
from streamguard.events import EndOfStream, StreamUp
from streamguard.picture import Picture
from streamguard.testing import ScriptedSource
from streamguard.values import Frame


def picture(width: int = 90, height: int = 60, *, full_range: bool = False) -> Picture:
    rng = np.random.default_rng(5)
    half = ((height + 1) // 2, (width + 1) // 2)
    return Picture(
        y=rng.integers(30, 220, (height, width), np.uint8),
        u=rng.integers(30, 220, half, np.uint8),
        v=rng.integers(30, 220, half, np.uint8),
        matrix="bt709",
        full_range=full_range,
    )


def flat(value: int = 128, width: int = 200, height: int = 200) -> Picture:
    y = np.full((height, width), value, np.uint8)
    half = np.full((height // 2, width // 2), 128, np.uint8)
    return Picture(y=y, u=half, v=half.copy(), matrix="bt709", full_range=True)


def frames(count: int, given: Picture | None = None) -> ScriptedSource:
    pictures = [Frame(pts_s=i / 25, picture=given or picture(), arrival_s=0.0) for i in range(count)]
    return ScriptedSource([StreamUp(url="x", width=90, height=60, codec="h264"), *pictures, EndOfStream(frames=count)])


def shown(condition: str, *, seed: str = "key", count: int = 3, given: Picture | None = None) -> list[Picture]:
    return [item.picture for item in distorted(frames(count, given), condition, seed=seed) if isinstance(item, Frame)]


def same(one: Picture, other: Picture) -> bool:
    return all((getattr(one, plane) == getattr(other, plane)).all() for plane in "yuv")


@pytest.mark.parametrize("condition", ROBUSTNESS)
def test_every_distortion_changes_every_frame_and_repeats_itself(condition: str) -> None:
    found, again = shown(condition), shown(condition)
    assert len(found) == 3
    assert not any(same(one, picture()) for one in found)
    assert all(same(one, other) for one, other in zip(found, again, strict=True))
    assert {(one.matrix, one.full_range) for one in found} == {("bt709", False)}


def test_what_is_random_is_other_in_each_frame_and_footage() -> None:
    for condition in ("blocks/3", "noise/3"):
        first, second, _ = shown(condition)
        assert not same(first, second)
        assert not same(first, shown(condition, seed="other")[0])


def test_saturation_pulls_colour_towards_grey_and_leaves_brightness() -> None:
    given = picture()
    found = distortions.with_saturation(given, 0.4)
    assert (found.y == given.y).all()
    assert (found.u == np.rint(128 + 0.4 * (given.u - 128.0))).all()
    grey = distortions.with_saturation(given, 0.0)
    assert (grey.u == 128).all()
    assert (grey.v == 128).all()


def test_contrast_keeps_the_mean_brightness() -> None:
    given = picture()
    found = distortions.with_contrast(given, 0.35)
    assert float(found.y.mean()) == pytest.approx(float(given.y.mean()), abs=0.5)
    assert float(found.y.std()) == pytest.approx(0.35 * float(given.y.std()), rel=0.02)


@pytest.mark.parametrize(("side", "count"), [(128, 8), (256, 16), (512, 32), (100, 6)])
def test_blocks_are_as_many_as_the_picture_is_large(side: int, count: int) -> None:
    """Also where it is smaller than 256 px. They may overlap, and none leaves the picture."""
    given = flat(10, side, side)
    found = distortions.with_blocks(given, 16, np.random.default_rng(0))
    covered = int((found.y == 128).sum())
    assert 0.75 * count * 64 < covered <= count * 64
    assert (found.u == 128).all()


def test_noise_has_the_stated_variance() -> None:
    given = flat(120, 300, 300)
    found = Noise(0.01, np.random.default_rng(0))(given)
    assert float(found.y.std()) / 255 == pytest.approx(0.1, rel=0.03)
    assert float(found.u.std()) / 255 == pytest.approx(0.05, rel=0.05)


def test_noise_does_not_wrap_round() -> None:
    found = Noise(0.005, np.random.default_rng(0))(flat(250))
    assert float(found.y.mean()) < 250
    assert (found.y == 255).any()
    assert not (found.y < 130).any()


def test_blur_flattens_more_at_higher_levels_and_keeps_the_mean() -> None:
    spreads = [float(distortions.blurred(picture(), width / 6).y.std()) for width in (7, 13, 21)]
    assert spreads[0] > spreads[1] > spreads[2]
    assert float(distortions.blurred(picture(), 3.5).y.mean()) == pytest.approx(float(picture().y.mean()), abs=2)


def test_pixelation_averages_blocks() -> None:
    given = flat()
    y = given.y.copy()
    y[::2, ::2] = 255  # one pixel of four: sampling would take it or miss it
    y[1::2, :] = 0
    y[::2, 1::2] = 0
    found = distortions.pixelated(Picture(y=y, u=given.u, v=given.v, matrix="bt709", full_range=True), 2)
    assert float(found.y.mean()) == pytest.approx(255 / 4, abs=1)
    assert float(found.y.std()) < 2


def test_compression_is_worse_at_higher_levels() -> None:
    def error(condition: str) -> float:
        return float(np.abs(shown(condition)[2].y.astype(float) - picture().y).mean())

    assert 0 < error("compression/1") < error("compression/5")


@pytest.mark.parametrize("condition", ["noise", "noise/0", "noise/6", "jpeg/1", "noise/03", ""])
def test_what_is_no_distortion_is_refused(condition: str) -> None:
    with pytest.raises(ConfigError):
        distortions.parse_distortion(condition)


# What a verdict should not depend on.


def test_mirrored_twice_is_as_before() -> None:
    given = picture()
    assert same(distortions.mirrored(distortions.mirrored(given)), given)
    assert (distortions.mirrored(given).y[:, 0] == given.y[:, -1]).all()
    odd = distortions.mirrored(picture(91, 61))
    assert (odd.width, odd.height) == (90, 60)


def test_blurred_border_leaves_the_inside_alone() -> None:
    given = picture(200, 200)
    found = distortions.with_blurred_border(given)
    wide = 16
    inside = (slice(wide, -wide), slice(wide, -wide))
    assert (found.y[inside] == given.y[inside]).all()
    assert (found.u[8:-8, 8:-8] == given.u[8:-8, 8:-8]).all()
    assert float(found.y[:4].std()) < 0.3 * float(given.y[:4].std())


def test_padded_border_is_black_and_the_picture_stands_inside() -> None:
    given = picture(200, 120)
    found = distortions.with_padded_border(given)
    assert (found.width, found.height) == (220, 140)
    assert (found.y[10:-10, 10:-10] == given.y).all()
    assert (found.u[5:-5, 5:-5] == given.u).all()
    assert (found.y[:10] == 16).all()
    assert (found.u[:5] == 128).all()


def test_changed_source_passes_on_all_that_is_no_frame() -> None:
    change: Change = distortions.mirrored
    items = list(Changed(frames(2), change))
    assert [type(item).__name__ for item in items] == ["StreamUp", "Frame", "Frame", "EndOfStream"]
    assert [item.pts_s for item in items if isinstance(item, Frame)] == [0.0, 0.04]
