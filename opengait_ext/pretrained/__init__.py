"""Published weights, brought under the names of this project."""
