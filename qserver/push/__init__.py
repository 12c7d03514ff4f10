"""Tell every screen: the stream of what happened, fanned out to sockets. Nothing is decided or changed here."""

from .config import PushConfig
from .push import Push

__all__ = ["Push", "PushConfig"]
