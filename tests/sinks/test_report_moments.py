"""A report shows the strongest moments of each face in heat maps: few, of the right score, and never as a proof."""

from __future__ import annotations

import base64
import io
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamguard.events import Event, Score
from streamguard.sinks.heat import CAUTION
from streamguard.sinks.report import Report
from streamguard.sinks.report_moments import APART_S, MOST_MOMENTS, MOST_MOMENTS_TOGETHER, HeatPictures, Moments
from streamguard.sinks.report_page import HEAT_PX
from streamguard.values import Box, FaceState, HeatMaps, MapClip, Mapped
from tests.sinks.test_report import Page, appeared, at, lost, score, verdict

MOST_BYTES = 20_000
"""Of one picture, whatever is in it."""


def mapped(end_s: float, face_id: int = 1, generation: int = 1, brightness: int = 120, **changes: object) -> Mapped:
    """Of a crop of one brightness, hot in its upper left."""
    cells = np.zeros((4, 4), np.uint8)
    cells[0, 0] = 255
    fields: dict[str, object] = {
        "pts_start_s": end_s - 0.5,
        "pts_end_s": end_s,
        "square_px": Box(0.0, 0.0, 100.0, 100.0),
        "width": 4,
        "height": 4,
        "anomaly": bytes(16),
        "motion": cells.tobytes(),
        "comparable": True,
        **changes,
    }
    clip = MapClip(
        face_id=face_id,
        generation=generation,
        crops=np.full((8, 64, 64, 3), brightness, np.uint8),
        pts_start_s=end_s - 0.5,
        pts_end_s=end_s,
        square_px=Box(0.0, 0.0, 100.0, 100.0),
        box_px=Box(25.0, 25.0, 75.0, 75.0),
    )
    return Mapped(clip=clip, maps=HeatMaps(**fields))  # type: ignore[arg-type]


def reported(path: Path, *items: Event | Mapped) -> Page:
    report = Report(path / "report.html", title="a call")
    for item in items:
        if isinstance(item, Mapped):
            report.see_maps(item.maps.pts_end_s, item)
        else:
            report.send(item)
    report.close()
    page = Page((path / "report.html").read_text(encoding="utf-8"))
    assert page.wrong == []
    return page


def pictures(page: Page) -> list[np.ndarray]:
    """(H, W, 3) uint8 each, in order."""
    prefix = "data:image/png;base64,"
    sources = [image["src"] for image in page.of(tag="img") if image["src"].startswith(prefix)]
    data = [base64.b64decode(source.removeprefix(prefix)) for source in sources]
    assert all(len(one) <= MOST_BYTES for one in data)
    return [np.asarray(Image.open(io.BytesIO(one)).convert("RGB")) for one in data]


def test_a_moment_is_three_pictures_with_its_time_and_probability(tmp_path: Path) -> None:
    fake = verdict(FaceState.LIKELY_FAKE)
    page = reported(tmp_path, at(0.0, appeared()), at(2.0, score(2.0, 0.91)), mapped(2.0), at(2.1, fake))
    crop, anomaly, motion = pictures(page)
    assert crop.shape == anomaly.shape == motion.shape == (HEAT_PX, HEAT_PX, 3)
    assert np.abs(crop.astype(int) - 120).max() <= 2
    assert np.ptp(anomaly.astype(int), axis=2).max() < 20, "nothing was found there"
    ys, xs = np.nonzero(np.ptp(motion.astype(int), axis=2) > 40)
    assert max(ys.max(), xs.max()) < HEAT_PX / 2
    assert "2.00 s p(fake) 0.91" in page.plain
    assert CAUTION in page.plain
    alts = [image["alt"] for image in page.of(tag="img") if "png" in image["src"][:20]]
    assert alts[0] == "Face 1 at 2.00 s: what the network saw"
    assert len(set(alts)) == 3
    assert "nothing here speaks against it" not in page.plain


def test_map_and_score_find_each_other_whichever_comes_first(tmp_path: Path) -> None:
    begin = at(0.0, appeared())
    for items in ((at(2.0, score(2.0, 0.9)), mapped(2.0)), (mapped(2.0), at(2.3, score(2.0, 0.9)))):
        assert len(pictures(reported(tmp_path, begin, *items))) == 3
    late = [at(2.0 + i / 10, score(2.0 + i / 10, 0.5)) for i in range(10)]
    assert len(pictures(reported(tmp_path, begin, mapped(2.0), *late, at(3.5, score(3.5, 0.9))))) == 3


