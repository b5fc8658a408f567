"""Tools that all rooms share.

values.py       parsers of single values: rates, times, money
ceilings.py     the maximum of each count
times.py        times and waits that a service names, if they are sensible. Pure
text.py         the wording of values in messages, and near misses
widths.py       how wide text is on a terminal, and how it fits there. Pure
normalised.py   messages without the parts that differ from run to run
no_file.py      manifests from standard input or a mapping
said.py         messages on stderr
plain_marks.py  plain characters for an output whose encoding lacks ours
endpoint.py     what an endpoint is
callback_address.py  the addresses to which callbacks are sent, and at which they arrive. Pure
local_file.py   a local file that a cell sends
regular_file.py  opening a file that has to be a regular file
file_state.py   whether a file is unchanged
first_bytes.py  the type of a file, by its first bytes
media_types.py  the type of a file, and its extension
json_text.py    JSON text of many small values, and of texts that have no UTF-8
progress.py     the interface by which a sweep reports its progress
disk.py         durable writes; no other module makes them
output_store.py keeps finished files, by name
git_commit.py   the git commit of a folder
"""
