"""The registry: names make networks, and options go to text and back without loss."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from typing import Any

import pytest
import torch

from streamguard.nets.registry import ENTRIES, options_as_text, options_from_text
from tests.nets.standin import Standin, StandinOptions, register

SAME_TEXT = {
    "causal": "no",
    "head": "wide",
    "extra": "4,7,10",
    "note": "as it is",
    "size_px": "16",
    "length": "8",
    "width": "0.25",
}

SMALL = {"width": "0.125", "size_px": "64"}
CAUSAL = {"gml-causal", "gml-s"}


def test_names_and_summaries_need_no_torch() -> None:
    code = "import sys, streamguard.nets.registry as r; print(*r.ENTRIES, 'torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == [*ENTRIES, "False"]


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_who_it_is_in_one_line(name: str) -> None:
    entry = ENTRIES[name]
    assert entry.name == name
    assert entry.summary.isprintable()
    assert 0 < len(entry.summary) <= 100
    assert entry.hop_steps * entry.grid_s == pytest.approx(entry.hop_s)


def test_given_options_go_over_the_preset_and_that_over_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = register(monkeypatch)
    plain, other = entry.build(), entry.build({"head": "narrow", "width": "0.5"})
    assert isinstance(plain, Standin)
    assert isinstance(other, Standin)
    assert plain.options == StandinOptions(head="wide")
    assert other.options == StandinOptions(head="narrow", width=0.5)
    assert not plain.training


@pytest.mark.parametrize("name", ENTRIES)
def test_a_small_one_of_every_network_answers_and_is_what_it_must_be(name: str) -> None:
    net: Any = ENTRIES[name].build(SMALL)
    crops = torch.randint(256, (2, net.memory + net.length, net.size_px, net.size_px, 3), dtype=torch.uint8)
    with torch.no_grad():
        logits = net(crops)
    assert (logits.shape, logits.dtype) == ((2, 1), torch.float32)
    assert logits.isfinite().all()
    assert net.size_px == 64
    assert net.memory >= 0
    assert net.length > 1
    assert net.causal == (net.look_ahead == 0)
    assert net.causal or (net.memory, net.look_ahead) == (0, net.length - 1)
    assert not net.training


@pytest.mark.parametrize("name", sorted(CAUSAL))
def test_a_causal_one_takes_crops_one_by_one(name: str) -> None:
    net: Any = ENTRIES[name].build(SMALL)
    state = [torch.zeros(2, *shape) for shape in net.state_shapes.values()]
    with torch.no_grad():
        logits, following = net.step(
            torch.zeros(2, 64, 64, 3, dtype=torch.uint8), state, torch.zeros(2, dtype=torch.int64)
        )
    assert logits.shape == (2, 1)
    assert [each.shape for each in following] == [each.shape for each in state]


def test_which_networks_are_causal() -> None:
    with torch.device("meta"):
        nets: dict[str, Any] = {name: entry.build() for name, entry in ENTRIES.items()}
    assert {name for name, net in nets.items() if net.causal} == CAUSAL


@pytest.mark.parametrize("name", ENTRIES)
def test_options_of_every_network_survive_as_text(name: str) -> None:
    with torch.device("meta"):
        made: Any = ENTRIES[name].build(SMALL)
        text = options_as_text(made.options)
        again: Any = ENTRIES[name].build(text)
    assert text.items() >= {**ENTRIES[name].preset, **SMALL}.items()
    assert all(each.isprintable() for each in text.values())
    assert again.options == made.options


@pytest.mark.parametrize("name", ENTRIES)
def test_every_network_says_what_was_decided_in_lines_that_can_be_printed(name: str) -> None:
    entry = ENTRIES[name]
    module = importlib.import_module(f"streamguard.nets.{entry.module}")
    decisions = getattr(module, entry.network).DECISIONS
    assert decisions
    for key, decision in decisions.items():
        assert key.isprintable()
        assert decision.isprintable()
        assert key
        assert decision


def test_text_makes_options_and_options_the_same_text() -> None:
    options = options_from_text(StandinOptions, SAME_TEXT)
    assert options == StandinOptions(
        causal=False, head="wide", extra=(4, 7, 10), note="as it is", size_px=16, length=8, width=0.25
    )
    assert options_as_text(options) == SAME_TEXT


def test_what_is_not_given_has_its_default_and_no_numbers_are_the_empty_tuple() -> None:
    assert options_from_text(StandinOptions, {"extra": ""}) == StandinOptions()
    assert options_as_text(StandinOptions())["extra"] == ""


@pytest.mark.parametrize("width", [0.1, 1 / 3, 1e-7, 1.5e10])
def test_any_number_survives_as_text(width: float) -> None:
    text = options_as_text(StandinOptions(width=width))
    assert options_from_text(StandinOptions, text).width == width


def test_an_unknown_option_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"no option 'hight'; there are: causal, head, extra, .*, width"):
        options_from_text(StandinOptions, {"hight": "4"})


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("causal", "true", "option causal is one of yes, no, not 'true'"),
        ("head", "", "option head is one of wide, narrow, not ''"),
        ("extra", "1,,2", "option extra is whole numbers with commas, not ''"),
        ("extra", "1, 2", "option extra is whole numbers with commas, not ' 2'"),
        ("length", "8.0", "option length is a whole number, not '8.0'"),
        ("length", "1_0", "option length is a whole number, not '1_0'"),
        ("length", "9" * 5000, "option length is a whole number"),
        ("length", "٣", "option length is a whole number"),
        ("width", "nan", "option width is a number, not 'nan'"),
        ("width", "1e999", "option width is a number, not '1e999'"),
        ("width", "", "option width is a number, not ''"),
    ],
)
def test_text_that_is_no_value_is_told_with_its_option(name: str, text: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(told)}") as caught:
        options_from_text(StandinOptions, {name: text})
    assert len(str(caught.value)) < 120


def test_an_option_of_a_kind_that_has_no_text_is_our_mistake() -> None:
    class Odd(StandinOptions):
        pass

    Odd.__annotations__ = {"width": complex}
    with pytest.raises(TypeError, match="width"):
        options_from_text(Odd, {"width": "1"})
