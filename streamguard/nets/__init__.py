"""Networks in PyTorch. They import torch and nothing of ours but each other; export makes bundles of them.

`gml`, `gml_s` and `altfreezing` are the networks. `past` is what a causal layer remembers, for clips and steps alike;
`motion`, `anomaly` and `motion_net` are what `gml` and `gml_s` share. `contract` is what every network is; `registry`
knows all by name and their options as text, `cost` counts what they multiply; `python -m streamguard.nets` prints it.
`toy` is in the bundle that comes along.
"""
