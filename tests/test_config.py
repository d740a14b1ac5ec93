"""Settings: what cannot work is refused at once, by the name of its key; the environment is read as documented."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from streamguard.config import (
    ClipConfig,
    FacesConfig,
    SessionConfig,
    SourceConfig,
    extra_ca_file,
    home_folder,
    package_index_url,
)
from streamguard.errors import ConfigError

NAN, INF = float("nan"), float("inf")

Make = Callable[..., SourceConfig | FacesConfig | ClipConfig | SessionConfig]

BAD: dict[tuple[str, Make], dict[str, list[object]]] = {
    ("sources", SourceConfig): {
        "open_timeout_s": [0.0, -1.0, NAN, INF],
        "read_timeout_s": [0.0, -1.0, NAN, INF],
        "watchdog_grace_s": [0.0, -1.0, NAN, INF],
        "abandoned_per_stream": [0, -1],
        "first_retry_s": [0.0, -1.0, NAN, INF],
        "longest_retry_s": [0.0, 0.4, NAN, INF],
        "healthy_after_s": [0.0, -1.0, NAN, INF],
        "queue_frames": [0, -1],
        "rtsp_transport": ["http", ""],
        "decoder_threads": [0, 65],
    },
    ("faces", FacesConfig): {
        "detect_every_s": [0.0, -0.1, 2.6, NAN, INF],
        "tile_px": [127, 0],
        "tile_round_s": [0.0, -1.0, NAN, INF],
        "min_face_px": [0.0, -1.0, NAN, INF],
        "min_detection_score": [-0.1, 0.0, 1.0, NAN],
        "min_presence": [-0.1, 0.0, 1.0, NAN],
        "looks_to_confirm": [0, 11],
        "coast_s": [0.0, -1.0, 2.1, NAN],
        "most_look_difference": [0.0, -1.0, NAN, INF],
        "remember_s": [0.0, -1.0, NAN, INF],
        "most_faces": [0, 1025],
    },
    ("clip", ClipConfig): {
        "grid_s": [0.0, 0.004, NAN, INF],
        "length": [0, 513],
        "memory": [-1, 513],
        "hop_s": [0.0, -1.0, NAN, INF],
        "recipe": ["round", ""],
        "span": [0.99, 2.01, NAN, INF],
        "size_px": [15, 1025],
        "feed": ["both", ""],
    },
    ("session", SessionConfig): {
        "long_gap_s": [0.0, -1.0, NAN, INF],
        "stalled_after_s": [0.0, -1.0, NAN, INF],
        "most_work": [0, -1],
    },
}
CASES = [
    pytest.param(make, f"{group}.{name}", value, id=f"{group}.{name}={value}")
    for (group, make), names in BAD.items()
    for name, values in names.items()
    for value in values
]


@pytest.mark.parametrize(("make", "key", "value"), CASES)
def test_bad_value_is_refused_and_its_key_is_named(make: Make, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(key)}: ") as refused:
        make(**{key.partition(".")[2]: value})
    assert refused.value.key == key


@pytest.mark.parametrize("make", [SourceConfig, FacesConfig, ClipConfig, SessionConfig])
def test_defaults_are_accepted(make: Make) -> None:
    assert make() == make()


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (FacesConfig, {"detect_every_s": 2.5, "looks_to_confirm": 10, "most_faces": 1024}),
        (FacesConfig, {"coast_s": 2.0, "remember_s": 2.0}),
        (SourceConfig, {"first_retry_s": 3.0, "longest_retry_s": 3.0, "queue_frames": 1}),
        (ClipConfig, {"grid_s": 0.005, "length": 512, "memory": 512, "size_px": 1024}),
        (ClipConfig, {"span": 1.0}),
        (SessionConfig, {"most_work": 1, "clip": ClipConfig(grid_s=0.5)}),
    ],
)
def test_values_at_the_edge_are_accepted(make: Make, values: dict[str, object]) -> None:
    config = make(**values)
    assert {name: getattr(config, name) for name in values} == values


def test_similarity_crops_cannot_be_fed_by_steps() -> None:
    with pytest.raises(ConfigError, match=r"^clip\.feed: must be window"):
        ClipConfig(recipe="similarity", feed="step")


def test_similarity_crops_have_no_span_of_ones_own() -> None:
    ClipConfig(recipe="similarity", span=2.0)
    with pytest.raises(ConfigError, match=r"^clip\.span: must be 2 with the similarity recipe"):
        ClipConfig(recipe="similarity", span=1.4)


def test_grid_wider_than_a_face_is_waited_for_is_refused_with_a_way_out() -> None:
    with pytest.raises(ConfigError, match=r"^clip\.grid_s: 0\.6 s is longer than faces\.coast_s \(0\.5 s\)") as refused:
        SessionConfig(clip=ClipConfig(grid_s=0.6))
    assert "coast_s larger" in str(refused.value)
    SessionConfig(clip=ClipConfig(grid_s=0.6), faces=FacesConfig(coast_s=0.6))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names nothing."""
    for name in (
        "STREAMGUARD_HOME",
        "XDG_CACHE_HOME",
        "LOCALAPPDATA",
        "STREAMGUARD_INDEX_URL",
        "PIP_INDEX_URL",
        "PIP_CERT",
        "REQUESTS_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_home_is_what_streamguard_home_names(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert home_folder() == tmp_path / "cache" / "streamguard"
    bare.setenv("STREAMGUARD_HOME", str(tmp_path / "mine"))
    assert home_folder() == tmp_path / "mine"
    bare.setenv("STREAMGUARD_HOME", "~/mine")
    assert home_folder() == Path.home() / "mine"


def test_home_is_in_the_users_cache_otherwise(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert home_folder() == Path.home() / ".cache" / "streamguard"
    bare.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert home_folder() == tmp_path / "local" / "streamguard"


def test_package_index_is_ours_else_pips_else_not_named(bare: pytest.MonkeyPatch) -> None:
    assert package_index_url() is None
    bare.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    assert package_index_url() == "https://pip.example/simple"
    bare.setenv("STREAMGUARD_INDEX_URL", "https://ours.example/simple")
    assert package_index_url() == "https://ours.example/simple"


def test_extra_certificates_are_pips_else_those_of_requests(bare: pytest.MonkeyPatch) -> None:
    assert extra_ca_file() is None
    bare.setenv("REQUESTS_CA_BUNDLE", "requests.pem")
    assert extra_ca_file() == "requests.pem"
    bare.setenv("PIP_CERT", "pip.pem")
    assert extra_ca_file() == "pip.pem"
    bare.setenv("PIP_CERT", "")
    assert extra_ca_file() == "requests.pem"
