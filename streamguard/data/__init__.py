"""Footage for training and evaluation: which there is (`index`, `adapters`), and its faces, cut once (`prepare`, `tracks`)."""
