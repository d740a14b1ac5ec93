"""Each measure falls when the picture gets worse in its way, and the reasons follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from streamguard.faces.mesh import face_box
from streamguard.faces.quality import (
    QualityLimits,
    covered,
    measure_quality,
    quality_reasons,
    worst_quality,
)
from streamguard.values import Mesh, Quality, Reason
from tests.faces.people import FACE, mesh_of, mesher, picture_of, portrait, scene

LIMITS = QualityLimits()
GOOD = Quality(
    size_px=100, sharpness=0.9, luma=0.5, clipped=0, yaw_deg=0, pitch_deg=0, roll_deg=0, presence=1, padded=0
)


def quality_of(image: Image.Image) -> Quality:
    """Measured where the portrait's face is, as a tracker that knows it would: also where no detector would find it."""
    before = mesh_of(portrait())
    mesh = mesher().follow(picture_of(image), before, (0.0, 0.0))
    return measure_quality(mesh, picture_of(image))


def painted(*boxes: tuple[float, float, float, float], fill: tuple[int, int, int]) -> Image.Image:
    image = portrait().copy()
    for box in boxes:
        ImageDraw.Draw(image).rectangle(box, fill=fill)
    return image


LOWER_HALF = (FACE.x0 - 4, FACE.centre[1] + 4, FACE.x1 + 4, FACE.y1 + 12)
EYES = (FACE.x0 + 8, FACE.y0 + 22, FACE.x1 - 8, FACE.y0 + 46)
LEFT_HALF = (FACE.x0 - 10, FACE.y0, FACE.centre[0], FACE.y1 + 10)


def test_the_portrait_is_good_in_every_way() -> None:
    quality = quality_of(portrait())
    assert quality_reasons(quality, LIMITS) == ()
    assert quality.size_px == pytest.approx(FACE.scale, rel=0.06)
    assert quality.sharpness > 0.6
    assert quality.presence > 0.95


def test_more_blur_is_less_sharpness_until_it_is_a_reason() -> None:
    blurred = [portrait().filter(ImageFilter.GaussianBlur(sigma)) for sigma in (0, 1, 2, 3, 5)]
    sharpness = [quality_of(image).sharpness for image in blurred]
    assert sharpness == sorted(sharpness, reverse=True)
    assert len(set(sharpness)) == len(sharpness)
    assert Reason.BLURRED not in quality_reasons(quality_of(blurred[1]), LIMITS)
    assert Reason.BLURRED in quality_reasons(quality_of(blurred[4]), LIMITS)


@pytest.mark.parametrize("face_px", [30, 40, 56, 64, 100, 160])
def test_a_small_sharp_face_is_not_called_blurred(face_px: int) -> None:
    image, face = scene(320, 240, face_px, (160, 120))
    mesh = mesh_of(image)
    quality = measure_quality(mesh, picture_of(image))
    assert quality.size_px == pytest.approx(face.scale, rel=0.12)
    reasons = quality_reasons(quality, LIMITS)
    assert Reason.BLURRED not in reasons
    assert (Reason.TOO_SMALL in reasons) == (face_px < 48)


def test_sharpness_hardly_depends_on_size() -> None:
    # Softened by one pixel of the measure's grid, which is the face's own pixel up to 64 px.
    soft = []
    for face_px, blur_px in ((36, 1.0), (64, 1.0), (128, 2.0)):
        image, _ = scene(320, 240, face_px, (160, 120))
        image = image.filter(ImageFilter.GaussianBlur(blur_px))
        soft.append(measure_quality(mesh_of(image), picture_of(image)).sharpness)
    assert max(soft) < 1.0
    assert max(soft) - min(soft) < 0.3


def test_a_small_face_enlarged_is_called_blurred() -> None:
    tiny, _ = scene(64, 48, 12, (32, 22))
    image = tiny.resize((1024, 768), Image.Resampling.BICUBIC)
    assert Reason.BLURRED in quality_reasons(measure_quality(mesh_of(image), picture_of(image)), LIMITS)


def test_darkness_is_measured_and_told() -> None:
    images = [portrait().point(lambda value, g=gain: int(value * g)) for gain in (1.0, 0.6, 0.3, 0.1)]
    lumas = [quality_of(image).luma for image in images]
    assert lumas == sorted(lumas, reverse=True)
    assert Reason.DARK not in quality_reasons(quality_of(images[0]), LIMITS)
    assert Reason.DARK in quality_reasons(quality_of(images[3]), LIMITS)


def test_too_much_light_is_told() -> None:
    reasons = quality_reasons(quality_of(portrait().point(lambda value: min(255, value * 5))), LIMITS)
    assert Reason.OVEREXPOSED in reasons
    assert Reason.DARK not in reasons


@pytest.mark.parametrize(
    ("place", "colour"),
    [
        (LOWER_HALF, (120, 160, 205)),
        (LOWER_HALF, (240, 240, 240)),
        (LOWER_HALF, (25, 25, 28)),
        (LOWER_HALF, (128, 128, 128)),
        (LOWER_HALF, (200, 150, 130)),
        (EYES, (15, 15, 18)),
        (LEFT_HALF, (60, 60, 65)),
    ],
    ids=["blue mask", "white mask", "black mask", "grey card", "skin-coloured card", "dark glasses", "half"],
)
def test_what_covers_part_of_a_face_is_told(
    place: tuple[float, float, float, float], colour: tuple[int, int, int]
) -> None:
    quality = quality_of(painted(place, fill=colour))
    assert quality.presence < 0.5
    assert Reason.OCCLUDED in quality_reasons(quality, LIMITS)


