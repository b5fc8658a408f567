"""When the next call may leave: one limiter, a learnt rate, processes that share it."""
