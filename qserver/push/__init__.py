"""Tell every screen: the stream of what happened, fanned out to sockets. Nothing is decided or changed here."""
