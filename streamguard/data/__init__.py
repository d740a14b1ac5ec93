"""Footage for training and evaluation: which there is, and its faces, cut once and kept."""
