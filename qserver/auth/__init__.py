"""Who is asking: tokens, the role table, secrets. Nothing here knows HTTP or sockets."""
