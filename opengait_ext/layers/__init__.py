"""Layers that several models use. They depend on torch only, and on no host or loss."""
