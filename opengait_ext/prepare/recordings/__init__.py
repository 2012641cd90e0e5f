"""Preparation of a user's own recordings: folders of images, and videos with boxes."""
