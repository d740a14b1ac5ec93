"""Where events and pictures go. One small module each; all are a Sink or say in their first line what they take."""

from __future__ import annotations

from .sink import Sink

__all__ = ["Sink"]
