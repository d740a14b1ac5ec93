"""From output tensors to raw scores: 1 is always fake."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from streamguard.bundle import OutputSpec
from streamguard.engine.output import raw_scores

Kind = Literal["logit", "probability", "softmax"]


def spec(kind: Kind, *, width: int = 1, fake_index: int = 0, high_means_fake: bool = True) -> OutputSpec:
    return OutputSpec(tensor="y", kind=kind, width=width, fake_index=fake_index, high_means_fake=high_means_fake)


@pytest.mark.parametrize("high_means_fake", [True, False])
@pytest.mark.parametrize("fake_index", [0, 1])
@pytest.mark.parametrize(
    ("kind", "column", "other", "expected"),
    [
        ("logit", np.log(4), -3.0, 0.8),
        ("probability", 0.8, 0.1, 0.8),
        ("softmax", 1 + np.log(4), 1.0, 0.8),
    ],
)
def test_the_fake_column_speaks_in_the_direction_that_the_bundle_says(
    kind: Kind, column: float, other: float, expected: float, fake_index: int, high_means_fake: bool
) -> None:
    row = [other, other]
    row[fake_index] = column
    scores = raw_scores(
        spec(kind, width=2, fake_index=fake_index, high_means_fake=high_means_fake), np.array([row], np.float32)
    )
    assert scores == pytest.approx([expected if high_means_fake else 1 - expected], abs=1e-6)


def test_one_score_a_row_in_double_precision() -> None:
    scores = raw_scores(spec("logit"), np.array([[0.0], [1.0], [-1.0]], np.float32))
    assert scores.dtype == np.float64
    assert scores.shape == (3,)
    assert scores == pytest.approx([0.5, 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])


@pytest.mark.parametrize("kind", ["logit", "softmax"])
def test_huge_logits_do_not_overflow(kind: Kind) -> None:
    array = np.array([[1e30, 0], [-1e30, 0], [700, 0], [-700, 0]], np.float32)
    scores = raw_scores(spec(kind, width=2), array)
    assert scores[:3].tolist() == [1.0, 0.0, 1.0]
    assert 0 < scores[3] < 1e-300


@pytest.mark.parametrize("kind", ["logit", "probability", "softmax"])
def test_nan_stays_nan_in_its_own_row(kind: Kind) -> None:
    scores = raw_scores(spec(kind, width=2), np.array([[np.nan, 0.2], [0.5, 0.5]], np.float32))
    assert np.isnan(scores).tolist() == [True, False]


def test_infinite_logits_are_certain_and_an_infinite_softmax_is_nothing() -> None:
    array = np.array([[np.inf, 0], [-np.inf, 0]], np.float32)
    assert raw_scores(spec("logit", width=2), array).tolist() == [1.0, 0.0]
    assert np.isnan(raw_scores(spec("softmax", width=2), array)[0])


def test_no_rows_no_scores() -> None:
    for kind in ("logit", "probability"):
        assert raw_scores(spec(kind), np.empty((0, 1), np.float32)).shape == (0,)
    assert raw_scores(spec("softmax", width=2), np.empty((0, 2), np.float32)).shape == (0,)
