"""Published weights, renamed for this project."""