def striped(
    place: tuple[float, float, float, float], one: tuple[int, int, int], two: tuple[int, int, int]
) -> Image.Image:
    """A cover with folds: as uneven in brightness as a mouth is."""
    image = painted(place, fill=one)
    for y in range(round(place[1]), round(place[3]), 6):
        ImageDraw.Draw(image).rectangle((place[0], y, place[2], y + 2), fill=two)
    return image


def test_a_cover_with_folds_is_told_by_its_colour() -> None:
    cloth = striped(LOWER_HALF, (120, 170, 215), (90, 130, 170))
    assert covered(mesh_of(portrait()), picture_of(cloth)) > 0.9


def test_a_cover_of_the_skins_colour_with_folds_is_told_by_its_darkness() -> None:
    cloth = striped(LOWER_HALF, (30, 22, 18), (75, 57, 48))
    assert covered(mesh_of(portrait()), picture_of(cloth)) > 0.5


def test_a_cover_lit_from_one_side_is_still_flat() -> None:
    rgb = np.array(portrait())
    left, top, right, bottom = (round(side) for side in LOWER_HALF)
    slope = np.linspace(0.7, 1.3, right - left)[None, :, None]
    rgb[top:bottom, left:right] = np.array((190, 145, 125)) * slope
    assert covered(mesh_of(portrait()), picture_of(Image.fromarray(rgb))) > 0.9


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_covered_eye_is_told(side: str) -> None:
    middle = FACE.centre[0]
    place = (EYES[0], EYES[1], middle - 2, EYES[3]) if side == "left" else (middle + 2, EYES[1], EYES[2], EYES[3])
    assert covered(mesh_of(portrait()), picture_of(painted(place, fill=(190, 145, 125)))) > 0.9


def test_noise_does_not_hide_a_cover() -> None:
    rgb = np.asarray(painted(LOWER_HALF, fill=(128, 128, 128)), np.int16)
    noisy = (rgb + np.random.default_rng(1).normal(0, 3, rgb.shape)).clip(0, 255).astype(np.uint8)
    assert quality_of(Image.fromarray(noisy)).presence < 0.5


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.3])
@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, 0.85, 0.7), (0.8, 0.95, 1.15)])
def test_light_and_its_colour_cover_nobody(gain: float, tint: tuple[float, float, float]) -> None:
    rgb = np.asarray(portrait(), np.float64) * gain * tint
    image = Image.fromarray(rgb.clip(0, 255).astype(np.uint8))
    assert covered(mesh_of(portrait()), picture_of(image)) < 0.4


def test_light_from_one_side_covers_nobody() -> None:
    slope = np.linspace(0.3, 1.3, 96)
    columns = np.concatenate([np.full(177, 0.3), slope, np.full(512 - 273, 1.3)])
    rgb = np.asarray(portrait(), np.float64) * columns[None, :, None]
    image = Image.fromarray(rgb.clip(0, 255).astype(np.uint8))
    assert covered(mesh_of(portrait()), picture_of(image)) < 0.4


def test_a_face_in_the_middle_is_not_padded() -> None:
    assert measure_quality(mesh_of(portrait()), picture_of(portrait())).padded == 0.0


def test_padding_is_the_share_of_the_surroundings_outside() -> None:
    mesh = mesh_of(portrait())
    box = face_box(mesh)
    # The picture ends a little left of the face's centre: of the square round it, 45 % is inside.
    cut = portrait().crop((0, 0, round(box.centre[0] - 0.1 * box.scale), 512))
    quality = measure_quality(mesh, picture_of(cut))
    assert quality.padded == pytest.approx(0.55, abs=0.01)
    assert Reason.PADDED in quality_reasons(quality, LIMITS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size_px": 47.9}, Reason.TOO_SMALL),
        ({"sharpness": 0.2}, Reason.BLURRED),
        ({"luma": 0.1}, Reason.DARK),
        ({"luma": 0.95}, Reason.OVEREXPOSED),
        ({"luma": 0.3, "clipped": 0.5}, Reason.DARK),
        ({"luma": 0.7, "clipped": 0.5}, Reason.OVEREXPOSED),
        ({"yaw_deg": 45.0}, Reason.TURNED_AWAY),
        ({"yaw_deg": -45.0}, Reason.TURNED_AWAY),
        ({"pitch_deg": -40.0}, Reason.TURNED_AWAY),
        ({"presence": 0.4}, Reason.OCCLUDED),
        ({"padded": 0.6}, Reason.PADDED),
    ],
)
def test_each_limit_has_its_reason(change: dict[str, float], reason: Reason) -> None:
    assert quality_reasons(GOOD, LIMITS) == ()
    assert quality_reasons(replace(GOOD, **change), LIMITS) == (reason,)


def test_a_head_on_its_side_can_still_be_judged() -> None:
    assert quality_reasons(replace(GOOD, roll_deg=80.0), LIMITS) == ()


def test_the_worst_of_a_clip_is_taken_field_by_field() -> None:
    bad = Quality(
        size_px=50,
        sharpness=0.3,
        luma=0.9,
        clipped=0.2,
        yaw_deg=-20,
        pitch_deg=9,
        roll_deg=-4,
        presence=0.6,
        padded=0.1,
    )
    assert worst_quality([GOOD, bad, replace(GOOD, yaw_deg=15.0, luma=0.3)]) == bad


def test_a_face_without_any_detail_has_no_sharpness() -> None:
    mesh = mesh_of(portrait())
    flat = Mesh(points_px=mesh.points_px, presence=1.0, chip=np.full_like(mesh.chip, 128))
    quality = measure_quality(flat, picture_of(portrait()))
    assert quality.sharpness == 0.0
    assert quality.luma == pytest.approx(128 / 255, abs=0.01)
