"""The only place that knows a checkout of OpenGait: our parts in it, its parts in our engine."""
