"""compete: one workspace for a Kaggle text competition."""

__version__ = "0.1.0"
