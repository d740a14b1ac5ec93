"""A report in a real browser: it asks the network for nothing, and shows states, curves and faces in light and dark."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from math import sin
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamguard.assets import asset_path
from streamguard.events import (
    CannotJudge,
    EndOfStream,
    Event,
    FaceAppeared,
    FaceLost,
    Kind,
    MediaGap,
    ParticipantVerdictChanged,
    Score,
    StreamUp,
    VerdictChanged,
)
from streamguard.picture import Picture
from streamguard.sinks.annotate import STATE_COLOURS, Colour
from streamguard.sinks.report import Report
from streamguard.sources.portrait import faked_beside
from streamguard.values import Box, FaceState, GapCause, LostCause, Reason
from tests.real.conftest import cannot
from tests.sample_events import KINDS, event_of

pytestmark = pytest.mark.real

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_S = 60.0
GROUND: dict[str, Colour] = {"light": (0xF4, 0xF6, 0xF9), "dark": (0x0D, 0x13, 0x1F)}
CARD: dict[str, Colour] = {"light": (255, 255, 255), "dark": (0x16, 0x20, 0x31)}
SCORE_BAR: dict[str, Colour] = {"light": (0x25, 0x63, 0xC9), "dark": (0x76, 0xAA, 0xFF)}
LEGEND_PX = 2 * 18 * 14
"""A state's colour in the legend and beside a name; more than this is in a strip."""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return found or cannot("no Chromium is installed")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces with pictures: one that looks real until it is hidden, and one that turns out fake."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    scene = faked_beside(asset_path("portrait"))
    with Report(path, title="A call", notes=["UNTRAINED made up: these scores mean nothing", "a test"]) as made:
        for event in story():
            made.send(event)
            match event.kind:
                case FaceAppeared() | VerdictChanged() | ParticipantVerdictChanged() as turn:
                    box = list(scene.truth(event.pts_s).values())[turn.face_id - 1]
                    picture = Picture.from_rgb(scene.render(event.pts_s))
                    made.see(event.pts_s, turn.face_id, turn.generation, picture, box)
    return path


def story() -> Iterator[Event]:
    yield at(0.0, StreamUp(url="https://camera.example/door", width=1280, height=720, codec="h264"))
    for face_id in (1, 2):
        yield at(0.1, FaceAppeared(face_id=face_id, generation=1, box_px=Box(0, 0, 1, 1)))
    for i in range(1, 46):
        end_s = 0.64 * i + 0.1
        yield at(end_s, score(end_s, 1, 0.12 + 0.05 * sin(i)))
        yield at(end_s, score(end_s, 2, min(0.92, 0.3 + 0.03 * i) + 0.05 * sin(2 * i)))
        if i == 4:
            yield at(end_s, verdict(1, FaceState.LIKELY_REAL, FaceState.WARMING_UP))
            yield at(end_s, verdict(2, FaceState.UNCERTAIN, FaceState.WARMING_UP))
        if i == 18:
            yield at(end_s, verdict(2, FaceState.LIKELY_FAKE, FaceState.UNCERTAIN))
            yield at(end_s, participant(2))
        if i == 30:
            yield at(end_s, verdict(1, FaceState.LOW_QUALITY, FaceState.LIKELY_REAL, Reason.DARK, Reason.BLURRED))
    yield at(31.0, CannotJudge(missing_s=1.5, reasons=(Reason.OCCLUDED,)))
    yield at(33.0, MediaGap(cause=GapCause.LONG_GAP, gap_s=2.0))
    for face_id in (1, 2):
        yield at(33.0, FaceLost(face_id=face_id, generation=1, cause=LostCause.MEDIA_GAP, last_seen_pts_s=31.0))
    yield at(36.0, EndOfStream(frames=900))


def at(pts_s: float, kind: Kind) -> Event:
    return replace(event_of(kind), pts_s=pts_s)


def score(end_s: float, face_id: int, p: float) -> Score:
    (sample,) = [kind for kind in KINDS if isinstance(kind, Score)]
    more: dict[str, object] = {"face_id": face_id, "generation": 1, "pts_start_s": end_s - 0.56, "pts_end_s": end_s}
    more |= {"p_fake": p, "p_fake_low": p - 0.1, "p_fake_high": min(1.0, p + 0.1), "p_face": p, "reasons": ()}
    return replace(sample, **more)  # type: ignore[arg-type]


