"""Graphs are written without what costs minutes. What they are is in test_make_bundle.py and test_untrained.py."""

from __future__ import annotations

import onnxscript.rewriter as rewriter
import pytest
from streamguard_export.onnx_files import _without_slow_rules


def names_of_rules() -> list[object]:
    return [rule.name for rule in rewriter._DEFAULT_REWRITE_RULES]


def test_the_slow_rule_is_there_and_left_out_while_we_trace_and_then_put_back() -> None:
    before = names_of_rules()
    assert before.count("SlicesSplit") == 1, "another onnxscript: is _without_slow_rules still of use?"
    with _without_slow_rules():
        assert names_of_rules() == [name for name in before if name != "SlicesSplit"]
    assert names_of_rules() == before


def test_a_version_without_such_a_list_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(rewriter, "_DEFAULT_REWRITE_RULES")
    with _without_slow_rules():
        assert not hasattr(rewriter, "_DEFAULT_REWRITE_RULES")
