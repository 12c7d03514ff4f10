"""The words between server and devices: message types, codecs, the fold of board events. No I/O, no rules."""
