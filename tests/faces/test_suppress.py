"""Many answers for one face become one."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.faces.suppress import blended, strongest


def test_answers_for_one_face_are_averaged_by_their_scores() -> None:
    answers = np.zeros((3, 4, 2))
    answers[:, 1] = 10.0
    answers[:, 0, 0] = (50.0, 52.0, 90.0)
    faces = blended(answers, np.array([0.5, 0.75, 0.6]))
    assert [round(score, 2) for _, score in faces] == [0.75, 0.6]
    assert faces[0][0][0, 0] == pytest.approx((50 * 0.5 + 52 * 0.75) / 1.25)
    assert faces[1][0][0, 0] == 90.0


def test_answers_without_area_end() -> None:
    assert len(blended(np.zeros((3, 4, 2)), np.array([0.5, 0.6, 0.7]))) == 3
    assert len(strongest(np.zeros((3, 4, 2)), np.array([0.5, 0.6, 0.7]))) == 3


def test_the_strongest_answer_of_each_face_is_kept_as_it_is() -> None:
    answers = np.zeros((3, 4, 2))
    answers[:, 1] = 10.0
    answers[:, 0, 0] = (50.0, 52.0, 90.0)
    faces = strongest(answers, np.array([0.5, 0.75, 0.6]))
    assert [(answer[0, 0], score) for answer, score in faces] == [(52.0, 0.75), (90.0, 0.6)]


def test_no_answers_are_no_faces() -> None:
    assert blended(np.zeros((0, 4, 2)), np.zeros(0)) == []
    assert strongest(np.zeros((0, 4, 2)), np.zeros(0)) == []
