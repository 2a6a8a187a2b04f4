"""Messages, progress, escaping for each output format, and numbers in readable units."""