def verdict(face_id: int, state: FaceState, previous: FaceState, *reasons: Reason) -> VerdictChanged:
    return VerdictChanged(face_id=face_id, generation=1, state=state, previous=previous, reasons=reasons)


def participant(face_id: int) -> ParticipantVerdictChanged:
    return ParticipantVerdictChanged(
        state=FaceState.LIKELY_FAKE, previous=FaceState.UNCERTAIN, p_fake=0.84, face_id=face_id, generation=1
    )


def run(browser: str, folder: Path, page: Path, *options: str) -> None:
    """Opens the page without a network: every name is unknown to this browser."""
    command = [
        *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
        *("--disable-component-update", "--disable-default-apps", "--disable-sync", "--hide-scrollbars"),
        *("--force-device-scale-factor=1", "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND"),
        *(f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]


def screenshot(browser: str, folder: Path, page: Path, *, width: int, height: int, dark: bool = False) -> np.ndarray:
    """(H, W, 3) uint8: what a person sees."""
    path = folder / f"{width}{'-dark' if dark else ''}.png"
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    run(browser, folder, page, scheme, f"--window-size={width},{height}", f"--screenshot={path}")
    return np.asarray(Image.open(path).convert("RGB"))


def pixels(shown: np.ndarray, colour: Colour, tolerance: int = 3) -> int:
    return int((np.abs(shown.astype(int) - colour).max(axis=2) <= tolerance).sum())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_shows_states_curves_and_faces(scheme: str, browser: str, report: Path, tmp_path: Path) -> None:
    shown = screenshot(browser, tmp_path, report, width=1100, height=2000, dark=scheme == "dark")
    assert shown.shape == (2000, 1100, 3)
    assert pixels(shown, GROUND[scheme]) + pixels(shown, CARD[scheme]) > 0.5 * shown.shape[0] * shown.shape[1]
    for state in FaceState:
        assert pixels(shown, STATE_COLOURS[state]) > 2 * LEGEND_PX, state
    assert pixels(shown, SCORE_BAR[scheme], tolerance=90) > 300
    skin = shown[..., 0].astype(int) - shown[..., 2]
    assert (skin > 40).sum() > 5 * 88 * 88 / 4, "faces at the turning points"


def test_report_fits_a_telephone(browser: str, report: Path, tmp_path: Path) -> None:
    """Nothing is cut off at the right: the strips end where the cards do."""
    shown = screenshot(browser, tmp_path, report, width=400, height=3_000)
    assert (np.abs(shown[:, -8:].astype(int) - GROUND["light"]).max(axis=2) <= 3).all()
    for state in FaceState:
        assert pixels(shown, STATE_COLOURS[state]) > LEGEND_PX, state


def test_report_can_be_printed(browser: str, report: Path, tmp_path: Path) -> None:
    run(browser, tmp_path, report, "--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'report.pdf'}")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_page_makes_the_browser_ask_the_network_for_nothing(browser: str, report: Path, tmp_path: Path) -> None:
    assert requested(browser, report, tmp_path) == set()


def test_a_page_that_loads_something_would_be_seen(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<img src='https://elsewhere.example/pixel.gif'>")
    assert requested(browser, page, tmp_path) == {"https://elsewhere.example/pixel.gif"}


def requested(browser: str, page: Path, folder: Path) -> set[str]:
    """Every address that the page made the browser ask for, by the browser's own log. What a browser asks for by itself
    has no origin there."""
    log = folder / "net.json"
    run(browser, folder, page, f"--log-net-log={log}", f"--screenshot={folder / 'any.png'}")
    told = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    return {one["url"] for one in told if "url" in one and one.get("initiator", OWN) != OWN}


OWN = "not an origin"


def test_nothing_in_the_page_points_elsewhere(report: Path) -> None:
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            if tag in ("script", "link", "iframe", "object", "embed", "base"):
                found.append(tag)
            for name, value in attributes:
                if name in ("src", "href", "srcset", "xlink:href", "data", "background", "poster"):
                    found.extend([value or ""] if not (value or "").startswith(("#", "data:image/")) else [])

    Reader().feed(report.read_text(encoding="utf-8"))
    assert found == []
