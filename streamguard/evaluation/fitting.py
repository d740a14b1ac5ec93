"""From tracks to a curve, an evidence scale and thresholds: all that is fitted, for any set of tracks.

Thresholds come from replays (replay.py) of each track under a curve that was fitted without it. What is chosen is
chosen by these tracks and nothing else, so `calibrate` can fit on four fifths of the people, and see what it does to
the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Literal

import numpy as np

from ..bundle import Calibration, Thresholds
from ..config import ClipConfig, ScoringConfig
from ..errors import CalibrationError, ConfigError
from ..scoring.accumulate import PER_WINDOW
from ..scoring.calibrate import Calibrator, logit, sigmoid
from ..scoring.calibrate import Estimate as Single
from ..scoring.verdict import LEAVES
from .budget import Budget, RateBudget, ShareBudget
from .curves import Curve, Samples, at_prior, fit_curve, log_loss, probabilities, samples_of
from .replay import Replayed, Track, replay

Method = Literal["auto", "temperature", "isotonic"]
METHODS: tuple[Method, ...] = ("temperature", "isotonic")

SCALES = (1.0, 0.6, 0.4, 0.25, 0.16, 0.1)
"""Of the evidence, those that are tried."""
WORTH = 0.1
"""So much less may a scale decide than the best one, in shares of fakes told soon and of real tracks cleared together,
if what it adds up to is more honest as a probability."""
MARGINS = tuple(i / 4 for i in range(13))
"""By which thresholds are moved outward until they hold on people left out: evidence, so 1 is odds of e."""
GAP = 0.25
"""How far a threshold lies beyond the last evidence that it must not call, where there is room."""
FEW_GROUPS = 30
"""Of either class: with fewer, thresholds are moved outward by CAREFUL."""
CAREFUL = 0.5
LEAST_GROUPS = 5
"""Of each class; one for each fold."""
FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user wants."""

    budget: Budget
    method: Method = "auto"
    prior: float = 0.5
    fakes_called_real: float = 0.05
    """Share of fakes that may become LIKELY_REAL."""
    scoring: ScoringConfig = field(default_factory=ScoringConfig)

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            raise ConfigError("--prior", f"must be between 0 and 1, without these, not {self.prior:g}")
        if not 0 < self.fakes_called_real < 1:
            raise ConfigError("--fakes-called-real", f"must be between 0 and 1, not {self.fakes_called_real:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """Thresholds, in evidence: no prior is in them."""

    fake: float
    """At or above it a face is called fake: more than 0."""
    real: float
    """At or below it a face is called real: less than 0."""

    def thresholds(self, prior: float, false_positive_rate: float) -> Thresholds:
        """A state is left at half the evidence that it was entered with."""
        return Thresholds(
            fake_enter=sigmoid(logit(prior) + self.fake),
            fake_leave=sigmoid(logit(prior) + max(LEAVES, self.fake / 2)),
            real_leave=sigmoid(logit(prior) + min(-LEAVES, self.real / 2)),
            real_enter=sigmoid(logit(prior) + self.real),
            false_positive_rate=false_positive_rate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What some tracks taught."""

    method: str
    curve: Curve
    """Under even odds, without its uncertainty."""
    scale: float
    """Of the evidence."""
    cuts: Cuts


def folds_of(tracks: Iterable[Track], *, seed: int = 0) -> dict[str, int]:
    """A fold for each group of people, by what labels they have and by nothing that a network said. Groups of a kind
    are dealt out one by one, so each fold has its share of them."""
    labels: dict[str, set[bool]] = defaultdict(set)
    for track in tracks:
        labels[track.group].add(track.fake)
    rng = np.random.default_rng(seed)
    dealt: list[str] = []
    for kind in ({False}, {False, True}, {True}):
        names = sorted(group for group, found in labels.items() if found == kind)
        dealt += [names[i] for i in rng.permutation(len(names))]
    return {group: i % FOLDS for i, group in enumerate(dealt)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One evidence scale, with the thresholds that it needs and what they reach."""

    scale: float
    cuts: Cuts
    told: dict[str, float]
    """By group: share of its fakes that are told soon."""
    cleared: dict[str, float]
    """By group: share of its real tracks that are LIKELY_REAL at some time."""
    log_loss: float
    """Of the evidence as a probability."""
    furthest: str
    """The honest track with the most evidence against it."""

    @property
    def worth(self) -> float:
        return mean_of(self.told) + mean_of(self.cleared)


class Fitter:
    """`tell` is called after each of the `steps` of a fit."""

    steps = len(SCALES)

    def __init__(self, clip: ClipConfig, settings: Settings, tell: Callable[[], None]) -> None:
        self._clip = clip
        self._settings = settings
        self._tell = tell
        self._known: dict[Curve, dict[float, Single]] = {}
        # Nothing is more certain than a probability of EPSILON allows, and a threshold needs room to lie beyond.
        assumed = logit(settings.prior)
        self._most = Cuts(fake=logit(1.0) - assumed - 2 * GAP, real=logit(0.0) - assumed + 2 * GAP)

    def fit(self, tracks: Sequence[Track], fold_of: Mapping[str, int]) -> Fit:
        """All from these tracks and nothing else."""
        folds = sorted({fold_of[track.group] for track in tracks})
        others = {fold: samples_of([one for one in tracks if fold_of[one.group] != fold]) for fold in folds}
        mine = {fold: samples_of([one for one in tracks if fold_of[one.group] == fold]) for fold in folds}
        method = self._method(others, mine)
        curves = {fold: fit_curve(method, samples) for fold, samples in others.items()}
        self._known.clear()
        best = self._best([self._candidate(tracks, curves, fold_of, scale) for scale in SCALES])
        return Fit(method=method, curve=fit_curve(method, samples_of(tracks)), scale=best.scale, cuts=best.cuts)

    def play(
        self,
        tracks: Iterable[Track],
        curves: Mapping[int, Curve],
        fold_of: Mapping[str, int],
        scale: float,
        cuts: Cuts,
    ) -> list[Replayed]:
        """Each track under the curve of its fold: the one that was fitted without it."""
        prior = self._settings.prior
        calibrators = {
            fold: _Remembering(
                _working(at_prior(curve, prior), scale, cuts.thresholds(prior, 0.0), prior),
                self._known.setdefault(curve, {}),
            )
            for fold, curve in curves.items()
        }
        scoring = self._settings.scoring
        return [replay(track, calibrators[fold_of[track.group]], scoring, self._clip) for track in tracks]

    def _method(self, others: Mapping[int, Samples], mine: Mapping[int, Samples]) -> str:
        """That with the smaller log loss on the folds left out; temperature if they are equal."""
        if self._settings.method != "auto":
            return self._settings.method
        losses = {
            method: sum(
                log_loss(mine[fold], probabilities(fit_curve(method, others[fold]), mine[fold].raw)) for fold in mine
            )
            for method in METHODS
        }
        return min(METHODS, key=lambda method: losses[method])

    def _candidate(
        self, tracks: Sequence[Track], curves: Mapping[int, Curve], fold_of: Mapping[str, int], scale: float
    ) -> _Candidate:
        """Thresholds at one scale. Until a threshold is reached, it makes no difference where it lies: so evidence is
        replayed with one that is out of reach, and thresholds are chosen by how far it went."""
        far = Cuts(fake=self._most.fake + GAP, real=self._most.real - GAP)
        upward = self.play(tracks, curves, fold_of, scale, Cuts(fake=far.fake, real=-PER_WINDOW))
        fake = self._fake_cut([one for one in upward if not one.track.fake], fold_of)
        if isinstance(self._settings.budget, RateBudget):
            honest = [track for track in tracks if not track.fake]
            fake = self._fewer_alarms(self._settings.budget, honest, curves, fold_of, scale, fake)
        downward = self.play(tracks, curves, fold_of, scale, Cuts(fake=min(fake, far.fake), real=far.real))
        real = max(-self._real_cut([one for one in downward if one.track.fake], fold_of), self._most.real)
        self._tell()
        return _Candidate(
            scale=scale,
            cuts=Cuts(fake=fake, real=real),
            told=shares_of((one.track.group, one.highest_soon >= fake) for one in upward if one.track.fake),
            cleared=shares_of((one.track.group, one.lowest <= real) for one in downward if not one.track.fake),
            log_loss=sum(
                mean_of(shares_of((one.track.group, one.log_loss) for one in upward if one.track.fake == fake_ones))
                for fake_ones in (False, True)
            ),
            furthest=max((one for one in upward if not one.track.fake), key=lambda one: one.highest).track.key,
        )

    def _best(self, candidates: Sequence[_Candidate]) -> _Candidate:
        """Of those that decide about as much as the best, rightly, the one whose evidence is most honest as a
        probability."""
        within = [one for one in candidates if one.cuts.fake <= self._most.fake]
        if not within:
            raise CalibrationError(
                "thresholds",
                f"no probability is certain enough to spare the honest track {candidates[-1].furthest}: look whether "
                "its label is right. If so, the network is sure and wrong there all along; it needs training, or more "
                "data of such people",
            )
        best = max(one.worth for one in within)
        return min((one for one in within if one.worth >= best - WORTH), key=lambda one: one.log_loss)

    def _fake_cut(self, honest: Sequence[Replayed], fold_of: Mapping[str, int]) -> float:
        budget = self._settings.budget

        def kept(ones: Sequence[Replayed], called: Sequence[bool], *, proven: bool) -> bool:
            if isinstance(budget, ShareBudget):
                shares = shares_of((one.track.group, yes) for one, yes in zip(ones, called, strict=True))
                return budget.allows(sum(shares.values()), len(shares)) if proven else mean_of(shares) <= budget.share
            hours = hours_of(ones)
            return budget.allows(sum(called), hours) if proven else sum(called) <= budget.per_hour * hours

        return _outward(honest, [one.highest for one in honest], kept, fold_of)

    def _real_cut(self, fakes: Sequence[Replayed], fold_of: Mapping[str, int]) -> float:
        most = self._settings.fakes_called_real

        def kept(ones: Sequence[Replayed], called: Sequence[bool], *, proven: bool) -> bool:
            shares = shares_of((one.track.group, yes) for one, yes in zip(ones, called, strict=True))
            return expected_share(sum(shares.values()), len(shares)) <= most if proven else mean_of(shares) <= most

        return _outward(fakes, [-one.lowest for one in fakes], kept, fold_of)

    def _fewer_alarms(
        self,
        budget: RateBudget,
        honest: Sequence[Track],
        curves: Mapping[int, Curve],
        fold_of: Mapping[str, int],
        scale: float,
        cut: float,
    ) -> float:
        """A track may be accused, cleared and accused again: what counts is every time."""
        while cut <= self._most.fake:
            played = self.play(honest, curves, fold_of, scale, Cuts(fake=cut, real=-PER_WINDOW))
            alarms = sum(one.alarms for one in played)
            if budget.allows(alarms, hours_of(played)) or alarms == sum(one.alarms > 0 for one in played):
                break
            cut += GAP
        return cut


class _Remembering(Calibrator):
    """What a score says by itself depends on the curve alone, and is asked for at each scale anew."""

    def __init__(self, calibration: Calibration, known: dict[float, Single]) -> None:
        super().__init__(calibration)
        self._known = known

    def estimate(self, raw_score: float) -> Single:
        found = self._known.get(raw_score)
        if found is None:
            found = self._known[raw_score] = super().estimate(raw_score)
        return found


def _outward(
    ones: Sequence[Replayed],
    reached: Sequence[float],
    kept: Callable[..., bool],
    fold_of: Mapping[str, int],
) -> float:
    """The threshold nearest to 0 that is kept to: by these, and, moved outward by a margin where that takes one, by
    each fold under the threshold of the others."""
    values = np.array(reached)
    fold = np.array([fold_of[one.track.group] for one in ones])

    def lowest(inside: np.ndarray) -> float:
        chosen = [one for one, yes in zip(ones, inside, strict=True) if yes]
        return _lowest_cut(values[inside], lambda cut: kept(chosen, (values[inside] >= cut).tolist(), proven=True))

    cuts = np.zeros(len(values))
    for each in set(fold.tolist()):
        cuts[fold == each] = lowest(fold != each)
    margin = next(
        (margin for margin in MARGINS if kept(ones, (values >= cuts + margin).tolist(), proven=False)), MARGINS[-1]
    )
    careful = CAREFUL if len({one.track.group for one in ones}) < FEW_GROUPS else 0.0
    return lowest(np.ones(len(values), bool)) + max(margin, careful)


def _lowest_cut(values: np.ndarray, kept: Callable[[float], bool]) -> float:
    """Thresholds lie between the values that they part, the last one beyond all; none is less than one window may say.
    If not even that one is kept to, it is taken."""
    high = np.unique(values[values >= PER_WINDOW])
    room = np.diff(high, append=inf) / 2
    cuts = [PER_WINDOW, *(high + np.minimum(GAP, room)).tolist()]
    low, last = 0, len(cuts) - 1
    while low < last:
        middle = (low + last) // 2
        low, last = (low, middle) if kept(cuts[middle]) else (middle + 1, last)
    return cuts[low]


def shares_of(found: Iterable[tuple[str, float]]) -> dict[str, float]:
    """By group, the mean over its tracks."""
    of: dict[str, list[float]] = defaultdict(list)
    for group, value in found:
        of[group].append(value)
    return {group: sum(values) / len(values) for group, values in of.items()}


def expected_share(found: float, groups: int) -> float:
    """What is to be expected of one more group, not what was seen of these."""
    return (found + 1) / (groups + 1)


def hours_of(replayed: Iterable[Replayed]) -> float:
    """Usable media time."""
    return sum(one.track.usable_s for one in replayed) / 3600


def mean_of(shares: Mapping[str, float]) -> float:
    return sum(shares.values()) / len(shares) if shares else 0.0


def _working(curve: Curve, scale: float, thresholds: Thresholds, prior: float) -> Calibration:
    return Calibration(
        graph="window",
        precision="fp32",
        prior=prior,
        curve=curve,
        thresholds=thresholds,
        fitted_on="",
        evidence_scale=scale,
    )
