"""Trained weights: out of files that strangers made, into our networks, and back onto the disk.

`read` turns a checkpoint file into plain tensors and trusts it in nothing; `load` puts tensors into a network, all of
them or none; `altfreezing` knows the names that a published network's file uses.
"""
