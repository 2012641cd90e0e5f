"""A user's own folders, videos and boxes."""
