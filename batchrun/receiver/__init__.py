"""Receives callbacks while a call runs: a small web server in the same process.

    app.py      takes a POST of limited size, checks its signature, and passes on the end
    server.py   binds the address, serves the application on asyncio's loop

It knows nothing of runs or ledgers. It needs the extra `callbacks`.
"""
