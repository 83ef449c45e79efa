"""The bench: how fast byhand is, beside what a user would take instead, measured in one run.

A `Work` (work.py) says what is to be done, to the last number. Each contestant (contestants/) does it in a process of
its own; rounds.py lets them take turns, so that whatever else the machine does meets all of them, and gives ratios
round by round. The suites (steps, target, reading, memory, growth, startup) are what is measured; each writes one file
of results, and tables.py turns those files into the README's tables.

The peers are in the extra `bench`; nothing else in byhand needs them.
"""
