"""Networks in PyTorch, one readable file each. They import torch and nothing of ours; export makes bundles of them."""
