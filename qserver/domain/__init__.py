"""What may happen in a hall: words, rules and life cycles. Pure; nothing here does I/O."""