@pytest.mark.parametrize(
    "other",
    [mapped(2.5), mapped(2.0, face_id=2), mapped(2.0, generation=2)],
    ids=["another window's", "another face's", "another generation's"],
)
def test_a_map_is_never_shown_beside_a_score_of(other: Mapped, tmp_path: Path) -> None:
    begin = [at(0.0, appeared()), at(0.0, appeared(2))]
    assert pictures(reported(tmp_path, *begin, at(2.0, score(2.0, 0.9)), other)) == []
    assert pictures(reported(tmp_path, *begin, other, at(2.0, score(2.0, 0.9)))) == []


def test_without_a_calibrated_score_no_map_is_shown(tmp_path: Path) -> None:
    page = reported(tmp_path, at(0.0, appeared()), mapped(2.0), at(2.0, score(2.0, None, raw=0.99)))
    assert pictures(page) == []
    assert "Strongest moments" not in page.plain


def test_of_a_face_that_was_never_likely_fake_it_is_said(tmp_path: Path) -> None:
    real = verdict(FaceState.LIKELY_REAL)
    page = reported(tmp_path, at(0.0, appeared()), at(2.0, score(2.0, 0.2)), mapped(2.0), at(2.1, real))
    assert len(pictures(page)) == 3
    assert "This face was never likely fake: nothing here speaks against it." in page.plain


def test_maps_that_cannot_be_compared_say_so(tmp_path: Path) -> None:
    items = at(0.0, appeared()), at(2.0, score(2.0, 0.9))
    assert "each clip against itself" in reported(tmp_path, *items, mapped(2.0, comparable=False)).plain
    assert "each clip against itself" not in reported(tmp_path, *items, mapped(2.0)).plain


def test_a_network_with_one_map_shows_one(tmp_path: Path) -> None:
    items = at(0.0, appeared()), at(2.0, score(2.0, 0.9))
    assert len(pictures(reported(tmp_path, *items, mapped(2.0, anomaly=None)))) == 2


def test_a_face_that_is_gone_keeps_its_moments_and_gets_no_more(tmp_path: Path) -> None:
    begin = at(0.0, appeared()), at(2.0, score(2.0, 0.9)), mapped(2.0), at(5.0, score(5.0, 0.9))
    assert len(pictures(reported(tmp_path, *begin, at(6.0, lost(1, 6.0)), mapped(5.0)))) == 3


# Which are shown.


def painter(name: str, painted: list[str] | None = None) -> HeatPictures:
    if painted is not None:
        painted.append(name)
    return HeatPictures(crop=name.encode(), anomaly=None, motion=None, comparable=True)


def scored(end_s: float, p_fake: float, face_id: int = 1) -> Score:
    return score(end_s, p_fake, face_id)


def test_the_strongest_of_each_face_are_kept_well_apart() -> None:
    moments = Moments()
    painted: list[str] = []
    values = {1.0 * i: random.Random(i).random() for i in range(40)}
    for end_s, p_fake in values.items():
        moments.add_score(scored(end_s, p_fake))
        moments.add_maps((1, 1), end_s, lambda name=str(end_s): painter(name, painted))  # type: ignore[misc]
    found = moments.of(1)
    assert len(found) == MOST_MOMENTS
    assert [one.p_fake for one in found] == sorted((one.p_fake for one in found), reverse=True)
    assert found[0].p_fake == max(values.values())
    times = sorted(one.pts_s for one in found)
    assert all(later - earlier >= APART_S for earlier, later in pairwise(times))
    assert len(painted) < 20, "only what is shown, at least for a time, is painted"


def test_all_faces_together_are_bounded_and_the_strongest_win() -> None:
    moments = Moments()
    faces = MOST_MOMENTS_TOGETHER + 20
    for face_id in range(faces):
        moments.add_score(scored(5.0, face_id / faces, face_id))
        moments.add_maps((face_id, 1), 5.0, lambda: painter("x"))
    shown = [face_id for face_id in range(faces) if moments.of(face_id)]
    assert shown == list(range(20, faces))
    moments.add_score(scored(9.0, 0.001, 0))
    moments.add_maps((0, 1), 9.0, lambda: pytest.fail("painted for nothing"))
    assert moments.of(0) == []


def test_maps_whose_score_never_comes_are_forgotten() -> None:
    moments = Moments()
    for i in range(1000):
        moments.add_maps((1, 1), float(i), lambda: pytest.fail("painted for nothing"))
    moments.add_score(scored(0.0, 0.9))
    assert moments.of(1) == []


def test_the_noisiest_pictures_are_bounded_in_bytes(tmp_path: Path) -> None:
    noisy = mapped(2.0)
    crops = np.random.default_rng(0).integers(0, 256, noisy.clip.crops.shape, dtype=np.uint8)
    noisy = replace(noisy, clip=replace(noisy.clip, crops=crops))
    assert len(pictures(reported(tmp_path, at(0.0, appeared()), at(2.0, score(2.0, 0.9)), noisy))) == 3
