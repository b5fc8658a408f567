"""HTTP: the two clients, and the connections of their requests.

client.py        makes the two clients, with and without the key
requests.py      builds the requests that carry the key
transport.py     the API's connections; `connection.py` is one, with its `*_stream.py`
routed.py        httpx's own transports: to any host, directly or through a proxy
proxies.py       the proxies that the environment names
certificates.py  the certificate authorities for https
body.py          whole bodies of answers, never larger than a limit
"""
