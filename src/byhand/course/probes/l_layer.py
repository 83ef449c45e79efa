"""The L-layer page as the checker sees it: its functions in the order of the assignment.

What the course adds (`beyond`) is checked where it is written; a file of the plain assignment isn't asked for it.
"""

from byhand.course.probes.backward import BACKWARD
from byhand.course.probes.beyond import BEYOND
from byhand.course.probes.forward import FORWARD, ONE_HOT
from byhand.course.probes.probing import Page
from byhand.reference import beyond

OPTIONAL = ("one_hot", *(function.name for function in BEYOND))
L_LAYER = Page("l_layer", beyond, (ONE_HOT, *FORWARD, *BACKWARD, *BEYOND), given=OPTIONAL)
