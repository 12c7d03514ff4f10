"""A day played through the public doors: guides, clerks, pads, displays and the analytics feed, with real clients."""
