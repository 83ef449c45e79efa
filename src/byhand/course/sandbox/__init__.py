"""What runs inside the student's process: `python -m byhand.course.sandbox`, started by `byhand.course.sandbox.runner`.

`wire` carries values in and out as plain data, `slicing` picks the statements of the file that are worth running,
`drawing` stands in for Matplotlib, `lockdown` sets the limits and hides the answer key, and `__main__` serves one call
after another. It is a guard against accidents and easy shortcuts, not a security boundary.
"""
