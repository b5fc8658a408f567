"""When the next call may leave: one limiter, a learnt rate, processes that share it.

limiter.py            lets callers through, one at a time
pace.py               when the next call may leave; `quota.py` holds one kind back. Pure
kinds.py              calls that create, and calls that read
apart.py              waits that were named to one question alone. Pure
adaptive_rate.py      the rate that the service seems to allow. Pure
throttle_counts.py    how many calls met a 429, and when. Pure
process_pace.py       the pace that the calls of one process share
shared_pace.py        the file of processes that share a pace; `shared_pace_state.py` reads it
"""
