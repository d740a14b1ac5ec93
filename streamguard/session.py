"""The sans-I/O core of one stream: frames and scores in, windows to score and events out. Used by the drivers.

It knows no clock, thread or socket. Drive it by hand, from one thread at a time:

    session.feed(frame, now_s)         # a frame came (detection runs in here)
    session.tick(now_s)                # nothing came: silence can alarm too
    session.take_work()                # windows that are ready to be scored
    session.put_scores([...])          # what the network said of them
    session.take_map_work()            # clips that heat maps are wanted of: now and then, if at all
    session.put_maps([...])            # those
    session.lose_work([...])           # those that it was too busy for
    session.events()                   # what happened since the last call
"""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite
from statistics import median

from .bundle import Calibration
from .clips import FaceClips
from .config import SessionConfig
from .events import (
    Blinded,
    CannotJudge,
    EndOfStream,
    Event,
    EventsLost,
    FaceAppeared,
    FaceLost,
    Kind,
    MediaGap,
    Overload,
    ParticipantVerdictChanged,
    Score,
    StageTimes,
    StreamDown,
    StreamUp,
    VerdictChanged,
)
from .faces.detector import FaceDetector, FaceMesher
from .faces.quality import QualityLimits
from .faces.track import FaceTracker, Lost, TrackerStatistics
from .judge import Judge
from .map_turns import MapTurns
from .values import (
    Face,
    FaceState,
    Frame,
    GapCause,
    HeatMaps,
    LostCause,
    MapClip,
    Mapped,
    Reason,
    Scored,
    StreamState,
    Window,
)

SLOW_SPAN_S = 2.0
"""The source's rate is counted over this much media time, never averaged gap by gap: cameras send in bursts."""
SLOW_SHARE, FAST_SHARE = 0.8, 0.9
"""A source with fewer frames than the first share of the grid's rate cannot fill windows; above the second it can."""
MOST_EVENTS = 10_000
"""Events that wait for `events()`; then the oldest are lost, and EventsLost says which."""
NO_FACE_AFTER_S = 1.0
CALM_STATES = (FaceState.LIKELY_REAL, FaceState.LOW_QUALITY)
"""Faces for which a heat map is seldom looked at."""
TELL_DROPS_EVERY_S = 5.0
"""Lost work is told at least so often (wall clock) while it goes on, and whenever the hop changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatistics:
    """What became of one stream's frames, since the session began."""

    frames: int
    late_frames: int
    """Frames that were not later than the one before, or had no finite time: refused."""
    windows: int
    """Windows made."""
    work_dropped: int
    """Windows that were never scored: nobody took them in time, or the network was too busy."""
    stale_scores: int
    """Scores for generations that had ended: refused."""
    bad_scores: int
    """Scores that were no number from 0 to 1: refused."""
    gaps: int
    """Grid points filled by repeating the crop before."""
    resets: int
    """Runs of crops that a hole of two or more points ended."""
    media_gaps: dict[str, int]
    """Breaks of media time, by cause."""
    ring_bytes: int
    tracker: TrackerStatistics
    map_clips: int = 0
    """Clips handed out for heat maps."""
    maps_left_out: int = 0
    """Heat maps that were due and not made, since the network could not even keep up with scores."""
    stale_maps: int = 0
    """Heat maps for generations that had ended: refused."""


@dataclass(slots=True)
class _Watched:
    """What the session keeps for one live face generation."""

    clips: FaceClips
    state: FaceState = FaceState.WARMING_UP
    reasons: tuple[Reason, ...] = ()


