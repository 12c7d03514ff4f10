"""Time asks: deadlines that have come are acted upon, by whichever process comes first. Nothing is decided here."""

from .sweep import Sweep

__all__ = ["Sweep"]
