"""`python -m streamguard.nets`: its figures add up, and what it cannot explain it says."""

from __future__ import annotations

import json

import pytest

from streamguard.nets.__main__ import (
    CLIP,
    IMAGE_NETWORK,
    SIZE,
    Figure,
    _figure_lines,
    as_json,
    cost,
    figures,
    imagenet_classes,
    lines,
    main,
    parts,
    unrounded_channels,
)
from streamguard.nets.registry import ENTRIES


def figure(found: str, counted: float, **reasons: float) -> Figure:
    return Figure("net", SIZE, found, "paper", counted, reasons)


@pytest.mark.parametrize(
    ("found", "counted", "same"),
    [
        ("27.17", 27_174_999, True),
        ("27.17", 27_165_001, True),
        ("27.17", 27_176_000, False),
        ("27.17", 27_164_000, False),
        ("27", 27_400_000, True),
        ("27", 27_600_000, False),
    ],
)
def test_a_figure_is_the_same_within_its_last_digit(found: str, counted: float, same: bool) -> None:
    assert figure(found, counted).same == same
    assert figure(found, counted).explained == same


def test_reasons_explain_a_difference_only_if_they_are_as_large() -> None:
    assert figure("27.17", 28_174_000, more=1_000_000).explained
    assert not figure("27.17", 28_174_000, more=900_000).explained
    assert not figure("27.17", 28_174_000, more=1_100_000).explained
    assert not figure("27.17", 28_174_000).explained


def test_what_is_not_explained_says_so() -> None:
    assert list(_figure_lines(figure("27.17", 28_174_000, more=900_000)))[-1] == "      +0.1040  NOT EXPLAINED"
    assert list(_figure_lines(figure("27.17", 28_174_000, more=1_000_000)))[-1] == "      +0.0040  rest: rounding"


def test_units_are_those_that_figures_are_written_in() -> None:
    assert Figure("net", CLIP, "113.6", "paper", 113_627_367_424).ours == pytest.approx(113.627367424)
    assert figure("1", 2_000_000).ours == 2


def test_every_difference_is_explained() -> None:
    assert [(each.found, each.source) for each in figures() if not each.explained] == []
    assert [line for line in lines() if "NOT EXPLAINED" in line] == []


def test_image_networks_have_exactly_the_published_number_of_parameters() -> None:
    xception = cost("gml", anomaly="no", motion="none").parameters
    assert xception + imagenet_classes("gml").parameters == 22_855_952
    lite = cost("gml-s", anomaly="no", motion="none").parameters
    assert lite + imagenet_classes("gml-s").parameters == 4_652_008


@pytest.mark.parametrize("name", IMAGE_NETWORK)
def test_parts_add_up_to_the_whole(name: str) -> None:
    *some, whole = parts(name)
    assert sum(part.parameters for part in some) == whole.parameters == cost(name).parameters
    assert sum(part.crop_macs for part in some) == pytest.approx(whole.crop_macs, rel=1e-12)
    assert all(part.parameters > 0 and part.crop_macs > 0 for part in some)


def test_taps_in_time_cost_three_multiplications_for_each_value_that_they_give() -> None:
    taps = next(part for part in parts("gml") if "CSTM" in part.what)
    sizes = {109: 64 + 128, 55: 128 + 256, 28: 256 + 728, 14: 26 * 728, 7: 1024 + 1536}  # channels at each width
    assert taps.parameters == 3 * sum(sizes.values())
    assert taps.crop_macs == 3 * sum(channels * side * side for side, channels in sizes.items())


def test_half_a_channel_more_is_half_of_what_one_has() -> None:
    """Of 728 channels: reduced, seen by K, and brought back twice; in 27 layers."""
    found = unrounded_channels()
    assert found.what.startswith("45.5 channels instead of 45")
    assert found.parameters == pytest.approx(27 * 0.5 * (3 * 728 + 9))
    positions = 28 * 28 + 26 * 14 * 14  # the first of them stands before the third block's pooling
    assert found.crop_macs == pytest.approx(0.5 * (3 * 728 + 2 * 9) * positions)


@pytest.mark.parametrize("name", ["gml-causal", "gml-s"])
def test_a_step_costs_one_crop_of_a_clip(name: str) -> None:
    assert cost(name).step_macs == cost(name).crop_macs


def test_programs_get_what_people_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(json.dumps(as_json()))
    assert told["networks"][0]["parameters"] == cost("gml").parameters
    assert len(told["figures"]) == len(figures())


def test_the_table_names_every_network_and_its_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "network"
    assert [row.split()[0] for row in rows[: len(ENTRIES)]] == list(ENTRIES)
    of_altfreezing = rows[list(ENTRIES).index("altfreezing")]
    assert "113.6" in of_altfreezing
    assert "31 (1.24 s)  no" in of_altfreezing
