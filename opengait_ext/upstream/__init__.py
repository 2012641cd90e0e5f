"""Interoperation with a checkout of OpenGait: our parts in it, its models in our engine."""
