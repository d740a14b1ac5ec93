"""Cuts the faces of an index's footage into tracks, in several processes. Used by `streamguard data prepare`.

A Session looks at each footage as at any other video: breaks of media time, generations and patches are the runtime's
own. What is done is done: a second run takes up what is left, what was made with other settings or of another file, and
what was damaged.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from ..config import ClipConfig, SessionConfig
from ..crop import cut_patch
from ..errors import DataError, PictureError, SourceError
from ..events import FaceLost, StreamUp
from ..faces.detector import FaceDetector, FaceMesher, open_detector, open_mesher
from ..faces.mesh import face_box
from ..picture import Picture
from ..ring import PatchRing
from ..session import Session
from ..values import Detection, Face, Frame, Mesh, Patch
from .files import writing
from .index import Footage, Index
from .reading import repeated
from .tracks import Done, Found, Settings, Track, TrackWriter

LIMIT = "LIMIT"
"""A track's end: the footage was read no further."""
_NEVER_S = 1e6
"""No window is wanted of the session, but the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run of `prepare` has to do."""

    todo: tuple[Footage, ...]
    kept: int
    """Done before, with the same settings, of the same files."""
    remade: int
    """Of those to do: made before with other settings, or of another file, or damaged since."""


def plan(index: Index, settings: Settings) -> Plan:
    """Failures are tried again: a disk may have been away."""
    todo, remade = [], 0
    for one in index.footage:
        done = Done.open(index.tracks_folder(one))
        if done is None or done.failure:
            todo.append(one)
        elif (
            done.settings != settings
            or not _is_of(done, one, index.path(one))
            or not _is_whole(done, index.tracks_folder(one))
        ):
            todo.append(one)
            remade += 1
    return Plan(todo=tuple(todo), kept=len(index.footage) - len(todo), remade=remade)


def _is_of(done: Done, footage: Footage, path: Path) -> bool:
    """A file that is away is taken to be as it was: its tracks are good without it."""
    same = (done.file, done.side) == (footage.file, footage.side)
    return same and (not path.is_file() or done.file_bytes == path.stat().st_size)


def _is_whole(done: Done, folder: Path) -> bool:
    """Whoever reads a damaged track says to prepare its footage again, so that has to help."""
    try:
        for found in done.tracks:
            Track.open(folder / found.name).check_files()
    except DataError:
        return False
    return True


