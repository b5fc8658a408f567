"""What runs in the task group: submits, looks, look-ups, downloads, and what ends them.

The runner starts and ends everything; the other modules are its hands. What they share is in
`work.py`; what they decide is in pure modules (feed, live, schedule, waves).
"""
