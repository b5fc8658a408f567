"""What happened, for good: the kinds of lines, what they add up to, and the file they stand in."""
