"""From tracks to a Calibration: curve, evidence scale and thresholds, so that a stated budget of false alarms holds.

All is fitted (fitting.py) once for each fold of people on all others, and once on everybody. The last goes into the
bundle. The others say what it is worth: every number of an Account is of tracks that had no part in the curve, the
scale or the thresholds which they are measured with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf

import numpy as np

from ..bundle import Calibration, Graph, Precision
from ..config import ClipConfig
from ..errors import BudgetError, CalibrationError
from ..scoring.calibrate import Calibrator, logit, sigmoid
from .budget import SURE, Budget, ShareBudget, count_bound, share_bound
from .curves import Samples, at_prior, fit_temperature, fit_whole, probabilities, samples_of
from .fitting import (
    CAREFUL,
    FEW_GROUPS,
    FOLDS,
    LEAST_GROUPS,
    Fit,
    Fitter,
    Settings,
    expected_share,
    folds_of,
    hours_of,
    shares_of,
)
from .measures import (
    BINS,
    Bin,
    Bootstrap,
    Estimate,
    auc,
    brier_skill,
    calibration_error,
    clopper_pearson,
    share_where,
)
from .replay import SOON_S, Replayed, Track, replay

SETTLED = 3.0
"""Half-lives of evidence after which its sum is as high as it gets."""
DRAWS = 500

Progress = Callable[[int, int], None]
"""(done, of all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What became of faces. With 90% intervals over groups of people, which count alike in every share."""

    brier_skill: Estimate
    """Of p_face, as it stood when each track ended."""
    calibration_error: Estimate
    accused: Estimate
    """Share of real tracks that became LIKELY_FAKE."""
    accused_bound: float
    """The most that it can be, with 95% confidence."""
    accused_tracks: int
    alarms: int
    """How often a real track became LIKELY_FAKE."""
    alarms_bound: float
    """The most that they can be in one hour, with 95% confidence."""
    told: dict[float, Estimate]
    """Share of fake tracks that were LIKELY_FAKE within so many seconds of the face's appearance."""
    abstained: Estimate
    """Share of real tracks that never became LIKELY_REAL."""
    called_real: Estimate
    """Share of fake tracks that did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a calibration does."""

    brier_skill: Estimate
    """Of p_fake of single moments, under the stated prior."""
    calibration_error: Estimate
    verdicts: Verdicts | None
    """None: nothing is calibrated, so there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What the numbers rest on."""

    real_tracks: int
    real_groups: int
    real_hours: float
    """Usable media time."""
    fake_tracks: int
    fake_groups: int
    fake_hours: float
    groups: int
    """Some may have both."""
    median_real_s: float

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> Exposure:
        real, fake = [one for one in tracks if not one.fake], [one for one in tracks if one.fake]
        return cls(
            real_tracks=len(real),
            real_groups=len({one.group for one in real}),
            real_hours=sum(one.usable_s for one in real) / 3600,
            fake_tracks=len(fake),
            fake_groups=len({one.group for one in fake}),
            fake_hours=sum(one.usable_s for one in fake) / 3600,
            groups=len({one.group for one in tracks}),
            median_real_s=float(np.median([one.usable_s for one in real])) if real else 0.0,
        )

    def __str__(self) -> str:
        return (
            f"{self.real_tracks} real tracks of {self.real_groups} groups ({self.real_hours:.2f} h) and "
            f"{self.fake_tracks} fake ones of {self.fake_groups} ({self.fake_hours:.2f} h)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The result for one graph at one precision."""

    calibration: Calibration
    before: Account
    after: Account
    exposure: Exposure
    cautions: tuple[str, ...]
    """What a reader must know, a sentence each."""
    fold_of: Mapping[str, int]
    """By group."""
    fits: Mapping[int, Fit]
    """By the fold that was left out: what its numbers were measured with."""
    samples: Samples
    p_before: np.ndarray
    p_after: np.ndarray
    """Of the samples: as before, and by the curve of the fold's fit."""

    def cross_fitted(self, groups: Iterable[str]) -> dict[str, Calibration]:
        """For each group a calibration that was fitted without it; for one that had no track, that of all others."""
        prior = self.calibration.prior
        of_fold = {
            fold: replace(
                self.calibration,
                curve=at_prior(fit.curve, prior),
                thresholds=fit.cuts.thresholds(prior, self.calibration.thresholds.false_positive_rate),
                evidence_scale=fit.scale,
            )
            for fold, fit in self.fits.items()
        }
        return {group: of_fold[self.fold_of[group]] if group in self.fold_of else self.calibration for group in groups}


def calibrate(
    tracks: Sequence[Track],
    clip: ClipConfig,
    settings: Settings,
    *,
    graph: Graph,
    precision: Precision,
    source: str,
    cautions: Sequence[str] = (),
    older: Calibration | None = None,
    progress: Progress = lambda done, of: None,
) -> Calibrated:
    """`source` says in words where the traces come from. CalibrationError if these tracks cannot be calibrated with,
    BudgetError if they cannot show that the budget is kept, or if it is not."""
    exposure = Exposure.of(tracks)
    _check_enough(exposure)
    settings.budget.check(exposure.real_groups, exposure.real_hours)
    samples = samples_of(tracks)
    _check_direction(samples)
    fold_of = folds_of(tracks)
    fitter = Fitter(clip, settings, _counter((FOLDS + 1) * Fitter.steps, progress))

    fits: dict[int, Fit] = {}
    held: list[Replayed] = []
    p_after = np.zeros(len(samples.raw))
    sample_folds = np.array([fold_of[group] for group in samples.groups])
    for fold in range(FOLDS):
        mine = [track for track in tracks if fold_of[track.group] == fold]
        found = fits[fold] = fitter.fit([track for track in tracks if fold_of[track.group] != fold], fold_of)
        held += fitter.play(mine, {fold: found.curve}, fold_of, found.scale, found.cuts)
        inside = sample_folds == fold
        p_after[inside] = probabilities(at_prior(found.curve, settings.prior), samples.raw[inside])
    after = _account(samples, p_after, held, settings)
    assert after.verdicts is not None
    verdicts = after.verdicts
    check_held(verdicts, exposure, settings.budget)

    final = fitter.fit(tracks, fold_of)
    cautions = (*cautions, *_cautions(exposure, verdicts, settings))
    calibration = Calibration(
        graph=graph,
        precision=precision,
        prior=settings.prior,
        curve=at_prior(fit_whole(final.method, samples), settings.prior),
        thresholds=final.cuts.thresholds(settings.prior, verdicts.accused.value),
        evidence_scale=final.scale,
        fitted_on=_fitted_on(exposure, source, verdicts, settings, cautions),
    )
    p_before = samples.raw if older is None else probabilities(older.curve, samples.raw)
    return Calibrated(
        calibration=calibration,
        before=_account(samples, p_before, [] if older is None else _replayed(tracks, older, settings, clip), settings),
        after=after,
        exposure=exposure,
        cautions=tuple(cautions),
        fold_of=fold_of,
        fits=fits,
        samples=samples,
        p_before=p_before,
        p_after=p_after,
    )


# What it does.


def _replayed(
    tracks: Iterable[Track], calibration: Calibration, settings: Settings, clip: ClipConfig
) -> list[Replayed]:
    calibrator = Calibrator(calibration)
    return [replay(track, calibrator, settings.scoring, clip) for track in tracks]


def _account(samples: Samples, p: np.ndarray, replayed: Sequence[Replayed], settings: Settings) -> Account:
    weight = samples.weight_at(settings.prior)
    people = Bootstrap(samples.groups, draws=DRAWS)
    return Account(
        brier_skill=people.estimate(lambda w: brier_skill(samples.fake, p, w * weight), minutes=samples.minutes),
        calibration_error=people.estimate(
            lambda w: calibration_error(samples.fake, p, w * weight), minutes=samples.minutes
        ),
        verdicts=_verdicts(replayed, settings) if replayed else None,
    )


def _verdicts(replayed: Sequence[Replayed], settings: Settings) -> Verdicts:
    fake = np.array([one.track.fake for one in replayed])
    tracks_of = Counter((one.track.fake, one.track.group) for one in replayed)
    alike = np.array([1 / tracks_of[one.track.fake, one.track.group] for one in replayed])
    people = Bootstrap([one.track.group for one in replayed], draws=DRAWS)
    minutes = np.array([one.track.usable_s / 60 for one in replayed])

    def share(true: Sequence[bool], among: np.ndarray) -> Estimate:
        values = np.array(true, float)
        found = people.estimate(lambda w: share_where(values, among, w * alike), minutes=minutes, among=among)
        if found.value not in (0.0, 1.0):
            return found
        # To draw anew where all are alike says nothing.
        hits = round(found.value * found.groups)
        (low90, high90), (low95, high95) = (clopper_pearson(hits, found.groups, sure) for sure in (0.9, 0.95))
        return replace(found, low90=low90, high90=high90, low95=low95, high95=high95)

    # As the samples' weights: both classes as the prior says, groups alike.
    prior = settings.prior
    weight = alike * np.where(fake, prior / alike[fake].sum(), (1 - prior) / alike[~fake].sum())
    p = np.array([sigmoid(logit(prior) + one.last) for one in replayed])
    honest = [one for one in replayed if not one.track.fake]
    accused = shares_of((one.track.group, one.alarms > 0) for one in honest)
    alarms = sum(one.alarms for one in honest)
    return Verdicts(
        brier_skill=people.estimate(lambda w: brier_skill(fake, p, w * weight), minutes=minutes),
        calibration_error=people.estimate(lambda w: calibration_error(fake, p, w * weight), minutes=minutes),
        accused=share([one.alarms > 0 for one in replayed], ~fake),
        accused_bound=share_bound(sum(accused.values()), len(accused), SURE),
        accused_tracks=sum(one.alarms > 0 for one in honest),
        alarms=alarms,
        alarms_bound=count_bound(alarms, SURE) / hours_of(honest),
        told={soon: share([one.fake_after_s <= soon for one in replayed], fake) for soon in SOON_S},
        abstained=share([one.real_after_s == inf for one in replayed], ~fake),
        called_real=share([one.real_after_s < inf for one in replayed], fake),
    )


def reliability(samples: Samples, p: np.ndarray, prior: float) -> tuple[Bin, ...]:
    """For a picture: what was said, and how often it was so, with samples weighted as everywhere here. A bin's count is
    its share of all."""
    people = Bootstrap(samples.groups, draws=DRAWS)
    weight = samples.weight_at(prior)
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    found = []
    for i in range(BINS):
        inside = place == i
        share = partial(share_where, samples.fake, inside)
        low, high, _, _ = people.interval(lambda w, share=share: share(w * weight))  # type: ignore[misc]
        found.append(
            Bin(
                low=i / BINS,
                high=(i + 1) / BINS,
                count=float(weight[inside].sum()),
                p=float(share_where(p, inside, weight[None])[0]),
                share=float(share(weight[None])[0]),
                share_low=low,
                share_high=high,
            )
        )
    return tuple(found)


def _counter(steps: int, progress: Progress) -> Callable[[], None]:
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        progress(done, steps)

    return tell


# What cannot be.


def _check_enough(exposure: Exposure) -> None:
    for label, groups in (("real", exposure.real_groups), ("fake", exposure.fake_groups)):
        if groups < LEAST_GROUPS:
            raise CalibrationError(
                "calibration",
                f"needs {label} tracks of at least {LEAST_GROUPS} groups of people, and there are {groups}: nothing "
                "could be held against people that it was not fitted on",
            )


def _check_direction(samples: Samples) -> None:
    if fit_temperature(samples).scale > 0:
        return
    ranked = float(auc(samples.fake, samples.raw, samples.weight[None])[0])
    raise CalibrationError(
        "scores",
        f"are the wrong way round, or tell nothing: a fake scores higher than a real face in {100 * ranked:.0f}% of "
        "pairs. No calibration may turn that: check the labels (1 is fake), and the bundle's output.fake_index and "
        "output.high_means_fake",
    )


def check_held(after: Verdicts, exposure: Exposure, budget: Budget) -> None:
    """Thresholds that kept to the budget on some people must do so on others."""
    if isinstance(budget, ShareBudget):
        over = after.accused.value > budget.share
        found = f"{100 * after.accused.value:.2g}% of honest faces ({after.accused_tracks} tracks)"
    else:
        over = after.alarms > budget.per_hour * exposure.real_hours
        found = f"honest faces {after.alarms} times in {exposure.real_hours:.3g} hours"
    if over:
        raise BudgetError(
            f"{budget}",
            f"does not hold: thresholds that keep to it on four fifths of the people accuse {found} of the rest. Allow "
            "more, or add honest footage of more people",
        )


# In words.


def _cautions(exposure: Exposure, after: Verdicts, settings: Settings) -> list[str]:
    told: list[str] = []
    for label, groups in (("honest", exposure.real_groups), ("fake", exposure.fake_groups)):
        if groups < FEW_GROUPS:
            side = "fake" if label == "honest" else "real"
            told.append(
                f"few {label} groups ({groups}): the threshold for LIKELY_{side.upper()} was moved outward by at least "
                f"{CAREFUL:g} of evidence"
            )
    if expected_share(0.0, exposure.fake_groups) > settings.fakes_called_real:
        told.append(
            f"{exposure.fake_groups} fake groups cannot show that at most {100 * settings.fakes_called_real:g}% of "
            "fakes are called real: so LIKELY_REAL takes more evidence than any of these fakes ever had for it"
        )
    settled_s = SETTLED * settings.scoring.forget_after_s
    if exposure.median_real_s < settled_s:
        told.append(
            f"half of the honest tracks are shorter than {exposure.median_real_s:.0f} s, and evidence takes "
            f"{settled_s:.0f} s to settle: longer calls may raise more false alarms than these did"
        )
    if not after.told[SOON_S[-1]].value > 0:
        told.append("no fake that had no part in the fit was called LIKELY_FAKE in time: the budget leaves no room")
    return told


def _fitted_on(exposure: Exposure, source: str, after: Verdicts, settings: Settings, cautions: Sequence[str]) -> str:
    if isinstance(settings.budget, ShareBudget):
        bound = f"{100 * after.accused_bound:.2g}%"
    else:
        bound = f"{after.alarms_bound:.2g} alarms an hour"
    held = (
        f"cross-fitted over {FOLDS} folds of {exposure.groups} groups: {after.accused_tracks} of "
        f"{exposure.real_tracks} honest tracks accused ({100 * after.accused.value:.2g}%, groups counted alike; "
        f"at most {bound} with {100 * SURE:g}% confidence)"
    )
    return "; ".join([f"{exposure}, {source}", f"budget: {settings.budget}", held, *cautions])
