"""Layers that models share; torch only, no host, no loss."""
