"""The playground's server: it trains, saves and reports; the page (`byhand.page`) is what the user sees.

From the top: `server` answers each address, on loopback, and sends the news; `requests` decides which requests are let
in and how many at once; `panels` makes the JSON of each panel. Behind them one thread (`thread`) owns the `playground`:
a model, its training, the images added by hand. `setup` is what the page may choose, and `storage` writes it all into a
run's folder. No mathematics of its own: every number is byhand's.
"""
