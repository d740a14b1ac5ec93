"""Graphs are written without what costs minutes or makes new numbers. What they are is in test_make_bundle.py and
test_untrained.py."""

from __future__ import annotations

import onnxscript.rewriter as rewriter
import pytest
from streamguard_export.onnx_files import LEFT_OUT, _without_rules


def names_of_rules() -> list[object]:
    return [rule.name for rule in rewriter._DEFAULT_REWRITE_RULES]


def test_rules_that_are_left_out_are_there_and_missing_while_we_trace_and_then_put_back() -> None:
    before = names_of_rules()
    assert all(before.count(name) == 1 for name in LEFT_OUT), "another onnxscript: is _without_rules still of use?"
    with _without_rules():
        assert names_of_rules() == [name for name in before if name not in LEFT_OUT]
    assert names_of_rules() == before


def test_a_version_without_such_a_list_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(rewriter, "_DEFAULT_REWRITE_RULES")
    with _without_rules():
        assert not hasattr(rewriter, "_DEFAULT_REWRITE_RULES")
