"""The L-layer page as the checker sees it: its functions in the order of the assignment."""

from byhand.course.pages.backward import BACKWARD
from byhand.course.pages.forward import FORWARD, ONE_HOT
from byhand.course.probing import Page
from byhand.reference import l_layer

L_LAYER = Page("l_layer", l_layer, (ONE_HOT, *FORWARD, *BACKWARD), given=("one_hot",))
