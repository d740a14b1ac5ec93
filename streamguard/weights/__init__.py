"""Trained weights: out of files that strangers made, into our networks, and back onto the disk.

`read` turns a checkpoint file into plain tensors and trusts it in nothing: `child` is the process that takes a pickle
apart, and `rules` say what a file and its tensors may be. `load` puts tensors into a network, all of them or none.
`altfreezing` knows the names that a published network's file uses, `imagenet` those of image networks to start from.
"""
