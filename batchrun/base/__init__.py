"""The tools that every room uses and none owns.

values.py       parsers of single values: rates, times, money
ceilings.py     the most that may be asked for of each thing that is counted
times.py        times and waits that a service names, within one window of sense. Pure
text.py         how messages spell things, and near misses
widths.py       how wide text is on a terminal, and how it fits there. Pure
normalised.py   messages without what differs from run to run
no_file.py      manifests that are no files
said.py         words for people on stderr
plain_marks.py  marks of ours for an output that can't have them
endpoint.py     what an endpoint is
callback_address.py  where callbacks are sent to, and where they are received. Pure
local_file.py   a local file that a cell sends
regular_file.py  opening a file that has to be a regular file
file_state.py   how a file is known to be unchanged
first_bytes.py  what a file is, by its first bytes
media_types.py  what a file is, and what it is called
json_text.py    JSON text of many small values, and of texts that have no UTF-8
progress.py     what a sweep reports while it runs
disk.py         durable writes: the only place
output_store.py where finished files are kept, by name
git_commit.py   the git commit that a folder is at
"""
