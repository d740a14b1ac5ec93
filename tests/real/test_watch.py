"""`streamguard watch` on a real camera: a face with scores, files that hold what was seen, and no password anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from streamguard.cli.main import main
from streamguard.events import Score, StreamUp
from streamguard.values import FaceState
from streamguard.wire import event_from_json
from tests.real.conftest import RtspServer

pytestmark = pytest.mark.real


def test_watching_a_camera_scores_its_face_and_records_it(
    rtsp_server: Callable[..., RtspServer], portrait: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = rtsp_server(auth="digest", user="anna:hunter2", pictures=portrait)
    target = camera.url_for("anna:hunter2")
    assert main(["watch", target, "--bundle", "untrained", "--seconds", "4", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "face 1.1 is uncertain (uncalibrated)" in said
    assert said.splitlines()[-1].startswith("wrote ")
    assert said.count("UNTRAINED") == 2
    events = [event_from_json(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert isinstance(events[0].kind, StreamUp)
    scores = [event.kind for event in events if isinstance(event.kind, Score)]
    assert len(scores) > 5
    assert {score.state for score in scores} <= {FaceState.UNCERTAIN, FaceState.LOW_QUALITY}
    assert all(score.p_fake is None for score in scores)
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 30
    assert "data:image/jpeg" in (tmp_path / "report.html").read_text()
    written = said + "".join((tmp_path / name).read_text() for name in ("events.jsonl", "report.html"))
    assert "hunter2" not in written
