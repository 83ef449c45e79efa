"""The playground's server; its page is in `byhand.page`.

`server` handles the requests, after `requests` has checked them. One thread (`thread`) owns the `playground`: a model,
its training, the images added by hand.
"""
