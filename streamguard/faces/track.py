"""Who is who from frame to frame: frames in, faces with an id and a generation out. Called once a frame by the session.

A known face is measured again by the mesh network in every frame that the caller's grid wants; the detector searches
for new faces at a slower cadence. A patch is therefore only ever cut from a frame in which its face was seen.

In doubt a new generation starts: a false split is cheap, a false merge accuses someone. Doubt is: hidden for too long,
back at another place or size, looking different, or having touched another face.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from ..config import FacesConfig
from ..picture import Picture
from ..values import Box, Detection, Face, Frame, LostCause, Mesh
from .appearance import Appearance, appearance_of
from .detector import FaceDetector, FaceMesher
from .look import CutWatch, LookPlan
from .mesh import face_box, five_points
from .quality import measure_quality

CONTACT_OVERLAP = 0.08
"""Two faces whose boxes overlap by more than this have met."""
SAME_FACE_OVERLAP = 0.4
"""Two boxes that overlap by more than this are the same face, found twice."""
MOST_SHIFT = 0.6
"""How far a face may be from where it was expected, in face scales, to be taken for the same one."""
MOST_RESCALE = 1.45
STEP_S = 0.2
"""Position and size must agree more loosely the longer a face was away: the limits above hold up to this long."""
LOOK_SHARE = 0.2
"""How fast the remembered look follows the present one, a sighting."""
UNDETECTED_S = 3.0
"""A face which only the mesh network believes in, and the detector has not confirmed for so long, is let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A generation that ended."""

    face_id: int
    generation: int
    cause: LostCause
    last_seen_pts_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one frame told."""

    faces: tuple[Face, ...] = ()
    """Faces measured in this very frame, confirmed ones only."""
    appeared: tuple[Face, ...] = ()
    """Those of them whose generation is new."""
    lost: tuple[Lost, ...] = ()
    cut: bool = False
    """The scene changed as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerStatistics:
    looks: int
    """Regions that the detector searched."""
    measured: int
    """Times the mesh network ran."""
    generations: int
    following: int


class _Life(Enum):
    TENTATIVE = "seen too few times to be shown"
    VISIBLE = "seen in the last frame that was looked at"
    HIDDEN = "not seen; may come back as the same generation"
    GONE = "its generation has ended; the id is kept for a while"


@dataclass(slots=True, kw_only=True, eq=False)
class _Track:
    face_id: int
    generation: int
    life: _Life
    mesh: Mesh
    box: Box
    seen_pts_s: float
    detected_pts_s: float
    sightings: int = 1
    velocity: tuple[float, float] = (0.0, 0.0)
    """Pixels a second."""
    look: Appearance
    """What it has looked like, slowly following."""
    latest: Appearance
    announced: bool = False

    def expected(self, pts_s: float) -> Box:
        """Where it should be now, if it went on as before; movement is not trusted for long."""
        ahead = min(pts_s - self.seen_pts_s, STEP_S)
        return self.box.moved(self.velocity[0] * ahead, self.velocity[1] * ahead)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sighting:
    """A face in this frame; `track` is whose place it was looked for at, if anybody's."""

    mesh: Mesh
    box: Box
    look: Appearance
    track: _Track | None
    measured: bool = True
    """False: nobody needed it measured in this frame; it is taken to be where it should be."""


@dataclass(slots=True)
class _Outcome:
    faces: list[Face] = field(default_factory=list)
    appeared: list[Face] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)

    def looked(self, cut: bool) -> Looked:
        """Without faces that were lost again in the same frame; of one that nobody was told of, nothing is said."""
        lost = {(one.face_id, one.generation) for one in self.lost}
        unheard = {(face.face_id, face.generation) for face in self.appeared} & lost
        return Looked(
            faces=tuple(face for face in self.faces if (face.face_id, face.generation) not in lost),
            appeared=tuple(face for face in self.appeared if (face.face_id, face.generation) not in lost),
            lost=tuple(one for one in self.lost if (one.face_id, one.generation) not in unheard),
            cut=cut,
        )


Due = Callable[[int, int, float], bool]
"""(face_id, generation, pts_s): does anything need this face measured in a frame of this time?"""


