"""The playground's server: it trains, keeps and tells; the page (`byhand.page`) shows, draws and asks.

From the top: `serving` opens the door on loopback, `guard` decides who may come in and `gate` how many at once, `app`
says which address does what, `panels` makes the JSON of each panel. Behind them one thread (`trainer`) owns the
`playground`: a model, a training session, what was added by hand; `setup` is what the page may choose, `journal` what
it is told, and `keeping` writes it all into a run's folder. No mathematics of its own: every number is byhand's.
"""
