"""Tests of small networks: see one_thread.py."""

from tests.one_thread import one_thread as one_thread
