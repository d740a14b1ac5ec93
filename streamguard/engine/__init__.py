"""What scores windows: backends run a bundle's graphs, the batcher decides whose turn it is, the engine joins both."""