class Session:
    """One stream. `feed`, `tick`, `take_work`, `put_scores` and `events` may be called in any order."""

    def __init__(
        self,
        config: SessionConfig,
        *,
        detector: FaceDetector,
        mesher: FaceMesher,
        stream_id: str = "stream",
        participant_id: str | None = None,
        epoch: str | None = None,
        limits: QualityLimits | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        """Without a calibration there is no p_fake, and no face is called real or fake."""
        self.stream_id = stream_id
        self.participant_id = participant_id
        self.epoch = epoch or uuid.uuid4().hex[:12]
        self._config = config
        self._judge = Judge(config, limits or QualityLimits(), calibration)
        self._tracker = FaceTracker(config.faces, detector, mesher)
        self._maps = None if config.maps_every_s is None else MapTurns(config.maps_every_s)
        self._watched: dict[tuple[int, int], _Watched] = {}
        self._work: deque[Window] = deque()
        self._events: deque[Event] = deque()
        self._seq = 0
        self._state = StreamState.CONNECTING
        self._last_pts_s: float | None = None
        self._last_utc_s: float | None = None
        self._size = (0, 0)
        self._last_face_pts_s: float | None = None
        self._alive_s: float | None = None
        """Wall clock of the last sign of life; None while the source is known to be down."""
        self._recent_pts_s: deque[float] = deque()
        self._steps_s: deque[float] = deque(maxlen=5)
        self._hop_s = self._usual_hop_s = config.clip.hop_s if config.clip.feed == "window" else config.clip.grid_s
        self._participant_state = FaceState.WARMING_UP
        self._drops_untold = 0
        self._drops_told_s: float | None = None
        self._frames = self._late_frames = self._windows = self._work_dropped = 0
        self._stale_scores = self._bad_scores = 0
        self._ended_gaps = self._ended_resets = 0
        self._media_gaps: Counter[str] = Counter()

    # In.

    def feed(self, frame: Frame, now_s: float) -> None:
        """Take the next frame. One that is not later than the frame before is refused and counted."""
        if self._state is StreamState.ENDED:
            return
        if not isfinite(frame.pts_s) or (self._last_pts_s is not None and frame.pts_s <= self._last_pts_s):
            self._late_frames += 1
            return
        self._note_break(frame)
        self._last_pts_s, self._last_utc_s = frame.pts_s, frame.utc_s
        self._size = (frame.picture.width, frame.picture.height)
        self._frames += 1
        self._alive_s = now_s
        self._note_rate(frame.pts_s)
        looked = self._tracker.update(frame, self._is_due)
        self._drop_lost(looked.lost)
        if looked.cut:
            self._note_media_gap(GapCause.SCENE_CUT, 0.0)
        if looked.faces:
            self._last_face_pts_s = frame.pts_s
        self._state = self._live_state(frame.pts_s)
        for face in looked.appeared:
            self._watch(face, frame)
        new = {(face.face_id, face.generation) for face in looked.faces if self._take_face(face, frame)}
        if self._maps is not None:
            faces = {key: watched.clips for key, watched in self._watched.items() if key in new}
            calm = [key for key in faces if self._watched[key].state in CALM_STATES]
            self._maps.give_turns(faces, frame.pts_s, calm=calm)
        self._judge.pass_time(frame.pts_s)
        for key in self._watched:
            self._note_opinion(key)
        self._note_participant(frame.pts_s)
        self._note_missing(self._judge.missing(pts_s=frame.pts_s))

    def source_event(self, kind: StreamUp | StreamDown | EndOfStream, now_s: float) -> None:
        """Take what the source said of itself."""
        if self._state is StreamState.ENDED:
            return
        if isinstance(kind, StreamUp):
            self._alive_s = now_s
            self._state = StreamState.NO_FACE
        elif isinstance(kind, StreamDown):
            self._alive_s = None
            if kind.retry_in_s is None:
                self._drop_lost(self._tracker.end_all(LostCause.STREAM_ENDED))
            self._state = StreamState.STALLED if self._frames else StreamState.CONNECTING
        else:
            self._drop_lost(self._tracker.end_all(LostCause.STREAM_ENDED))
            self._tell_drops(now_s)
            self._state = StreamState.ENDED
        self._emit(kind)

    def tick(self, now_s: float) -> None:
        """Time passed. Needed at `next_deadline_s()` at the latest, whether frames come or not."""
        if self._state is StreamState.ENDED:
            return
        deadline_s = self._stalled_at_s()
        if deadline_s is not None and now_s >= deadline_s:
            assert self._alive_s is not None
            self._state = StreamState.STALLED
            self._emit(Blinded(silent_s=now_s - self._alive_s))
        self._note_missing(self._judge.missing(now_s=now_s))

    def next_deadline_s(self) -> float | None:
        """When to call `tick` if nothing else happens; None if nothing is waited for."""
        if self._state is StreamState.ENDED:
            return None
        stalled_at_s = self._stalled_at_s()
        next_s = min(self._judge.next_alarm_s, inf if stalled_at_s is None else stalled_at_s)
        return None if next_s == inf else next_s

    def _stalled_at_s(self) -> float | None:
        if self._alive_s is None or self._state is StreamState.STALLED:
            return None
        return self._alive_s + self._config.stalled_after_s

    def put_scores(self, scores: Sequence[Scored]) -> None:
        """Take scores for windows that `take_work` gave. One for a generation that has ended, or that is no number from
        0 to 1, is refused and counted."""
        for scored in scores:
            window = scored.window
            key = window.face_id, window.generation
            watched = self._watched.get(key)
            if watched is None:
                self._stale_scores += 1
            elif not 0.0 <= scored.raw_score <= 1.0:
                self._bad_scores += 1
                watched.clips.start_afresh(window)  # what a network remembers of it may be as bad
            elif self._judge.is_warm(window):
                self._put_score(scored, watched)

    def put_maps(self, mapped: Sequence[Mapped]) -> list[Mapped]:
        """Take heat maps of clips that `take_map_work` gave. Gives those that are news; maps for a generation that has
        ended are refused and counted."""
        return [] if self._maps is None else self._maps.put(mapped)

    def make_map_room(self, clips: int) -> None:
        """Until this is called again, no more clips than these are cut for heat maps."""
        if self._maps is not None:
            self._maps.room = clips

    def lose_work(self, windows: Sequence[Window]) -> None:
        """Windows that `take_work` gave will not be scored. A network that is fed by steps has missed some then: the
        rest of that slot is no use, and the face starts a fresh one."""
        for window in windows:
            self._work_dropped += 1
            self._drops_untold += 1
            watched = self._watched.get((window.face_id, window.generation))
            if watched is not None:
                watched.clips.start_afresh(window)

    def set_hop(self, hop_s: float, now_s: float) -> None:
        """The network can score each face only so often: make windows accordingly, and say so."""
        if hop_s <= self._usual_hop_s:
            hop_s = self._usual_hop_s
        else:
            hop_s = ceil(hop_s / self._config.clip.grid_s - 1e-6) * self._config.clip.grid_s
        changed = abs(hop_s - self._hop_s) > 1e-9
        if changed:
            self._hop_s = self._judge.hop_s = hop_s
            if self._maps is not None:
                self._maps.overloaded = hop_s > self._usual_hop_s
            for i, watched in enumerate(self._watched.values()):
                watched.clips.stretch(hop_s, i / len(self._watched))
        due = self._drops_told_s is None or now_s - self._drops_told_s >= TELL_DROPS_EVERY_S
        if changed:
            self._tell_hop(now_s)
        elif due:
            self._tell_drops(now_s)

    # Out.

    def take_work(self) -> list[Window]:
        """The windows that became ready since the last call, oldest first."""
        work = list(self._work)
        self._work.clear()
        return work

    def take_map_work(self) -> list[MapClip]:
        """The clips that heat maps are wanted of since the last call."""
        return [] if self._maps is None else self._maps.take_work()

    def events(self) -> list[Event]:
        """The events since the last call, in order. If nobody asked for long, the oldest are lost, and that is told."""
        events = list(self._events)
        self._events.clear()
        return events

    @property
    def state(self) -> StreamState:
        return self._state

    def faces(self) -> list[Face]:
        """The faces that are followed now, each as it was last measured."""
        return [watched.clips.face for watched in self._watched.values()]

    def face_state(self, face: Face) -> FaceState:
        """WARMING_UP for a face that is not followed any more."""
        watched = self._watched.get((face.face_id, face.generation))
        return FaceState.WARMING_UP if watched is None else watched.state

    def mapped(self, face: Face) -> Mapped | None:
        """The newest heat maps of a face that is followed; None if there are none yet, or none are made."""
        return None if self._maps is None else self._maps.newest((face.face_id, face.generation))

    @property
    def participant_state(self) -> FaceState:
        """What is thought of the participant, across generations; WARMING_UP while nothing is."""
        return self._participant_state

    def statistics(self) -> SessionStatistics:
        clips = [watched.clips for watched in self._watched.values()]
        live = [one.statistics() for one in clips]
        return SessionStatistics(
            frames=self._frames,
            late_frames=self._late_frames,
            windows=self._windows,
            work_dropped=self._work_dropped,
            stale_scores=self._stale_scores,
            bad_scores=self._bad_scores,
            gaps=self._ended_gaps + sum(one.gaps for one in live),
            resets=self._ended_resets + sum(one.resets for one in live),
            media_gaps=dict(self._media_gaps),
            ring_bytes=sum(one.nbytes for one in clips),
            tracker=self._tracker.statistics(),
            map_clips=0 if self._maps is None else self._maps.clips,
            maps_left_out=0 if self._maps is None else self._maps.left_out,
            stale_maps=0 if self._maps is None else self._maps.stale,
        )

    # Media time.

    def _note_break(self, frame: Frame) -> None:
        """A long hole, a jump or another size ends every generation; a short outage does not."""
        if self._last_pts_s is None:
            return
        gap_s = frame.pts_s - self._last_pts_s
        # A camera of one frame a second has no gaps of a second.
        longest_s = (
            max(self._config.long_gap_s, 3 * median(self._steps_s)) if self._steps_s else self._config.long_gap_s
        )
        self._steps_s.append(gap_s)
        cause: GapCause | None = None
        if gap_s > longest_s:
            cause = frame.gap or GapCause.LONG_GAP
        elif frame.gap is GapCause.BACKWARD_JUMP:
            cause = frame.gap
        elif self._size != (frame.picture.width, frame.picture.height):
            cause = GapCause.SIZE_CHANGED
        if cause is not None:
            self._drop_lost(self._tracker.end_all(LostCause.MEDIA_GAP))
            self._note_media_gap(cause, gap_s if gap_s > longest_s else 0.0)

    def _note_media_gap(self, cause: GapCause, gap_s: float) -> None:
        self._media_gaps[cause.value] += 1
        self._recent_pts_s.clear()
        self._emit(MediaGap(cause=cause, gap_s=gap_s))

    def _note_rate(self, pts_s: float) -> None:
        """A source that is too slow for the grid never fills a window: say so instead of staying silent."""
        self._recent_pts_s.append(pts_s)
        while pts_s - self._recent_pts_s[0] > SLOW_SPAN_S and len(self._recent_pts_s) > 3:
            self._recent_pts_s.popleft()
        span_s = pts_s - self._recent_pts_s[0]
        if span_s < SLOW_SPAN_S / 2:
            return
        share = (len(self._recent_pts_s) - 1) / span_s * self._config.clip.grid_s
        too_slow = share < (FAST_SHARE if self._judge.too_slow else SLOW_SHARE)
        if too_slow != self._judge.too_slow:
            self._judge.too_slow = too_slow
            for key in self._watched:
                self._note_opinion(key)

    # Faces.

    def _is_due(self, face_id: int, generation: int, pts_s: float) -> bool:
        watched = self._watched.get((face_id, generation))
        return watched is None or watched.clips.wants(pts_s)

    def _watch(self, face: Face, frame: Frame) -> None:
        key = face.face_id, face.generation
        clips = FaceClips(self._config.clip, face, frame.pts_s)
        if self._hop_s != self._usual_hop_s:
            clips.stretch(self._hop_s, 0.0)
        self._watched[key] = _Watched(clips=clips)
        self._judge.begin(key)
        if self._maps is not None:
            self._maps.begin(key)
        self._emit(FaceAppeared(face_id=face.face_id, generation=face.generation, box_px=face.box_px))
        self._note_opinion(key)

    def _drop_lost(self, lost: Sequence[Lost]) -> None:
        for one in lost:
            watched = self._watched.pop((one.face_id, one.generation), None)
            if watched is None:
                continue
            self._judge.end((one.face_id, one.generation))
            if self._maps is not None:
                self._maps.end((one.face_id, one.generation))
            statistics = watched.clips.statistics()
            self._ended_gaps += statistics.gaps
            self._ended_resets += statistics.resets
            kept = [w for w in self._work if (w.face_id, w.generation) != (one.face_id, one.generation)]
            self._work_dropped += len(self._work) - len(kept)
            self._work = deque(kept)
            self._emit(
                FaceLost(
                    face_id=one.face_id,
                    generation=one.generation,
                    cause=one.cause,
                    last_seen_pts_s=one.last_seen_pts_s,
                )
            )

    def _take_face(self, face: Face, frame: Frame) -> bool:
        """True if this completed a window."""
        watched = self._watched[face.face_id, face.generation]
        window = watched.clips.take(face, frame)
        if window is not None:
            self._add_work(window)
        return window is not None

    def _add_work(self, window: Window) -> None:
        self._windows += 1
        self._judge.see(window)
        self._note_opinion((window.face_id, window.generation))
        self._work.append(window)
        if len(self._work) > self._config.most_work:
            self._drop_oldest_work()

    def _drop_oldest_work(self) -> None:
        """Nobody took it in time. Of steps, those after it in the same slot are no use either."""
        oldest = self._work.popleft()
        gone = [oldest]
        if self._config.clip.feed == "step":
            gone += [window for window in self._work if window.slot == oldest.slot]
            self._work = deque(window for window in self._work if window.slot != oldest.slot)
        self.lose_work(gone)

    # States and events.

    def _put_score(self, scored: Scored, watched: _Watched) -> None:
        window = scored.window
        judgement = self._judge.score(scored)
        self._note_opinion((window.face_id, window.generation))
        estimate = judgement.estimate
        self._emit(
            Score(
                face_id=window.face_id,
                generation=window.generation,
                pts_start_s=window.pts_start_s,
                pts_end_s=window.pts_end_s,
                crops_real=window.crops_real,
                crops_expected=window.crops_expected,
                gaps=window.gaps,
                raw_score=scored.raw_score,
                p_fake=None if estimate is None else estimate.p_fake,
                p_fake_low=None if estimate is None else estimate.p_low,
                p_fake_high=None if estimate is None else estimate.p_high,
                p_face=judgement.p_face,
                state=judgement.opinion.state,
                reasons=judgement.opinion.reasons,
                quality=window.quality,
                latency=StageTimes(
                    wait_s=scored.taken_s - window.arrival_s,
                    queue_s=scored.begun_s - scored.taken_s,
                    infer_s=scored.ended_s - scored.begun_s,
                ),
                maps=self._maps_to_tell(window),
            )
        )
        if self._last_pts_s is not None:
            self._note_participant(self._last_pts_s)

    def _maps_to_tell(self, window: Window) -> HeatMaps | None:
        if self._maps is None or not self._config.maps_in_events:
            return None
        return self._maps.take_untold((window.face_id, window.generation))

    def _note_participant(self, pts_s: float) -> None:
        verdict = self._judge.participant(pts_s)
        if verdict is None or verdict.state is self._participant_state or verdict.face is None:
            return
        previous, self._participant_state = self._participant_state, verdict.state
        face_id, generation = verdict.face
        self._emit(
            ParticipantVerdictChanged(
                state=verdict.state,
                previous=previous,
                p_fake=verdict.p_fake,
                face_id=face_id,
                generation=generation,
            )
        )

    def _tell_drops(self, now_s: float) -> None:
        if self._drops_untold:
            self._tell_hop(now_s)

    def _tell_hop(self, now_s: float) -> None:
        self._emit(Overload(effective_hop_s=self._hop_s, dropped=self._drops_untold))
        self._drops_untold, self._drops_told_s = 0, now_s

    def _note_missing(self, missing_s: float | None) -> None:
        if missing_s is not None:
            self._emit(CannotJudge(missing_s=missing_s, reasons=self._judge.why_missing()))

    def _note_opinion(self, key: tuple[int, int]) -> None:
        opinion = self._judge.opinion(key)
        watched = self._watched[key]
        if (watched.state, watched.reasons) == (opinion.state, opinion.reasons):
            return
        previous = watched.state
        watched.state, watched.reasons = opinion.state, opinion.reasons
        if self._maps is not None and opinion.state is FaceState.LIKELY_FAKE is not previous:
            self._maps.give_turn(key, watched.clips, self._last_pts_s or 0.0)
        face_id, generation = key
        self._emit(
            VerdictChanged(
                face_id=face_id,
                generation=generation,
                state=opinion.state,
                previous=previous,
                reasons=opinion.reasons,
            )
        )

    def _live_state(self, pts_s: float) -> StreamState:
        seen_pts_s = self._last_face_pts_s
        lately = seen_pts_s is not None and pts_s - seen_pts_s <= NO_FACE_AFTER_S
        return StreamState.LIVE if lately else StreamState.NO_FACE

    def _emit(self, kind: Kind) -> None:
        self._seq += 1
        self._events.append(self._event(self._seq, kind))
        if len(self._events) > MOST_EVENTS:
            lost = [self._events.popleft(), self._events.popleft()]
            first = lost[0].kind.first_seq if isinstance(lost[0].kind, EventsLost) else lost[0].seq
            told = EventsLost(first_seq=first, last_seq=lost[1].seq)
            self._events.appendleft(self._event(lost[1].seq, told))

    def _event(self, seq: int, kind: Kind) -> Event:
        return Event(
            stream_id=self.stream_id,
            participant_id=self.participant_id,
            epoch=self.epoch,
            seq=seq,
            pts_s=self._last_pts_s or 0.0,
            utc_s=self._last_utc_s,
            stream_state=self._state,
            kind=kind,
        )
