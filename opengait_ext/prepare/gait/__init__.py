"""OpenGait's pickled gait data sets."""
