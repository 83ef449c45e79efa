# %% [markdown]
# # Practice: five minutes with the check
#
# Here you edit a function, run the check, read its message, and fix the function. In the other notebooks you do the
# same with your own functions. Nothing here counts.
#
# **1. Run the check.** In a terminal, in the folder of this file:
#
#     byhand course check FILE
#
# The check reads the file from the disk, so save the file before each check. It finds a mistake in `average` below. Its
# message has three parts: the line, the likely cause, and one number with its right value.

# %%
# byhand: adapter practice
import numpy as np


def average(X):
    """Average each row of X over the samples, which are its columns.

    X: (n, m)    returns: (n, 1)
    """
    m = X.shape[1]
    return np.sum(X, axis=1, keepdims=True)


# %% [markdown]
# **2. Fix it**: divide by `m`. Save, and run the check again. Now `average` is right.
#
# **3. A green check is not a mark.** Replace `m` in your line by `5`. This is wrong, but save and check: it is green
# again. The check calls `average` only with arrays of five columns. Now let the file be graded, as a teacher does it, with
# numbers that you don't see:
#
#     byhand course practice --mark FILE
#
# **4. Fix it for good**: with `m` again, the mark is ten of ten.
#
# The checks of the course use new random numbers of several sizes, and so does the grader, with others. But no check sees
# everything: it can't tell whether your function is right for numbers that it does not try, whether it is fast, whether
# another person can read it, or whether you know why it works.
