"""Finding faces, following them and saying how well they can be seen."""
