"""Which shapes meet: points in polygons, boxes against boxes and pieces of line, a grid to find them. Batched torch."""
