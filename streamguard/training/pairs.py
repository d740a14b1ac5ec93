"""Pairs of a real clip and a fake one, as they are kept: made of prepared footage of the groups that may be trained on.

    pseudo   a real clip (or a still that is shaken a little) and a fake that is made of it
    twins    a genuine fake and the footage it was made from, the same frames
    alone    a genuine fake without such footage, and a real clip of other people, brought to the same size

Both sides of a pair are degraded alike. Groups are drawn first, then footage, then a place in it: who was filmed more
is not seen more. A pair's number decides everything about it, wherever and whenever it is made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..data.index import Footage, Index
from ..data.tracks import Done, Found, Settings, Track
from ..errors import ConfigError, DataError
from ..values import Patch
from . import degrade, fakes
from .fakes.swap import resized
from .recipe import Recipe, Stage
from .tiles import Tiles, tiles_of

DONORS = 0.5
"""How often kinds that can do without another person's clip are given one."""
DRAWS = 50
"""Places that are tried before it is said that there is none."""
SAME_MOMENT_S = 1e-3
"""Frames of a fake and of its twin are the same frames of one file."""
SAME_PLACE = 0.5
"""Overlap of boxes: a fake beside an untouched face stands for the one that was under it."""


@dataclass(slots=True, kw_only=True, eq=False)
class Pair:
    """Both sides of equally many frames. Pixels of twins are those of the same moments; others' are not."""

    real: Tiles
    fake: Tiles
    mask: np.ndarray | None  # (L, P, P) uint8 of `fake`, 255 where it was altered; None where nobody knows
    kind: str
    """Of the pseudo-fake, or `twins` or `alone`."""
    number: int = 0

    @property
    def same_moments(self) -> bool:
        return self.kind != "alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One track of one footage."""

    footage: Footage
    folder: Path
    patches: int


Match: TypeAlias = tuple[Place, list[int]]


@dataclass(slots=True, kw_only=True)
class Material:
    """What may be drawn from, by group."""

    real: dict[str, list[Place]] = field(default_factory=dict)
    stills: dict[str, list[Place]] = field(default_factory=dict)
    twins: dict[str, list[Place]] = field(default_factory=dict)
    """Genuine fakes with a twin."""
    alone: dict[str, list[Place]] = field(default_factory=dict)
    twin_places: dict[str, list[Place]] = field(default_factory=dict)
    """By key of the real footage."""

    @property
    def groups(self) -> frozenset[str]:
        return frozenset().union(*(of.keys() for of in (self.real, self.stills, self.twins, self.alone)))


def material_of(index: Index, groups: Iterable[str]) -> Material:
    """What was prepared of these groups. DataError where nothing was prepared at all."""
    found = Material()
    kinds: dict[str, defaultdict[str, list[Place]]] = {
        name: defaultdict(list) for name in ("real", "stills", "twins", "alone", "twin_places")
    }
    prepared = False
    for footage in index.of_groups(groups):
        folder = index.tracks_folder(footage)
        done = Done.open(folder)
        prepared = prepared or done is not None
        for place in _places(footage, folder, done.kept if done is not None else ()):
            if footage.label == "fake":
                kinds["twins" if footage.twin else "alone"][footage.group].append(place)
            else:
                kinds["stills" if footage.still else "real"][footage.group].append(place)
                kinds["twin_places"][footage.key].append(place)
    if not prepared:
        raise DataError(str(index.folder), "nothing of these groups is prepared. Run: streamguard data prepare")
    for name, of_group in kinds.items():
        setattr(found, name, dict(of_group))
    return found


def _places(footage: Footage, folder: Path, tracks: Sequence[Found]) -> Iterable[Place]:
    return (Place(footage=footage, folder=folder / track.name, patches=track.patches) for track in tracks)


