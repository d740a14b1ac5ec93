"""Whose turn it is to have heat maps made, and the newest of each face: faces with new windows in, clips out; maps in.

The session holds one, where maps are wanted. A face has its turn about once a second, a calm one more rarely, and each
when it becomes LIKELY_FAKE. Cutting a clip costs, so none is cut that there is no room for, or that a network has no
time for.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from .clips import FaceClips
from .values import HeatMaps, MapClip, Mapped

MOST_WAITING = 64
"""Clips that may wait to be taken; further ones are not cut."""
TURN_S = 0.25
"""Of many faces, each has its turn only so often times their number: a crowd costs no more than a few."""
CALM = 4
"""A face that nobody suspects has its turn so many times more rarely."""

Key = tuple[int, int]
"""Face id and generation."""


@dataclass(slots=True)
class _Face:
    turn_pts_s: float = -inf
    """Media time of its newest clip, or of the turn that was left out."""
    newest: Mapped | None = None
    untold: bool = False
    """No score has carried the newest."""


class MapTurns:
    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._faces: dict[Key, _Face] = {}
        self._work: list[MapClip] = []
        self.room = MOST_WAITING
        """So many more clips may be cut. The driver says so, again and again."""
        self.overloaded = False
        """The network cannot even keep up with scores: whoever's turn it is goes without. The session says so."""
        self.clips = self.left_out = self.stale = 0
        """Clips that were handed out; turns that were left out; maps that came too late for their generation."""

    def begin(self, key: Key) -> None:
        self._faces[key] = _Face()

    def end(self, key: Key) -> None:
        del self._faces[key]
        self._work = [clip for clip in self._work if (clip.face_id, clip.generation) != key]

    def give_turns(self, faces: Mapping[Key, FaceClips], pts_s: float, *, calm: Container[Key] = ()) -> None:
        """`faces` have a new window; some are calm. Who has waited longest comes first."""
        every_s = max(self._every_s, TURN_S * len(self._faces))
        due = [key for key in faces if pts_s - self._faces[key].turn_pts_s >= (CALM if key in calm else 1) * every_s]
        for key in sorted(due, key=lambda key: self._faces[key].turn_pts_s):
            self.give_turn(key, faces[key], pts_s)

    def give_turn(self, key: Key, clips: FaceClips, pts_s: float) -> None:
        """At once, whosever turn it is. Without room nothing happens, and its turn stays."""
        face = self._faces[key]
        if self.overloaded:
            self.left_out += 1
            face.turn_pts_s = pts_s
            return
        if self.room <= 0 or len(self._work) >= MOST_WAITING:
            return
        clip = clips.map_clip()
        if clip is not None and clip.pts_end_s > face.turn_pts_s:
            self._work.append(clip)
            self.clips += 1
            self.room -= 1
            face.turn_pts_s = clip.pts_end_s

    def take_work(self) -> list[MapClip]:
        work, self._work = self._work, []
        return work

    def put(self, mapped: Sequence[Mapped]) -> list[Mapped]:
        """Gives those that are of faces that are there, and newer than what was known of them."""
        taken = []
        for one in mapped:
            face = self._faces.get((one.clip.face_id, one.clip.generation))
            if face is None:
                self.stale += 1
            elif face.newest is None or one.maps.pts_end_s > face.newest.maps.pts_end_s:
                face.newest, face.untold = one, True
                taken.append(one)
        return taken

    def newest(self, key: Key) -> Mapped | None:
        face = self._faces.get(key)
        return None if face is None else face.newest

    def take_untold(self, key: Key) -> HeatMaps | None:
        """The newest maps of a face, once."""
        face = self._faces[key]
        if face.newest is None or not face.untold:
            return None
        face.untold = False
        return face.newest.maps
