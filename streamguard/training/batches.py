"""What a training step sees: clips cut from a bank of pairs that worker processes refill without end.

A pair takes a tenth of a second and more to make, and a moment to cut clips from; so each is kept, seen a few times at
other places and with other augmentation, and then gives way to a new one. Both sides of a pair are cut, flipped,
coloured and blurred alike: only the forgery tells them apart.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..crop import fit_similarity
from ..data.index import Index
from ..errors import StreamGuardError, TrainingError
from ..faces.mesh import FIVE_POINT_INDICES
from ..picture import Picture
from .augment import STILL, Augmentation, Jitter, crop_mask, crop_tiles, draw_augmentation, draw_jitter
from .pairs import Pair, PairMaker
from .recipe import Recipe
from .tiles import Tiles

WAITING = 2
"""Pairs of each worker that wait to be taken."""
PATIENCE_S = 2.0
"""Between looks at whether workers still live."""
CELL_PX = 8
"""Masks have a value for each so many pixels of a crop."""

FINER = 4
"""Each of these is the mean of so many by so many."""


class Batch(NamedTuple):
    """N clips: pairs, a real clip and then its fake, again and again."""

    crops: np.ndarray  # (N, L, S, S, 3) uint8 RGB
    labels: np.ndarray  # (N,) int64: 1 is FAKE
    masks: np.ndarray  # (N, L, S / 8, S / 8) float32, 0 to 1: what was altered
    masked: np.ndarray  # (N,) bool: whether it is known what was altered
    twins: np.ndarray  # (N / 2,) bool: both show the same moments
    kinds: tuple[str, ...]
    """Of each pair."""
    groups: frozenset[str]
    """Whose faces these are."""


@dataclass(slots=True)
class _Kept:
    pair: Pair
    uses: int = 0


class Bank:
    """The newest so many pairs."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[_Kept] = []
        self.made = 0
        self.used = 0

    def __len__(self) -> int:
        return len(self.kept)

    def put(self, pair: Pair) -> None:
        """The oldest gives way if it is full."""
        self.kept.append(_Kept(pair))
        self.made += 1
        if len(self.kept) > self.size:
            del self.kept[0]

    def draw(self, rng: np.random.Generator, count: int) -> list[Pair]:
        """So many, all different where there are so many; those that were seen least first come first."""
        drawn: list[Pair] = []
        while len(drawn) < count:
            order = rng.permutation(len(self.kept))
            order = order[np.argsort([self.kept[i].uses for i in order], kind="stable")]
            for place in order[: count - len(drawn)].tolist():
                self.kept[place].uses += 1
                drawn.append(self.kept[place].pair)
        self.used += count
        return drawn