class FaceTracker:
    """Not thread-safe: one stream, one thread at a time."""

    def __init__(self, config: FacesConfig, detector: FaceDetector, mesher: FaceMesher) -> None:
        self._config = config
        self._detector = detector
        self._mesher = mesher
        self._plan = LookPlan(config)
        self._cuts = CutWatch()
        self._tracks: list[_Track] = []
        self._next_id = 1
        self._start_over = True
        """The next look searches everything: a new stream, a cut, a gap."""
        self._before_pts_s = float("-inf")
        """Time of the frame before."""
        self._looks = self._measured = self._generations = 0

    def update(self, frame: Frame, due: Due) -> Looked:
        """Follow the known faces, search where and when the plan says, settle who is who, forget who is gone."""
        picture, pts_s = frame.picture, frame.pts_s
        cut = self._cuts.is_cut(picture)
        outcome = _Outcome()
        if cut:
            self._end_all(LostCause.MEDIA_GAP, outcome)
        regions = self._plan.regions(pts_s, picture, everything=self._start_over)
        self._start_over = False
        sought = [track for track in self._tracks if self._is_sought(track, pts_s, due)]
        sightings = self._presumed(pts_s, sought) + self._follow(frame, sought)
        strangers = self._search(frame, regions, sightings)
        apart = self._apart(sightings, strangers, outcome)
        self._settle([sighting for sighting in apart if sighting.measured], frame, outcome)
        self._hide_unseen(sought, pts_s)
        self._forget(pts_s, outcome)
        self._before_pts_s = pts_s
        return outcome.looked(cut)

    def end_all(self, cause: LostCause) -> tuple[Lost, ...]:
        """End every generation (a gap, the end of the stream)."""
        outcome = _Outcome()
        self._end_all(cause, outcome)
        return tuple(outcome.lost)

    def statistics(self) -> TrackerStatistics:
        return TrackerStatistics(
            looks=self._looks,
            measured=self._measured,
            generations=self._generations,
            following=self._followed(),
        )

    def _followed(self) -> int:
        return sum(track.life is not _Life.GONE for track in self._tracks)

    # Follow and search: pixels in, sightings out.

    def _is_sought(self, track: _Track, pts_s: float, due: Due) -> bool:
        if track.life is _Life.GONE:
            return False
        return track.life is not _Life.VISIBLE or due(track.face_id, track.generation, pts_s)

    def _presumed(self, pts_s: float, sought: list[_Track]) -> list[_Sighting]:
        """The visible faces that nobody needs measured in this frame: the search must know of them too."""
        return [
            _Sighting(mesh=track.mesh, box=track.expected(pts_s), look=track.look, track=track, measured=False)
            for track in self._tracks
            if track.life is _Life.VISIBLE and track not in sought
        ]

    def _follow(self, frame: Frame, sought: list[_Track]) -> list[_Sighting]:
        """Measure known faces, each from where it should be by now."""
        sightings = []
        for track in sought:
            expected = track.expected(frame.pts_s)
            shift = expected.x0 - track.box.x0, expected.y0 - track.box.y0
            self._measured += 1
            sighting = self._sighting(frame.picture, self._mesher.follow(frame.picture, track.mesh, shift), track)
            if sighting is not None:
                sightings.append(sighting)
        return sightings

    def _search(self, frame: Frame, regions: list[Box | None], sightings: list[_Sighting]) -> list[_Sighting]:
        """Look for faces in the regions; confirms the known ones and returns the strangers."""
        strangers: list[_Sighting] = []
        for detection in self._detect(frame.picture, regions):
            known = [sighting for sighting in sightings if _same_place(sighting.box, detection.box_px)]
            for sighting in known:
                assert sighting.track is not None
                sighting.track.detected_pts_s = frame.pts_s
            if known or len(strangers) + self._followed() >= self._config.most_faces:
                continue
            self._measured += 1
            stranger = self._sighting(frame.picture, self._mesher.measure(frame.picture, detection), None)
            if stranger is not None and _same_place(stranger.box, detection.box_px):
                strangers.append(stranger)
        return strangers

    def _detect(self, picture: Picture, regions: list[Box | None]) -> list[Detection]:
        """The best detection of each place, largest first."""
        self._looks += len(regions)
        found = [d for region in regions for d in self._detector.detect(picture, region)]
        good = [d for d in found if d.score >= self._config.min_detection_score]
        kept: list[Detection] = []
        for detection in sorted(good, key=lambda d: d.score, reverse=True):
            if not any(_same_place(other.box_px, detection.box_px) for other in kept):
                kept.append(detection)
        return sorted(kept, key=lambda d: d.box_px.scale, reverse=True)

    def _sighting(self, picture: Picture, mesh: Mesh, track: _Track | None) -> _Sighting | None:
        """What the mesh network saw, if it is a face that we follow."""
        box = face_box(mesh)
        # Written so that NaN, from a network gone wrong, is no face.
        if not (mesh.presence >= self._config.min_presence and box.scale >= self._config.min_face_px):
            return None
        if box.share_inside(picture.width, picture.height) < 0.5:
            return None
        return _Sighting(mesh=mesh, box=box, look=appearance_of(mesh, picture), track=track)

    # Settle who is who: sightings in, tracks changed.

    def _apart(self, sightings: list[_Sighting], strangers: list[_Sighting], outcome: _Outcome) -> list[_Sighting]:
        """The sightings that touch no other. Faces that met end their generations, and none is born until they part."""
        everyone = self._one_each(sightings, strangers)
        touching: set[int] = set()
        for i, one in enumerate(everyone):
            for j, other in enumerate(everyone[:i]):
                if one.box.overlap(other.box) > CONTACT_OVERLAP:
                    touching |= {i, j}
        for i in touching:
            track = everyone[i].track
            if track is not None:
                self._end(track, LostCause.CONTACT, outcome)
        return [sighting for i, sighting in enumerate(everyone) if i not in touching]

    def _one_each(self, sightings: list[_Sighting], strangers: list[_Sighting]) -> list[_Sighting]:
        """Each face once. A hidden track may have been looked for where another face is: that is not its own."""
        visible = [s for s in sightings if s.track is not None and s.track.life is _Life.VISIBLE]
        others = [s for s in sightings if s.track is not None and s.track.life is not _Life.VISIBLE]
        kept = list(visible)
        for sighting in [*others, *strangers]:
            if not any(sighting.box.overlap(other.box) > SAME_FACE_OVERLAP for other in kept):
                kept.append(sighting)
        return kept

    def _settle(self, sightings: list[_Sighting], frame: Frame, outcome: _Outcome) -> None:
        """Each sighting continues the one track that it surely is, or starts a generation. Nobody is two, or in two.

        First who stayed in view, then who comes back, then who is new: so what one sighting becomes never depends on
        which of two was looked at first.
        """
        rest = [sighting for sighting in sightings if not self._stays(sighting, frame, outcome)]
        rest = self._come_back(rest, frame, outcome)
        for sighting in rest:
            track = sighting.track
            if track is not None and track.seen_pts_s < frame.pts_s:
                self._end(track, LostCause.DOUBT, outcome)
        for sighting in rest:
            self._begin(sighting, frame)

    def _stays(self, sighting: _Sighting, frame: Frame, outcome: _Outcome) -> bool:
        track = sighting.track
        if track is None or track.life not in (_Life.VISIBLE, _Life.TENTATIVE):
            return False
        if not self._agrees(track, sighting, frame.pts_s):
            return False
        self._continue(track, sighting, frame, outcome)
        return True

    def _come_back(self, sightings: list[_Sighting], frame: Frame, outcome: _Outcome) -> list[_Sighting]:
        """Hidden faces go on where exactly one sighting and one hidden face agree; the other sightings are returned."""
        hidden = [track for track in self._tracks if track.life is _Life.HIDDEN]
        pairs = [(s, track) for s in sightings for track in hidden if self._agrees(track, s, frame.pts_s)]
        sure = [
            (sighting, track)
            for sighting, track in pairs
            if sum(s is sighting for s, _ in pairs) == 1 and sum(t is track for _, t in pairs) == 1
        ]
        for sighting, track in sure:
            self._continue(track, sighting, frame, outcome)
        return [sighting for sighting in sightings if not any(sighting is s for s, _ in sure)]

    def _begin(self, sighting: _Sighting, frame: Frame) -> None:
        """A new generation; of a remembered id if one that has ended fits, by place first and then by look."""
        near = [
            track
            for track in self._tracks
            if track.life is _Life.GONE
            and frame.pts_s - track.seen_pts_s <= self._config.remember_s
            and self._is_near(track, sighting, frame.pts_s, slack=2.0)
        ]
        if near:
            last = min(near, key=lambda track: track.look.difference(sighting.look))
            self._tracks.remove(last)
            # Whom nobody was told of has not used up a generation.
            self._add(last.face_id, last.generation + last.announced, sighting, frame)
        else:
            self._add(self._next_id, 1, sighting, frame)
            self._next_id += 1

    def _agrees(self, track: _Track, sighting: _Sighting, pts_s: float) -> bool:
        """Surely the same person: away for a short time only, and place, size and look all agree.

        Whoever was seen in the very frame before was not away, however slow the camera is.
        """
        if track.seen_pts_s < self._before_pts_s and pts_s - track.seen_pts_s > self._config.coast_s:
            return False
        if not self._is_near(track, sighting, pts_s, slack=1.0):
            return False
        difference = min(track.look.difference(sighting.look), track.latest.difference(sighting.look))
        return difference <= self._config.most_look_difference

    def _is_near(self, track: _Track, sighting: _Sighting, pts_s: float, *, slack: float) -> bool:
        away_s = min(pts_s - track.seen_pts_s, self._config.remember_s)
        loose = slack * max(1.0, away_s / STEP_S) ** 0.5
        expected = track.expected(pts_s)
        reach = MOST_SHIFT * loose * max(expected.scale, sighting.box.scale)
        (x0, y0), (x1, y1) = expected.centre, sighting.box.centre
        ratio = sighting.box.scale / expected.scale
        rescale = MOST_RESCALE**loose
        return abs(x1 - x0) <= reach and abs(y1 - y0) <= reach and 1 / rescale <= ratio <= rescale

    # Change a track.

    def _continue(self, track: _Track, sighting: _Sighting, frame: Frame, outcome: _Outcome) -> None:
        elapsed = frame.pts_s - track.seen_pts_s
        if 0 < elapsed <= STEP_S:
            (x0, y0), (x1, y1) = track.box.centre, sighting.box.centre
            track.velocity = ((x1 - x0) / elapsed, (y1 - y0) / elapsed)
        else:
            track.velocity = (0.0, 0.0)
        track.mesh, track.box, track.seen_pts_s = sighting.mesh, sighting.box, frame.pts_s
        track.look, track.latest = track.look.blended(sighting.look, LOOK_SHARE), sighting.look
        track.sightings += 1
        if track.sightings >= self._config.looks_to_confirm:
            track.life = _Life.VISIBLE
            self._show(track, frame, outcome)

    def _show(self, track: _Track, frame: Frame, outcome: _Outcome) -> None:
        face = Face(
            face_id=track.face_id,
            generation=track.generation,
            box_px=track.box,
            points_px=five_points(track.mesh),
            quality=measure_quality(track.mesh, frame.picture),
        )
        outcome.faces.append(face)
        if not track.announced:
            track.announced = True
            self._generations += 1
            outcome.appeared.append(face)

    def _add(self, face_id: int, generation: int, sighting: _Sighting, frame: Frame) -> None:
        self._tracks.append(
            _Track(
                face_id=face_id,
                generation=generation,
                life=_Life.TENTATIVE,
                mesh=sighting.mesh,
                box=sighting.box,
                seen_pts_s=frame.pts_s,
                detected_pts_s=frame.pts_s,
                look=sighting.look,
                latest=sighting.look,
            )
        )

    def _hide_unseen(self, sought: list[_Track], pts_s: float) -> None:
        """Whoever was looked for and not seen is hidden; the tentative are dropped."""
        for track in sought:
            if track.life is _Life.VISIBLE and track.seen_pts_s < pts_s:
                track.life = _Life.HIDDEN
            elif track.life is _Life.TENTATIVE and track.seen_pts_s < pts_s:
                track.life = _Life.GONE

    def _forget(self, pts_s: float, outcome: _Outcome) -> None:
        for track in self._tracks:
            if track.life is _Life.HIDDEN and pts_s - track.seen_pts_s > self._config.coast_s:
                self._end(track, LostCause.GONE, outcome)
            elif track.life is _Life.VISIBLE and pts_s - track.detected_pts_s > max(
                UNDETECTED_S, 3 * self._config.detect_every_s
            ):
                self._end(track, LostCause.DOUBT, outcome)
        self._tracks = [
            track
            for track in self._tracks
            if track.life is not _Life.GONE or pts_s - track.seen_pts_s <= self._config.remember_s
        ]

    def _end_all(self, cause: LostCause, outcome: _Outcome) -> None:
        self._start_over = True
        for track in self._tracks:
            self._end(track, cause, outcome)

    def _end(self, track: _Track, cause: LostCause, outcome: _Outcome) -> None:
        if track.life is _Life.GONE:
            return
        track.life = _Life.GONE
        if track.announced:
            outcome.lost.append(
                Lost(
                    face_id=track.face_id,
                    generation=track.generation,
                    cause=cause,
                    last_seen_pts_s=track.seen_pts_s,
                )
            )


def _same_place(one: Box, other: Box) -> bool:
    """Detectors draw boxes of different sizes round one face: near centres count as well as overlap."""
    if one.overlap(other) > SAME_FACE_OVERLAP:
        return True
    (x0, y0), (x1, y1) = one.centre, other.centre
    near = 0.35 * min(one.scale, other.scale)
    return (
        abs(x0 - x1) < near and abs(y0 - y1) < near and max(one.scale, other.scale) < 2.5 * min(one.scale, other.scale)
    )
