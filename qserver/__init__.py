"""qserver: queue management and instant evaluation for government service halls."""

__version__ = "0.1.0"
