"""Make it happen once: the only room that knows Redis."""