def prepare(
    index: Index,
    footage: Sequence[Footage],
    settings: Settings,
    *,
    jobs: int = 1,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[tuple[Footage, Done]]:
    """Cut the faces of each; yields what became of it, in the order in which they are ready.

    A file that cannot be read is recorded, and so is one on which the decoder dies with its whole process. Anything
    else, such as a full disk, ends it. Once `stopped`, what has begun is finished, and nothing is begun.
    """
    waiting = list(reversed(footage))
    while waiting and not stopped():
        suspects: list[Footage] = []
        with _pool(index, settings, jobs) as pool:
            running: dict[Future[Done], Footage] = {}
            try:
                while running or (waiting and not stopped()):
                    while waiting and len(running) < jobs and not stopped():
                        one = waiting.pop()
                        running[pool.submit(_work, one)] = one
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        one, done = running[future], future.result()
                        del running[future]
                        yield one, done
            except BrokenProcessPool:
                suspects = list(running.values())
        for one in suspects:
            if not stopped():  # else it was a signal for all processes that ended them
                yield one, _alone(index, one, settings)


def _alone(index: Index, footage: Footage, settings: Settings) -> Done:
    """One of several that ran when a process died: is it the one that kills?"""
    with _pool(index, settings, 1) as pool:
        try:
            return pool.submit(_work, footage).result()
        except BrokenProcessPool:
            failure = f"{index.path(footage)} ends the whole process that reads it"
            return _record(index, footage, settings, _Seen(), failure)


@contextmanager
def _pool(index: Index, settings: Settings, jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes for `_work`. Whatever ends it early, nobody waits for what they are at."""
    context = multiprocessing.get_context("spawn")  # not fork: a process with OpenVINO's threads cannot be copied
    hang_up = context.Event()
    told = (index, settings, hang_up)  # once a process, not with each clip: an index may be large
    with ProcessPoolExecutor(jobs, context, initializer=_begin_worker, initargs=told) as pool:
        try:
            yield pool
        except BaseException:
            hang_up.set()
            raise


class _Worker:
    """What a process of the pool was told when it began."""

    index: Index
    settings: Settings


def _begin_worker(index: Index, settings: Settings, hang_up: Event) -> None:
    _Worker.index, _Worker.settings = index, settings
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes, and is for the one that started us
    exit_with_parent()
    threading.Thread(target=_exit_after, args=(hang_up.wait,), daemon=True).start()


def exit_with_parent() -> None:
    """A process of a pool whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_exit_after, args=(parent.join,), daemon=True).start()


def _exit_after(end: Callable[[], object]) -> None:
    end()
    os._exit(1)


def _work(footage: Footage) -> Done:
    return prepare_one(_Worker.index, footage, _Worker.settings, open_detector(), open_mesher())


def prepare_one(index: Index, footage: Footage, settings: Settings, detector: FaceDetector, mesher: FaceMesher) -> Done:
    """Cut one footage's faces into its folder, which is made anew."""
    folder = index.tracks_folder(footage)
    with writing(folder):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    seen, failure = _Seen(), ""
    cutter = _Cutter(folder, settings, detector, mesher, still=footage.still)
    try:
        with index.source(footage) as source:
            for item in repeated(source) if footage.still else source:
                if isinstance(item, StreamUp):
                    seen.codec = item.codec or ""
                elif isinstance(item, Frame):
                    seen.note(item)
                    cutter.take(item)
                    if cutter.seconds >= settings.seconds:
                        break
        tracks = cutter.close()
        if not seen.frames:
            failure = f"{source.url} holds not one picture"
    except (SourceError, PictureError) as exc:
        cutter.abandon()
        tracks, failure = (), str(exc)
    return _record(index, footage, settings, seen, failure, tracks)


@dataclass(slots=True)
class _Seen:
    """What was read of one footage."""

    codec: str = ""
    size: tuple[int, int] = (0, 0)
    frames: int = 0
    first_pts_s: float = 0.0
    last_pts_s: float = 0.0

    def note(self, frame: Frame) -> None:
        if not self.frames:
            self.first_pts_s, self.size = frame.pts_s, (frame.picture.width, frame.picture.height)
        self.last_pts_s = frame.pts_s
        self.frames += 1

    @property
    def seconds(self) -> float:
        return self.last_pts_s - self.first_pts_s

    @property
    def fps(self) -> float:
        return (self.frames - 1) / self.seconds if self.seconds > 0 else 0.0


def _record(
    index: Index, footage: Footage, settings: Settings, seen: _Seen, failure: str, tracks: tuple[Found, ...] = ()
) -> Done:
    folder, path = index.tracks_folder(footage), index.path(footage)
    done = Done(
        settings=settings,
        file=footage.file,
        side=footage.side,
        file_bytes=path.stat().st_size if path.is_file() else 0,
        failure=_one_line(failure),
        codec=seen.codec,
        width=seen.size[0],
        height=seen.size[1],
        fps=0.0 if footage.still else seen.fps,
        frames=1 if footage.still and seen.frames else seen.frames,
        seconds=0.0 if footage.still else seen.seconds,
        tracks=tracks,
    )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    done.save(folder)
    return done


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


class _Cutter:
    """A Session's faces into tracks, frame by frame."""

    def __init__(
        self, folder: Path, settings: Settings, detector: FaceDetector, mesher: FaceMesher, *, still: bool
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._still = still
        self._mesher = _RememberingMesher(mesher)
        clip = ClipConfig(grid_s=settings.grid_s, length=1, hop_s=_NEVER_S, size_px=settings.size_px)
        self._session = Session(SessionConfig(clip=clip), detector=detector, mesher=self._mesher)
        self._live: dict[tuple[int, int], _Live] = {}
        self._found: list[Found] = []
        self._names = 0
        self._before_pts_s: float | None = None
        """Time of the frame before."""
        self.seconds = 0.0
        """Media time with a face in view."""

    def take(self, frame: Frame) -> None:
        self._mesher.seen.clear()
        self._session.feed(frame, frame.arrival_s)
        self._session.take_work()
        for event in self._session.events():
            if isinstance(event.kind, FaceLost):
                self._end((event.kind.face_id, event.kind.generation), event.kind.cause.value)
        faces = self._session.faces()
        for face in faces:
            self._take_face(face, frame)
        if faces and self._before_pts_s is not None:
            self.seconds += frame.pts_s - self._before_pts_s
        self._before_pts_s = frame.pts_s

    def close(self) -> tuple[Found, ...]:
        """What was found. Faces that are still followed are seen no further."""
        for key in list(self._live):
            self._end(key, LIMIT if self.seconds >= self._settings.seconds else "STREAM_ENDED")
        return tuple(sorted(self._found, key=lambda found: int(found.name)))

    def abandon(self) -> None:
        for live in self._live.values():
            live.writer.abandon()

    def _take_face(self, face: Face, frame: Frame) -> None:
        key = face.face_id, face.generation
        live = self._live.get(key)
        if live is None:
            writer = TrackWriter(self._folder / str(self._names), self._settings.grid_s)
            self._names += 1
            ring = PatchRing(anchor_pts_s=frame.pts_s, grid_s=self._settings.grid_s, capacity=1)
            live = self._live[key] = _Live(writer=writer, ring=ring)
        if face is live.face or not live.ring.wants(frame.pts_s):
            return  # not measured in this frame, or not wanted
        live.face = face
        patch = cut_patch(
            frame.picture,
            face,
            pts_s=frame.pts_s,
            grid_index=live.ring.index_of(frame.pts_s),
            size_px=self._settings.size_px,
            arrival_s=0.0,
        )
        live.ring.put(patch)
        mesh = self._mesher.mesh_of(face)
        if self._still:
            live.newest = patch, mesh
        else:
            live.writer.put(patch, mesh)

    def _end(self, key: tuple[int, int], cause: str) -> None:
        live = self._live.pop(key, None)
        if live is None:
            return
        if live.newest is not None:
            live.writer.put(*live.newest)
        self._found.append(live.writer.close(cause))


@dataclass(slots=True, kw_only=True)
class _Live:
    """A face generation that is followed."""

    writer: TrackWriter
    ring: PatchRing
    face: Face | None = None
    """As last measured."""
    newest: tuple[Patch, np.ndarray] | None = field(default=None)
    """Of a still only the last sighting is kept: by then the mesh has settled."""


class _RememberingMesher:
    """Hands on to a mesher, and remembers what it saw in the present frame: a Face has only five of the points."""

    def __init__(self, mesher: FaceMesher) -> None:
        self._mesher = mesher
        self.seen: list[Mesh] = []

    def measure(self, picture: Picture, detection: Detection) -> Mesh:
        return self._note(self._mesher.measure(picture, detection))

    def follow(self, picture: Picture, before: Mesh, shift_px: tuple[float, float]) -> Mesh:
        return self._note(self._mesher.follow(picture, before, shift_px))

    def mesh_of(self, face: Face) -> np.ndarray:
        """(468, 2): the points of the very mesh that this face was made of."""
        for mesh in self.seen:
            if face_box(mesh) == face.box_px:  # to the last bit: no other face has it
                return mesh.points_px[:, :2]
        raise AssertionError("a face that was measured in this frame has its mesh")

    def _note(self, mesh: Mesh) -> Mesh:
        self.seen.append(mesh)
        return mesh
