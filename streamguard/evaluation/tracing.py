"""Footage of an index into files of traces: what is not there yet is observed, in one process or several.

Raw comes first, for all footage: other conditions need the sizes of the faces. What is in the files already is not made
again, so a run that was ended goes on where it stopped.
"""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from ..bundle import Bundle, open_bundle
from ..config import EngineConfig
from ..data.index import Footage, Index
from ..data.prepare import exit_with_parent
from ..engine.engine import Engine
from ..errors import ConfigError, PictureError, SourceError, TraceError
from .conditions import Facts, facts_of, leaves_alone, needs_facts, open_under
from .observe import Observed, observe
from .traces import RAW, Header, Trace, TraceFile, network_of
from .untouched import without_untouched

NO_FACTS = Facts(files={}, fake=None, real=None)
FROM_INDEX = ("label", "group", "method", "twin")
"""What a trace was told of its footage, and every number rests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be traced, and with what."""

    index: Index
    footage: tuple[Footage, ...]
    conditions: tuple[str, ...]
    """Raw first."""
    bundle: Path | None
    """None: the one that comes with the package."""
    configs: tuple[EngineConfig, ...]
    """Of one graph, each at another precision."""
    seconds: float
    jobs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    footage: Footage
    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What became of one job."""

    job: Job
    failure: str = ""
    """Why there is no trace; empty if there is one."""


def headers_of(bundle: Bundle, plan: Plan, *, fold: str, version: str) -> list[Header]:
    """What stands above the traces of each of the plan's configs. Opens each engine once, so whatever cannot be had is
    missed here. ConfigError if the configs are not of one graph, each at a precision of its own."""
    found = []
    for config in plan.configs:
        with Engine(bundle, config) as engine:
            found.append(_header_of(engine, fold=fold, seconds=plan.seconds, version=version))
    if len({(one.graph, one.precision) for one in found}) < len(found) or len({one.graph for one in found}) > 1:
        raise ConfigError("--precision", f"these come to {', '.join(f'{one.graph} {one.precision}' for one in found)}")
    return found


def _header_of(engine: Engine, *, fold: str, seconds: float, version: str) -> Header:
    bundle = engine.bundle
    return Header(
        bundle=bundle.name,
        bundle_sha256=bundle.sha256,
        network=network_of(bundle.manifest),
        trained=bundle.manifest.trained,
        graph=engine.backend.graph,
        precision=engine.backend.precision,
        backend=engine.backend.name,
        clip=engine.clip,
        held_out=bundle.manifest.provenance.held_out or None,
        fold=fold,
        seconds=seconds,
        version=version,
    )


def chosen(index: Index, *, held_out: Sequence[str], fold: str = "", limit: int | None = None) -> tuple[Footage, ...]:
    """The footage to trace: videos of the groups that the bundle was held out from, if it says so, and of the fold that
    is asked for (`0/3`). With a `limit`, as many of each kind as of any other."""
    groups = set(index.groups)
    if fold:
        groups = _fold(index, fold)
        seen = sorted(groups - set(held_out))
        if held_out and seen:
            raise ConfigError(
                "--held-out",
                f"{fold} has the group {seen[0]}, which is not among those that the bundle was held out from: it "
                "may have been trained on these people",
            )
    elif held_out:
        groups &= set(held_out)
    footage = [one for one in index.footage if one.group in groups and not one.still]
    if not footage:
        raise ConfigError("--data", f"{index.folder} has no video of the groups that are asked for")
    return tuple(footage if limit is None else _spread(footage)[:limit])


def _fold(index: Index, fold: str) -> set[str]:
    try:
        number, count = (int(part) for part in fold.split("/"))
    except ValueError:
        raise ConfigError("--held-out", f"must be as in 0/3, the first of three folds, not {fold!r}") from None
    if not 0 <= number < count:
        raise ConfigError("--held-out", f"{fold}: folds of {count} are 0/{count} to {count - 1}/{count}")
    return index.folds(count)[number]


def _spread(footage: Iterable[Footage]) -> list[Footage]:
    """Labels in turn, of each label its methods, of each method its groups: as long as there are more of them."""
    kinds: dict[str, dict[str, dict[str, list[Footage]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for one in footage:
        kinds[one.label][one.method][one.group].append(one)
    return _in_turn(
        [
            _in_turn([_in_turn(list(groups.values())) for _, groups in sorted(methods.items())])
            for _, methods in sorted(kinds.items())
        ]
    )


def _in_turn(queues: Sequence[Sequence[Footage]]) -> list[Footage]:
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[i] for i in range(longest) for queue in queues if i < len(queue)]


def check_kept(plan: Plan, files: Sequence[TraceFile]) -> None:
    """What the index says of footage may have been corrected since it was traced, and the traces hold what it said
    then. TraceError for the first that is not as in the index now."""
    footage = {one.key: one for one in plan.index.footage}
    for file in files:
        for kept in file.traces:
            now = footage.get(kept.key)
            if now is None:
                problem = f"was traced, and is not in the index {plan.index.folder} (any more)"
            else:
                changed = [name for name in FROM_INDEX if getattr(kept, name) != getattr(now, name)]
                if not changed:
                    continue
                said = ", ".join(f"{name} {getattr(kept, name)!r}, now {getattr(now, name)!r}" for name in changed)
                problem = f"was traced before the index {plan.index.folder} was changed: {said}"
            raise TraceError(str(file.path), kept.key, f"{problem}. Choose another --out, or remove this file")


def missing(plan: Plan, files: Sequence[TraceFile]) -> int:
    """How many traces of the plan are not in the files."""
    return sum(
        one.key not in have
        for condition in plan.conditions
        for have in [_done(files, condition)]
        for one in plan.footage
    )


def trace(plan: Plan, files: Sequence[TraceFile]) -> Iterator[Traced]:
    """Add what is missing to the files, one for each of the plan's configs; yields for each of those, in no order. What
    cannot be read is told, is not tried under other conditions, and again by the next run. Anything else that fails
    ends it. TraceError before anything is done if what is there is not of the plan's index."""
    check_kept(plan, files)
    facts = NO_FACTS
    unreadable = dict[str, str]()
    with _Workers(plan) as workers:
        for condition in plan.conditions:
            have = _done(files, condition)
            jobs = [Job(footage=one, condition=condition) for one in plan.footage if one.key not in have]
            if condition != RAW and needs_facts([condition]) and facts is NO_FACTS:
                facts = facts_of(plan.index, files[0].traces)
            to_observe = []
            for job in jobs:
                if job.footage.key in unreadable:
                    yield Traced(job=job, failure=unreadable[job.footage.key])
                elif condition != RAW and leaves_alone(condition, job.footage.label):
                    _copy_raw(job, files)
                    yield Traced(job=job)
                else:
                    to_observe.append(job)
            for job, result in workers.work(to_observe, facts):
                if isinstance(result, str):
                    if condition == RAW:
                        unreadable[job.footage.key] = result
                    yield Traced(job=job, failure=result)
                    continue
                for file, observed in zip(files, result, strict=True):
                    if job.footage.key not in file.done(condition):
                        file.add(_trace_of(job, observed))
                yield Traced(job=job)


