"""What commands judge with: one engine for all their sources, and the words that tell which network it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .. import __version__
from ..bundle import Bundle, open_bundle
from ..config import EngineConfig, ScoringConfig
from ..engine.engine import Engine, Seat
from ..errors import ConfigError, EngineError
from ..run import join
from ..session import Session
from ..sinks.heat import HeatKind
from ..sources import Source
from .finders import fetch
from .record import Files, Heading


class Unscored(EngineError):
    """It answered, and nothing that could be used. Of another source it may."""


class Network:
    """An engine, and how sessions are made for it. Closing closes the engine."""

    def __init__(self, engine: Engine, scoring: ScoringConfig) -> None:
        self.engine = engine
        self._scoring = scoring

    @classmethod
    def open(
        cls, bundle: Path | None = None, config: EngineConfig | None = None, scoring: ScoringConfig | None = None
    ) -> Self:
        """Everything that can be missing or wrong is missed here, before the first frame."""
        opened = open_bundle(bundle)
        fetch()
        return cls(_engine(opened, config or EngineConfig()), scoring or ScoringConfig())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.close()

    def join(self, source: Source, *, stream_id: str | None = None) -> tuple[Session, Seat]:
        """A session for a source, and its seat at the engine."""
        return join(self.engine, source, scoring=self._scoring, stream_id=stream_id)

    @property
    def warning(self) -> str | None:
        """Why nobody can be judged, as one line that every output begins and ends with; None if the network can."""
        name = self.engine.bundle.name
        if not self.engine.bundle.manifest.trained:
            return (
                f"UNTRAINED: this network ({name}) never learned anything. Its scores mean nothing, "
                "no face is ever called real or fake, and nobody is judged."
            )
        if self.engine.calibration is None:
            return (
                f"UNCALIBRATED: {name} has no calibration for {self.running}. Its scores are no probabilities, "
                "no face is ever called real or fake, and nobody is judged."
            )
        return None

    @property
    def running(self) -> str:
        """What runs the network, in a few words."""
        backend = self.engine.backend
        return f"{backend.name} {backend.graph} {backend.precision}"

    def check_scores(self, session: Session, scores: int) -> None:
        """Raise if all that it answered was unusable: silence would look like nothing to tell."""
        bad = session.statistics().bad_scores
        if bad and not scores:
            name = self.engine.bundle.name
            problem = f"none of the {bad} scores of {name} was a number from 0 to 1, so nobody could be judged. "
            raise Unscored(self.engine.backend.name, f"{problem}Check the bundle: streamguard bundle verify")

    def files(
        self, folder: Path, *, title: str, notes: Sequence[str] = (), video: bool = True, maps: HeatKind | None = None
    ) -> Files:
        """What is written of a stream that it judges; the report says what made the scores."""
        made_by = f"Scores by {self.engine.bundle.name} ({self.running}), StreamGuard {__version__}."
        told = [*notes, *([self.warning] if self.warning else []), made_by]
        trained = self.engine.bundle.manifest.trained
        warning = "" if trained else "untrained network: scores mean nothing"
        heading = Heading(title=title, notes=told, warning=warning, trained=trained)
        return Files(folder=folder, video=video, report=heading, maps=maps)


def _engine(bundle: Bundle, config: EngineConfig) -> Engine:
    """What was asked for by an option and cannot be had here is the caller's to change."""
    try:
        return Engine(bundle, config)
    except EngineError as exc:
        options = {"--backend": config.backend, "--graph": config.graph, "--precision": config.precision}
        asked = [option for option, wish in options.items() if wish != "auto"]
        if not asked:
            raise
        raise ConfigError(", ".join(asked), str(exc)) from exc
