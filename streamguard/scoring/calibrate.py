"""Raw scores in, calibrated probabilities and evidence out. Called by the verdicts, once a score.

`evidence` is a log likelihood ratio: by how much a score moves the log odds of FAKE, whatever they were before. It does
not depend on any prior, so it is what is added up; a prior only comes in where a probability is shown:

    p_fake = sigmoid(logit(prior) + evidence)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, log

import numpy as np

from ..bundle import Calibration, Isotonic, Temperature, Thresholds

EPSILON = 1e-6
"""Raw scores, calibrated probabilities and priors are taken as no closer than this to 0 and 1: certainty would be
infinite evidence, and no calibration set is large enough to know more."""

NORMAL_90 = 1.645
"""Standard errors on either side of a 90% interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one score says. p_low <= p_fake <= p_high, all finite and within 0 and 1."""

    p_fake: float
    """Under the prior in use."""
    p_low: float
    """Bounds of the 90% interval, as far as the calibration data can tell."""
    p_high: float
    evidence: float
    """Log likelihood ratio: above 0 speaks for FAKE. The same under every prior."""


class Calibrator:
    """Turns raw scores into estimates. `prior` None: the one that the bundle was calibrated under."""

    def __init__(self, calibration: Calibration, prior: float | None = None) -> None:
        self.calibration = calibration
        self.prior = calibration.prior if prior is None else prior
        self._prior_logit = logit(self.prior)
        self._assumed_logit = logit(calibration.prior)

    @property
    def thresholds(self) -> Thresholds:
        return self.calibration.thresholds

    def estimate(self, raw_score: float) -> Estimate:
        """A higher raw score is never less fake. One that is not finite is a ValueError: no number may hide it."""
        if not isfinite(raw_score):
            raise ValueError(f"a raw score must be a finite number, not {raw_score}")
        curve = self.calibration.curve
        low, middle, high = (
            _scaled(curve, raw_score) if isinstance(curve, Temperature) else _interpolated(curve, raw_score)
        )
        evidence = middle - self._assumed_logit
        return Estimate(
            p_fake=self.p_of(evidence),
            p_low=self.p_of(min(low, middle) - self._assumed_logit),
            p_high=self.p_of(max(high, middle) - self._assumed_logit),
            evidence=evidence,
        )

    def p_of(self, evidence: float) -> float:
        """The probability of FAKE after this much evidence, under the prior in use."""
        return sigmoid(self._prior_logit + evidence)

    def evidence_for(self, p: float) -> tuple[float, float]:
        """How much evidence leads to this probability: under the calibration's prior, and under the one in use."""
        return logit(p) - self._assumed_logit, logit(p) - self._prior_logit


def logit(p: float) -> float:
    """Log odds, finite for every p."""
    p = min(max(p, EPSILON), 1 - EPSILON)
    return log(p / (1 - p))


def sigmoid(x: float) -> float:
    if x < 0:
        return exp(x) / (1 + exp(x))
    return 1 / (1 + exp(-x))


def _scaled(curve: Temperature, raw_score: float) -> tuple[float, float, float]:
    """Logits: low, middle, high."""
    middle = curve.scale * logit(raw_score) + curve.offset
    margin = NORMAL_90 * curve.stderr
    return _bounded(middle - margin), _bounded(middle), _bounded(middle + margin)


def _interpolated(curve: Isotonic, raw_score: float) -> tuple[float, float, float]:
    """Logits: low, middle, high."""
    low, middle, high = (
        logit(float(np.interp(raw_score, curve.raw, values))) for values in (curve.p_low, curve.p, curve.p_high)
    )
    return low, middle, high


def _bounded(x: float) -> float:
    """A calibrated logit, no further out than that of EPSILON."""
    return min(max(x, logit(0)), logit(1))