class PairMaker:
    """Makes pairs of one stage, each by its number."""

    def __init__(self, index: Index, groups: Iterable[str], recipe: Recipe, stage: int, seed: int) -> None:
        """DataError where there is not what the stage needs."""
        self._stage: Stage = recipe.stages[stage]
        self._degraded = recipe.data.degraded
        self._most_px = recipe.data.tile_px
        self._step = round(recipe.entry.grid_s / Settings().grid_s) * recipe.data.stride
        self._length = self._stage.pair_length
        self._seed = (seed, stage)
        self._tracks: dict[Path, Track] = {}
        self._kinds = _kinds_with_weights(self._stage)
        material = material_of(index, groups)
        self.material = replace(
            material,
            real=_long_enough(material.real, self._least),
            twins=_long_enough(material.twins, self._least),
            alone=_long_enough(material.alone, self._least),
        )
        self._check(index)

    def make(self, number: int) -> Pair:
        """The pair of this number. DataError where no place is long enough, or files are damaged."""
        rng = np.random.default_rng([*self._seed, number])
        sort = str(rng.choice(["pseudo", "twins", "alone"], p=self._shares()))
        pair = {"pseudo": self._pseudo, "twins": self._twins, "alone": self._alone}[sort](rng)
        pair.number = number
        if rng.random() < self._degraded:
            # Files of fakes without a twin come from other encoders than the real ones: both go through a new one.
            change = degrade.draw(rng, codec=1.0) if pair.kind == "alone" else degrade.draw(rng)
            pair.real, pair.fake = change.apply(pair.real), change.apply(pair.fake)
            if pair.mask is not None:
                pair.mask = change.apply_to_mask(pair.mask)
        return pair

    @property
    def _least(self) -> int:
        """Patches that a clip takes, if none is missing."""
        return (self._length - 1) * self._step + 1

    def _shares(self) -> np.ndarray:
        shares = np.array([self._stage.pseudo, self._stage.twins, self._stage.alone])
        return shares / shares.sum()

    def _check(self, index: Index) -> None:
        stage, where = self._stage, str(index.folder)
        seconds = self._least * Settings().grid_s
        wanted = {
            "real video": (self.material.real, stage.pseudo * (1 - stage.stills) + stage.alone, "pseudo"),
            "photographs": (self.material.stills, stage.pseudo * stage.stills, "stills"),
            "fakes with a twin": (self.material.twins, stage.twins, "twins"),
            "fakes without a twin": (self.material.alone, stage.alone, "alone"),
        }
        for what, (there, share, key) in wanted.items():
            if share > 0 and not there:
                lacking = what if what == "photographs" else f"{what} of {seconds:.2g} s"
                problem = (
                    f"the recipe wants {lacking}, and these groups have none. Prepare some, or set the share of it"
                )
                raise DataError(where, f"{problem} to 0: --set 'stages.*.{key}=0'")
        for still, share in ((False, 1 - stage.stills), (True, stage.stills)):
            if stage.pseudo * share > 0 and not self._possible(still=still):
                raise ConfigError(
                    "recipe: kinds", "a stage has only kinds that need motion, for pictures that do not move"
                )
        people = len(self.material.real.keys() | self.material.stills.keys())
        if stage.pseudo and people < 2 and fakes.NEEDS_DONOR & {kind for kind, _ in self._kinds}:
            raise DataError(where, f"the kind {min(fakes.NEEDS_DONOR)} needs real people of two groups; there is one")

    def _pseudo(self, rng: np.random.Generator) -> Pair:
        still = rng.random() < self._stage.stills
        kind = self._kind(rng, still=still)
        real = self._still(rng) if still else self._clip(self.material.real, rng)
        donor = None
        if kind in fakes.NEEDS_DONOR or rng.random() < DONORS:
            donor = self._donor(rng, real.group)
        fake, mask = fakes.make(kind, real, donor, rng)
        return Pair(real=real, fake=fake, mask=np.round(255 * mask).astype(np.uint8), kind=kind)

    def _twins(self, rng: np.random.Generator) -> Pair:
        for _ in range(DRAWS):
            place = _draw(self.material.twins, rng)
            track = self._track(place)
            order = self._order(track, rng)
            match = None if order is None else self._same_moments(place, track, order)
            if order is not None and match is not None:
                return Pair(real=self._tiles(*match), fake=self._tiles(place, order), mask=None, kind="twins")
        raise DataError("pairs", f"no fake and its twin show the same {self._length} moments in {DRAWS} places")

    def _alone(self, rng: np.random.Generator) -> Pair:
        fake, real = self._clip(self.material.alone, rng), self._clip(self.material.real, rng)
        size_px = min(fake.face_px, real.face_px)
        return Pair(real=resized(real, size_px), fake=resized(fake, size_px), mask=None, kind="alone")

    def _kind(self, rng: np.random.Generator, *, still: bool) -> str:
        kinds = self._possible(still=still)
        weights = np.array([weight for _, weight in kinds])
        return kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))][0]

    def _possible(self, *, still: bool) -> list[tuple[str, float]]:
        """Kinds and weights: some need motion."""
        moved = not still and self._length > 1
        return [(kind, weight) for kind, weight in self._kinds if moved or kind not in fakes.NEEDS_MOTION]

    def _donor(self, rng: np.random.Generator, group: str) -> Tiles | None:
        """Somebody else's, or nobody's: a clip, a frame of one, or a still."""
        stills = self.material.stills if rng.random() < 0.3 else {}
        others = {name: places for name, places in (stills or self.material.real).items() if name != group}
        others = others or {name: places for name, places in self.material.stills.items() if name != group}
        if not others:
            return None
        if others.keys() <= self.material.stills.keys() and next(iter(others.values()))[0].footage.still:
            return self._tiles(_draw(others, rng), [0])
        return self._clip(others, rng, 1 if rng.random() < 0.5 else self._length)

    def _clip(self, of_group: dict[str, list[Place]], rng: np.random.Generator, length: int | None = None) -> Tiles:
        for _ in range(DRAWS):
            place = _draw(of_group, rng)
            track = self._track(place)
            order = self._order(track, rng)
            if order is not None:
                return self._tiles(place, order[:length])
        raise DataError("clips", f"none of {self._length} frames without a gap in {DRAWS} tracks")

    def _still(self, rng: np.random.Generator) -> Tiles:
        tiles = self._tiles(_draw(self.material.stills, rng), [0])
        return fakes.shaken(tiles, self._length, rng)

    def _tiles(self, place: Place, order: Sequence[int]) -> Tiles:
        footage = place.footage
        return tiles_of(
            _Chosen(self._track(place), order),
            0,
            len(order),
            1,
            most_px=self._most_px,
            key=footage.key,
            group=footage.group,
            label=footage.label,
        )

    def _order(self, track: Track, rng: np.random.Generator) -> list[int] | None:
        """Numbers of a clip's patches, from anywhere in the track; None where it has no such clip."""
        runs = [run for run in track.on_grid(self._step) if len(run) >= self._length]
        if not runs:
            return None
        starts = np.array([len(run) - self._length + 1 for run in runs])
        run = runs[int(rng.choice(len(runs), p=starts / starts.sum()))]
        start = int(rng.integers(len(run) - self._length + 1))
        return run[start : start + self._length]

    def _same_moments(self, place: Place, track: Track, order: Sequence[int]) -> Match | None:
        """Where the twin shows all of these moments of the same face, and its patches of them."""
        moments = track.pts_s[list(order)]
        for twin in self.material.twin_places.get(place.footage.twin, []):
            other = self._track(twin)
            nearest = np.abs(other.pts_s[None] - moments[:, None]).argmin(axis=1)
            if np.abs(other.pts_s[nearest] - moments).max() >= SAME_MOMENT_S:
                continue
            if all(track.box(i).overlap(other.box(j)) > SAME_PLACE for i, j in zip(order, nearest, strict=True)):
                return twin, nearest.tolist()
        return None

    def _track(self, place: Place) -> Track:
        if place.folder not in self._tracks:
            self._tracks[place.folder] = Track.open(place.folder)
        return self._tracks[place.folder]


