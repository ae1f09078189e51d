"""Paintings, each of a style of its own, with texture at the scale of its strokes all over."""