class Batches:
    """Of one stage. To be closed: it may have worker processes."""

    def __init__(self, index: Index, groups: Iterable[str], recipe: Recipe, stage: int, *, seed: int = 0) -> None:
        """`seed` tells the processes of one training from each other, beside the recipe's own."""
        groups = sorted(groups)
        self._recipe = recipe
        self._stage = recipe.stages[stage]
        seed = recipe.seed * 1009 + seed
        self._maker = PairMaker(index, groups, recipe, stage, seed)
        self._rng = np.random.default_rng([seed, stage, 1 << 40])
        self._bank = Bank(max(recipe.data.bank, self._stage.pairs))
        self._next = 0
        self._due = 0.0
        """Pairs to be made for what was seen."""
        self._workers: _Workers | None = None
        if recipe.data.workers:
            self._workers = _Workers(recipe.data.workers, (index.folder, groups, recipe, stage, seed))

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        if self._workers is not None:
            self._workers.close()

    def next(self) -> Batch:
        """Waits only for the first pairs."""
        self._refill()
        pairs = self._bank.draw(self._rng, self._stage.pairs)
        self._due = min(self._due + self._stage.pairs / self._recipe.data.reuse, self._bank.size)
        return batch_of(pairs, self._recipe, self._stage.length, self._stage.windows, self._rng)

    def statistics(self) -> dict[str, float]:
        seen = self._bank.used / max(1, self._bank.made)
        return {"bank": len(self._bank), "made": self._bank.made, "seen": round(seen, 2)}

    def state(self) -> dict[str, Any]:
        """Plain values; enough to go on with the very same batches where no workers are used."""
        return {
            "rng": self._rng.bit_generator.state,
            "next": self._next,
            "due": self._due,
            "kept": [[each.pair.number, each.uses] for each in self._bank.kept],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Pairs are made again; workers go on with new ones instead."""
        self._rng.bit_generator.state = state["rng"]
        self._next, self._due = state["next"], state["due"]
        if self._workers is not None:
            self._workers.start_at(self._next)
            return
        for number, uses in state["kept"]:
            self._bank.put(self._maker.make(number))
            self._bank.kept[-1].uses = uses

    def _refill(self) -> None:
        if self._workers is None:
            while len(self._bank) < self._bank.size or self._due >= 1:
                self._put(self._maker.make(self._next))
            return
        least = min(self._bank.size, 2 * self._stage.pairs)
        while len(self._bank) < least:
            self._put(self._workers.wait())
        while len(self._bank) < self._bank.size or self._due >= 1:
            pair = self._workers.ready()
            if pair is None:
                return
            self._put(pair)

    def _put(self, pair: Pair) -> None:
        full = len(self._bank) == self._bank.size
        self._bank.put(pair)
        self._next = max(self._next, pair.number + 1)
        if full:
            self._due -= 1


class Ahead:
    """The next batch is cut by a thread while this one is learned: for a GPU, which would wait for it."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._coming: Future[tuple[dict[str, Any], Batch]] | None = None

    def next(self) -> Batch:
        coming = self._coming or self._ask()
        batch = coming.result()[1]
        self._coming = self._ask()
        return batch

    def state(self) -> dict[str, Any]:
        """As it was before the batch that nobody has seen yet."""
        return self._batches.state() if self._coming is None else self._coming.result()[0]

    def statistics(self) -> dict[str, float]:
        return self._batches.statistics()

    def close(self) -> None:
        """Before the batches are closed."""
        self._thread.shutdown()

    def _ask(self) -> Future[tuple[dict[str, Any], Batch]]:
        return self._thread.submit(lambda: (self._batches.state(), self._batches.next()))


class _Workers:
    """Processes that make pairs of numbers of their own and wait while nobody takes them."""

    def __init__(self, count: int, told: tuple[Path, list[str], Recipe, int, int]) -> None:
        self._count = count
        self._told = told
        # Not fork: a process with threads of PyTorch or OpenVINO cannot be copied.
        self._context = multiprocessing.get_context("spawn")
        self._start(0)

    def start_at(self, number: int) -> None:
        """Forget what was made, and make what comes from this number on."""
        self.close()
        self._start(number)

    def _start(self, first: int) -> None:
        self._queue: Any = self._context.Queue(WAITING * self._count)
        self._processes = [
            self._context.Process(
                target=_work, args=(self._queue, *self._told, first + i, self._count), daemon=True, name=f"pairs-{i}"
            )
            for i in range(self._count)
        ]
        for process in self._processes:
            process.start()

    def ready(self) -> Pair | None:
        """One that is there by now."""
        try:
            return _taken(self._queue.get_nowait())
        except queue.Empty:
            self._check_alive()
            return None

    def wait(self) -> Pair:
        while True:
            try:
                return _taken(self._queue.get(timeout=PATIENCE_S))
            except queue.Empty:
                self._check_alive()

    def _check_alive(self) -> None:
        for process in self._processes:
            if process.exitcode is not None:
                problem = f"the worker {process.name} ended by itself (exit code {process.exitcode})"
                raise TrainingError(f"{problem}; it may have run out of memory: fewer workers, or a smaller bank")

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        self._queue.close()
        self._queue.cancel_join_thread()


def _taken(item: Pair | StreamGuardError) -> Pair:
    if isinstance(item, StreamGuardError):
        raise item
    return item


def _work(
    pairs: Any, folder: Path, groups: list[str], recipe: Recipe, stage: int, seed: int, first: int, step: int
) -> None:
    """A worker: endless. Its parent ends it, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to act on
    torch.set_num_threads(1)
    parent = os.getppid()
    try:
        maker = PairMaker(Index.open(folder), groups, recipe, stage, seed)
        number = first
        while True:
            _hand_over(pairs, maker.make(number), parent)
            number += step
    except StreamGuardError as exc:
        _hand_over(pairs, exc, parent)
        pairs.close()
        pairs.join_thread()
        signal.pause()


def _hand_over(pairs: Any, item: object, parent: int) -> None:
    while True:
        with suppress(queue.Full):
            pairs.put(item, timeout=PATIENCE_S)
            return
        if os.getppid() != parent:
            pairs.cancel_join_thread()
            raise SystemExit(0)


def batch_of(
    pairs: list[Pair], recipe: Recipe, length: int, windows: int, rng: np.random.Generator, *, vary: bool = True
) -> Batch:
    """Clips of `length` crops from anywhere in each pair, `windows` of each. Not varied: the first, as they are."""
    cutter = Cutter(recipe)
    crops, masks, masked, twins, kinds = [], [], [], [], []
    for pair in pairs:
        for window in range(windows):
            clips, mask = cutter.cut(pair, length, window, rng, vary=vary)
            crops += clips
            masks += [np.zeros_like(mask), mask]
            masked += [True, pair.mask is not None]
            twins.append(pair.same_moments)
            kinds.append(pair.kind)
    return Batch(
        crops=np.stack(crops),
        labels=np.tile(np.array([0, 1]), len(kinds)),
        masks=np.stack(masks),
        masked=np.array(masked),
        twins=np.array(twins),
        kinds=tuple(kinds),
        groups=frozenset(tiles.group for pair in pairs for tiles in (pair.real, pair.fake)),
    )


class Cutter:
    """From pairs to clips as the network sees them."""

    def __init__(self, recipe: Recipe) -> None:
        self._square = recipe.entry.recipe == "square"
        self._span = recipe.net.span
        self._augment = recipe.data.augment
        self._size_px = int(recipe.options["size_px"])

    def cut(
        self, pair: Pair, length: int, window: int, rng: np.random.Generator, *, vary: bool
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """The real and the fake clip (L, S, S, 3), and the fake's mask (L, S / 8, S / 8)."""
        last = len(pair.real) - length
        start = int(rng.integers(last + 1)) if vary else min(window * length, last)
        jitter, change = STILL, Augmentation()
        if vary and self._augment:
            jitter = draw_jitter(rng, self._augment)
            change = draw_augmentation(rng, length, distortions=0.25 * self._augment)
        frames = np.arange(start, start + length)
        sides = [pair.real.frames(frames), pair.fake.frames(frames)]
        clips = [change.apply(self._crop(tiles, jitter)) for tiles in sides]
        cells = self._size_px // CELL_PX
        if pair.mask is None or not self._square:
            return clips, np.zeros((length, cells, cells), np.float32)
        levels = pair.mask[frames].astype(np.float32) / 255
        fine = change.apply_to_mask(crop_mask(levels, sides[1], cells * FINER, self._span, jitter))
        return clips, fine.reshape(length, cells, FINER, cells, FINER).mean(axis=(2, 4))

    def _crop(self, tiles: Tiles, jitter: Jitter) -> np.ndarray:
        if self._square:
            return crop_tiles(tiles, self._size_px, self._span, jitter)
        return warped(tiles, self._size_px, jitter)


def warped(tiles: Tiles, size_px: int, jitter: Jitter) -> np.ndarray:
    """The similarity recipe's crops, (L, S, S, 3): one transform for the clip, fitted to its five points."""
    points = [np.stack([mesh[list(some)].mean(axis=0) for some in FIVE_POINT_INDICES]) for mesh in tiles.points]
    a, b, c, d, e, f = fit_similarity(points, size_px)
    dx, dy = (shift * tiles.face_px for shift in jitter.shift)
    middle = size_px / 2
    x, y = a * middle + b * middle + c, d * middle + e * middle + f
    a, b, d, e = (jitter.scale * each for each in (a, b, d, e))
    moved = (a, b, x + dx - (a + b) * middle, d, e, y + dy - (d + e) * middle)
    return np.stack([Picture.from_rgb(rgb).rgb_warped(moved, (size_px, size_px)) for rgb in tiles.pixels])
