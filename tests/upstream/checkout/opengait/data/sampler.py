"""Samplers: nothing here, the tests bring their own."""
