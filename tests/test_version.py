"""The version stands in one place, and the changelog knows it."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import streamguard

CHANGELOG = (Path(__file__).parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")


def test_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (\S+)", CHANGELOG, re.MULTILINE)
    assert headings[0] == streamguard.__version__


def test_changelog_has_each_version_once_and_only_the_usual_headings() -> None:
    versions = re.findall(r"^## (\S+)", CHANGELOG, re.MULTILINE)
    assert len(versions) == len(set(versions))
    assert set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE)) <= {"Added", "Changed", "Fixed", "Removed"}


def test_installed_package_says_the_same() -> None:
    assert metadata.version("streamguard") == streamguard.__version__
