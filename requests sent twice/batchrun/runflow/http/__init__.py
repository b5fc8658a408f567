"""HTTP itself: the two clients, the connections that carry the API's requests, their streams."""
