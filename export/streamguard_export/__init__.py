"""From a trained network to an engine. Its own package, so that a server that only runs engines never imports it."""
