"""The one exception that means "the user can mend this": its text is all that the terminal shows.

From: every module in `tools`. To: `tools.__main__`, which prints it and exits with code 2.
"""


class UserError(Exception):
    """A sentence that names the thing, the value and what was expected or what to do."""