def _copy_raw(job: Job, files: Sequence[TraceFile]) -> None:
    """It is as it was."""
    for file in files:
        if job.footage.key not in file.done(job.condition):
            raw = next(one for one in file.traces if (one.condition, one.key) == (RAW, job.footage.key))
            file.add(replace(raw, condition=job.condition))


def _done(files: Sequence[TraceFile], condition: str) -> set[str]:
    """Keys that are in every file."""
    return set.intersection(*(file.done(condition) for file in files))


def _trace_of(job: Job, observed: Observed) -> Trace:
    footage = job.footage
    return Trace(
        key=footage.key,
        condition=job.condition,
        label=footage.label,
        group=footage.group,
        identity=footage.identity,
        method=footage.method,
        dataset=footage.dataset,
        twin=footage.twin,
        seconds=observed.seconds,
        usable_seconds=observed.usable_seconds,
        fps=observed.fps,
        codec=observed.codec,
        width=observed.width,
        height=observed.height,
        faces=observed.faces,
    )


# Who does it.


Result = list[Observed] | str
"""One for each engine, or why there is none."""


class _Workers:
    """This process, or others beside it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stack = ExitStack()
        self._pool: ProcessPoolExecutor | None = None
        self._tools: _Tools | None = None

    def __enter__(self) -> _Workers:
        if self._plan.jobs > 1:
            # Not fork: a process with OpenVINO's threads cannot be copied.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._plan.jobs, context, _set_up, (self._plan,))
        else:
            self._tools = self._stack.enter_context(_Tools(self._plan))
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._stack.close()

    def work(self, jobs: Sequence[Job], facts: Facts) -> Iterator[tuple[Job, Result]]:
        if self._tools is not None:
            for job in jobs:
                yield job, self._tools.work(job, facts)
            return
        assert self._pool is not None
        waiting, running = list(reversed(jobs)), dict[Future[Result], Job]()
        try:
            while waiting or running:
                while waiting and len(running) < self._plan.jobs + 1:
                    job = waiting.pop()
                    running[self._pool.submit(_work, job, facts)] = job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    yield job, future.result()
        except BrokenProcessPool as exc:
            names = ", ".join(job.footage.key for job in running.values())
            raise TraceError(
                names,
                "",
                "a process that worked on one of these died, perhaps for lack of memory. Run it again: what is done is "
                "kept; with --jobs 1 it is sure which one it is",
            ) from exc


class _Tools:
    """The engines of one process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stack = ExitStack()
        self._engines: list[Engine] = []

    def __enter__(self) -> _Tools:
        bundle = open_bundle(self._plan.bundle)
        self._engines = [self._stack.enter_context(Engine(bundle, config)) for config in self._plan.configs]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def work(self, job: Job, facts: Facts) -> Result:
        with tempfile.TemporaryDirectory(prefix="streamguard-") as folder:
            try:
                source = open_under(self._plan.index, job.footage, job.condition, facts, Path(folder))
                if source is None:
                    return "no face was found in it as it is, so it cannot be brought to another size"
                seen = observe(source, self._engines, seconds=self._plan.seconds)
                return [
                    without_untouched(self._plan.index, job.footage, job.condition, one, engine.clip)
                    for one, engine in zip(seen, self._engines, strict=True)
                ]
            except (SourceError, PictureError) as exc:
                return str(exc)


_tools: _Tools | None = None


def _set_up(plan: Plan) -> None:
    """Once in each worker process; it ends with it. Ctrl-C, which all of them hear, is for the first to act on."""
    global _tools
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    exit_with_parent()
    _tools = _Tools(plan).__enter__()


def _work(job: Job, facts: Facts) -> Result:
    assert _tools is not None
    return _tools.work(job, facts)
