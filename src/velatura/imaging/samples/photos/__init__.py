"""Scenes as a camera would see them: continuous shading, soft shadows, haze, a clear subject."""
