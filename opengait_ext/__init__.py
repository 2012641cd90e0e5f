"""Video-based visible-infrared person re-identification, in the form of OpenGait."""

__version__ = "0.1.0"