class _Chosen:
    """Some patches of a track, in an order of their own."""

    def __init__(self, track: Track, order: Sequence[int]) -> None:
        self._track = track
        self._order = order

    def patch(self, index: int) -> Patch:
        return self._track.patch(self._order[index])

    def mesh(self, index: int) -> np.ndarray:
        return self._track.mesh(self._order[index])


def _kinds_with_weights(stage: Stage) -> list[tuple[str, float]]:
    unknown = sorted(stage.kinds.keys() - fakes.KINDS.keys())
    if unknown:
        raise ConfigError(
            "recipe: kinds", f"no pseudo-fake is called {unknown[0]!r}; there are {', '.join(fakes.KINDS)}"
        )
    return [(kind, weight) for kind, weight in sorted(stage.kinds.items()) if weight > 0]


def _long_enough(of_group: dict[str, list[Place]], patches: int) -> dict[str, list[Place]]:
    kept = {group: [place for place in places if place.patches >= patches] for group, places in of_group.items()}
    return {group: places for group, places in kept.items() if places}


def _draw(of_group: dict[str, list[Place]], rng: np.random.Generator) -> Place:
    """A group, then one of its footages, then one of that footage's tracks by its length."""
    places = of_group[sorted(of_group)[int(rng.integers(len(of_group)))]]
    keys = sorted({place.footage.key for place in places})
    key = keys[int(rng.integers(len(keys)))]
    tracks = [place for place in places if place.footage.key == key]
    weights = np.array([place.patches for place in tracks], np.float64)
    return tracks[int(rng.choice(len(tracks), p=weights / weights.sum()))]
